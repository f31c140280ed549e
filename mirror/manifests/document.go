package manifests

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"

	yamlv2 "go.yaml.in/yaml/v2" // the parser of sigs.k8s.io/yaml
	"sigs.k8s.io/yaml"
)

// file reads every document of a file. found means that it was met in a directory, and not named.
func (r *reading) file(name string, data []byte, found bool) {
	r.sizes[name] = len(data)
	data, err := unpacked(data)
	if err == nil {
		data, err = utf8Of(data)
	}
	if err != nil {
		r.problem(place{file: name}, "", err.Error())
		return
	}
	r.inDirectory = found
	isJSON := strings.EqualFold(filepath.Ext(strings.TrimSuffix(name, ".gz")), ".json")
	if isJSON || beginsJSON(data) {
		raws, rest, err := jsonDocuments(data)
		// JSON behind JSON is a stream of JSON, even if it is broken. Anything else behind it may be a marker of YAML.
		if err == nil || isJSON || len(raws) > 0 && beginsJSON(rest) {
			for i, raw := range raws {
				r.document(place{file: name, document: i + 1}, raw)
			}
			if err != nil {
				r.problem(place{file: name, document: len(raws) + 1}, "", "is not JSON: "+err.Error())
			}
			return
		}
	}
	for _, d := range split(data) {
		r.yaml(name, d)
	}
}

// yaml reads one document of YAML; JSON is YAML too, and read much faster as what it is.
func (r *reading) yaml(name string, d document) {
	at := place{file: name, document: d.number}
	if beginsJSON(d.text) && json.Valid(d.text) {
		r.document(at, d.text)
		return
	}
	if reason := moreBehind(d); reason != "" {
		r.problem(at, "", reason)
		return
	}
	r.text = d.text
	defer func() { r.text = nil }()
	text := merged(d.text)
	raw, strictErr := yaml.YAMLToJSONStrict(text)
	if strictErr == nil {
		r.unrendered(at, d, raw)
		r.document(at, raw)
		return
	}
	raw, err := yaml.YAMLToJSON(text)
	if err != nil {
		r.notYAML(at, d, err)
		return
	}
	// A repeated key is a problem only in what plays a part, and in the fields that say what the object is.
	head := headOf(raw)
	if partOf(head) == partNone && !headTwice(text) {
		r.document(at, raw)
		return
	}
	r.problem(at.of(head, r.namespace), "", "is ambiguous YAML: "+yamlError(strictErr, d.line))
}

// notYAML reports text that no parser takes, with what may be behind it.
func (r *reading) notYAML(at place, d document, err error) {
	message := "is not YAML: " + yamlError(err, d.line)
	switch line, dashes := dashesIn(d); {
	case dashes != "":
		message += fmt.Sprintf("; line %d is %q, which is no marker between documents: write ---", line, dashes)
	case hasPlaceholder(string(d.text)):
		message += "; " + renderFirst
	}
	r.problem(at, "", message)
}

// dashesIn returns a line of dashes that is none of YAML's markers, and its number in the file.
func dashesIn(d document) (line int, dashes string) {
	line = d.line
	for text := range strings.Lines(string(d.text)) {
		line++
		if text = strings.TrimRight(text, " \t\r\n"); len(text) > 3 && strings.Trim(text, "-") == "" {
			return line, text
		}
	}
	return 0, ""
}

func beginsJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

// jsonDocuments returns the values of a stream of JSON. If one is broken, rest is the text from there on.
func jsonDocuments(data []byte) (raws []json.RawMessage, rest []byte, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	for {
		var raw json.RawMessage
		switch err := decoder.Decode(&raw); {
		case errors.Is(err, io.EOF):
			return raws, nil, nil
		case err != nil:
			return raws, data[decoder.InputOffset():], errors.New(err.Error() + " near byte " + strconv.FormatInt(decoder.InputOffset(), 10))
		}
		raws = append(raws, raw)
	}
}

// yamlError returns an error of YAML in one line, with line numbers of the file.
func yamlError(err error, offset int) string {
	message := err.Error()
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: ", "unmarshal errors:"} {
		message = strings.TrimPrefix(message, prefix)
	}
	message = regexp.MustCompile(`line (\d+)`).ReplaceAllStringFunc(message, func(s string) string {
		n, err := strconv.Atoi(strings.TrimPrefix(s, "line "))
		if err != nil {
			return s
		}
		return "line " + strconv.Itoa(n+offset)
	})
	return strings.Join(strings.Fields(message), " ")
}

// moreBehind returns a message if text follows the end of a document, and otherwise nothing: the parser would ignore it.
func moreBehind(d document) string {
	decoder := yamlv2.NewDecoder(bytes.NewReader(d.text))
	if decoder.Decode(&anything{}) != nil {
		return "" // which is told when it is read
	}
	err := decoder.Decode(&anything{})
	if errors.Is(err, io.EOF) {
		return ""
	}
	return "more follows the end of the document" + whereMore(err, d.line) + ": separate documents with ---"
}

// whereMore returns the line at which the parser expected another document. The parser counts from 0, and omits 0.
func whereMore(err error, offset int) string {
	if err == nil {
		return "" // a whole document
	}
	message, ok := strings.CutSuffix(err.Error(), ": did not find expected <document start>")
	if !ok {
		return " (" + yamlError(err, offset) + ")"
	}
	if message == "yaml" {
		message += ": line 0"
	}
	return " (" + yamlError(errors.New(message), offset+1) + ")"
}

// anything takes any YAML and keeps nothing.
type anything struct{}

// UnmarshalYAML accepts any value.
func (*anything) UnmarshalYAML(func(any) error) error { return nil }

// headTwice reports whether a field that says what the object is stands there twice.
func headTwice(text []byte) bool {
	var fields yamlv2.MapSlice
	if yamlv2.Unmarshal(text, &fields) != nil {
		return true
	}
	seen := map[any]bool{}
	for _, f := range fields {
		if name, ok := f.Key.(string); ok && isHeadField(name) {
			if seen[name] {
				return true
			}
			seen[name] = true
		}
	}
	return false
}

// utf8Of removes the byte order mark. If the mark says UTF-16, which some shells write, it returns the text as UTF-8.
func utf8Of(data []byte) ([]byte, error) {
	if rest, ok := bytes.CutPrefix(data, []byte("\xef\xbb\xbf")); ok {
		return rest, nil
	}
	order, ok := byteOrder(data)
	if !ok {
		return data, nil
	}
	if len(data)%2 != 0 {
		return nil, errors.New("is cut off: UTF-16 with an odd number of bytes; write it as UTF-8")
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i < len(data); i += 2 {
		units = append(units, order.Uint16(data[i:]))
	}
	return []byte(string(utf16.Decode(units))), nil
}

func byteOrder(data []byte) (binary.ByteOrder, bool) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return binary.LittleEndian, true
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return binary.BigEndian, true
	}
	return nil, false
}
