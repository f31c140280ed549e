package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/proto/jsontext"
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
	if _, err := io.WriteString(w, jsontext.Visible(line.String())+"\n"); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}
