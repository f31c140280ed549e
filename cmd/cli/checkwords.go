package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// withNumbers returns a message as JSON with numbers in place of enum words without their prefix, such as TCP
// for PROTOCOL_TCP. protojson accepts numbers. A number is padded to the length of its word, so that
// locations in errors are those of the original text. Text that is no JSON is returned unchanged.
func withNumbers(text []byte, of protoreflect.MessageDescriptor) []byte {
	w := wordReader{decoder: json.NewDecoder(bytes.NewReader(text)), text: text}
	w.decoder.UseNumber()
	if !json.Valid(text) || w.value(of, nil) != nil { // json.Valid also limits the depth
		return text
	}
	return w.text
}

// A wordReader walks through a message as JSON.
type wordReader struct {
	decoder *json.Decoder
	// text is copied before its first change.
	text    []byte
	changed bool
}

// value reads one value: a message, a list of messages, or one or more values of an enum. message and enum
// are nil for other values, such as a map.
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
		_, err := w.decoder.Token() // the closing bracket
		return err
	case string:
		if enum != nil {
			w.word(enum, token)
		}
	}
	return nil
}

// key reads the name of a field, and returns the type of its value.
func (w *wordReader) key(of protoreflect.MessageDescriptor) (
	protoreflect.MessageDescriptor, protoreflect.EnumDescriptor, error,
) {
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

// enumPrefix returns the prefix of the names of an enum's values: PROTOCOL_ for Protocol, IP_FAMILY_ for
// IpFamily.
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
