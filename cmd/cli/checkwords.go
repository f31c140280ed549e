package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// withNumbers returns a message as JSON with the numbers of enum values in place of words that leave the prefix out: TCP is
// PROTOCOL_TCP. protojson takes numbers. A number is padded to the length of its word, so that places in later errors are
// those of the text as it was written. What is no JSON is returned as it is.
func withNumbers(text []byte, of protoreflect.MessageDescriptor) []byte {
	w := wordReader{decoder: json.NewDecoder(bytes.NewReader(text)), text: text}
	w.decoder.UseNumber()
	if !json.Valid(text) || w.value(of, nil) != nil { // json.Valid bounds the depth, too
		return text
	}
	return w.text
}

// wordReader walks through a message as JSON.
type wordReader struct {
	decoder *json.Decoder
	// text is copied before its first change.
	text    []byte
	changed bool
}

// value reads one value: a message, a list of them, or one or more values of an enum. Both are nil for a value of which
// nothing is known, such as a map.
func (w *wordReader) value(message protoreflect.MessageDescriptor, enum protoreflect.EnumDescriptor) error {
	token, err := w.decoder.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Delim:
		for w.decoder.More() {
			in, of := message, enum
			if token == '{' {
				if in, of, err = w.key(message); err != nil {
					return err
				}
			}
			if err := w.value(in, of); err != nil {
				return err
			}
		}
		_, err := w.decoder.Token() // which closes it
		return err
	case string:
		if enum != nil {
			w.word(enum, token)
		}
	}
	return nil
}

// key reads a field's name, and returns what its value is made of.
func (w *wordReader) key(of protoreflect.MessageDescriptor) (protoreflect.MessageDescriptor, protoreflect.EnumDescriptor, error) {
	token, err := w.decoder.Token()
	if err != nil || of == nil {
		return nil, nil, err
	}
	name, ok := token.(string)
	if !ok {
		return nil, nil, fmt.Errorf("%v is no field", token)
	}
	field := of.Fields().ByJSONName(name)
	if field == nil {
		field = of.Fields().ByTextName(name)
	}
	if field == nil || field.IsMap() {
		return nil, nil, nil
	}
	return field.Message(), field.Enum(), nil
}

// word replaces the word that was just read.
func (w *wordReader) word(enum protoreflect.EnumDescriptor, word string) {
	value := enum.Values().ByName(protoreflect.Name(enumPrefix(enum) + strings.ToUpper(word)))
	end := int(w.decoder.InputOffset())
	start := end - len(word) - len(`""`)
	if value == nil || word == "" || start < 0 || string(w.text[start:end]) != `"`+word+`"` {
		return
	}
	if !w.changed {
		w.text, w.changed = bytes.Clone(w.text), true
	}
	copy(w.text[start:end], fmt.Sprintf("%-*d", end-start, value.Number()))
}

// enumPrefix returns what the names of an enum's values begin with: PROTOCOL_ for Protocol, IP_FAMILY_ for IpFamily.
func enumPrefix(enum protoreflect.EnumDescriptor) string {
	var b strings.Builder
	for i, r := range string(enum.Name()) {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String() + "_"
}
