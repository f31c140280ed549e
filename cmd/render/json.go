package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// JSONLine writes a message as a line of protojson, with fields that are false, 0 or empty. protojson varies
// its white space on purpose; JSONLine does not. Runes that do not print are escaped.
func JSONLine(w io.Writer, m proto.Message) error {
	raw, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	if _, err := io.WriteString(w, visible(line.String())+"\n"); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

// visible returns JSON with escapes in place of runes that do not print.
func visible(text string) string {
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b []byte
	for _, r := range text {
		if hidden(r) {
			b = appendEscape(b, r)
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return string(b)
}

// appendEscape appends the escape that stands for a rune in JSON.
func appendEscape(b []byte, r rune) []byte {
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return fmt.Appendf(b, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(b, `\u%04x`, r)
}
