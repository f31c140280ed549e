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

// file reads every document of a file. found means that the file was found in a directory, not named.
func (r *fileReader) file(name string, data []byte, found bool) {
	data, err := unpacked(data, r.left)
	r.left -= int64(len(data))
	if err == nil {
		data, err = utf8Of(data)
	}
	if err != nil {
		r.problem(location{file: name}, "", err.Error())
		return
	}
	r.inDirectory = found
	isJSON := strings.EqualFold(filepath.Ext(strings.TrimSuffix(name, ".gz")), ".json")
	if isJSON || beginsJSON(data) {
		raws, rest, err := jsonDocuments(data)
		// JSON after JSON is a stream of JSON, even if it is invalid. Anything else after it may be a marker
		// of YAML.
		if err == nil || isJSON || len(raws) > 0 && beginsJSON(rest) {
			if r.tooMany(len(raws)) {
				return
			}
			line, left := 1, data
			for i, raw := range raws {
				begins := bytes.Index(left, raw)
				line += bytes.Count(left[:begins], []byte("\n"))
				left = left[begins:]
				r.document(location{file: name, document: i + 1, line: line}, raw)
			}
			if err != nil {
				r.problem(location{file: name, document: len(raws) + 1}, "", "is not JSON: "+err.Error())
			}
			return
		}
	}
	documents := split(data)
	if r.tooMany(len(documents)) {
		return
	}
	for _, d := range documents {
		r.yaml(name, d)
	}
}

// tooMany reports whether a file has too many documents.
func (r *fileReader) tooMany(n int) bool {
	if r.maxDocuments == 0 || n <= r.maxDocuments {
		return false
	}
	r.unread = n
	return true
}

// yaml reads one document of YAML. Documents of JSON are YAML too, but are decoded much faster as JSON.
func (r *fileReader) yaml(name string, d document) {
	at := location{file: name, document: d.number, line: d.firstLine()}
	if beginsJSON(d.text) && json.Valid(d.text) {
		r.document(at, d.text)
		return
	}
	if reason := trailingContent(d); reason != "" {
		r.problem(at, "", reason)
		return
	}
	r.text = d.text
	defer func() { r.text = nil }()
	text := merged(d.text)
	raw, strictErr := yaml.YAMLToJSONStrict(text)
	if strictErr == nil {
		r.reportUnrendered(at, d, raw)
		r.document(at, raw)
		return
	}
	raw, err := yaml.YAMLToJSON(text)
	if err != nil {
		r.reportNotYAML(at, d, err)
		return
	}
	// A repeated key is a problem only in objects that decisions depend on, and in the fields that identify
	// an object.
	head := headOf(raw)
	if partOf(head) == partNone && !headTwice(text) {
		r.document(at, raw)
		return
	}
	if second := secondObject(d); second > 0 {
		r.problem(at, "", fmt.Sprintf("holds two objects with no --- between them: the second begins near line %d; write a "+
			"line of --- before it: cat writes none between files", second))
		return
	}
	r.problem(at.locate(head, r.namespace), "", "is ambiguous YAML: "+yamlError(strictErr, d.line))
}

// reportNotYAML reports text that the parser rejects, with the probable cause.
func (r *fileReader) reportNotYAML(at location, d document, err error) {
	message := "is not YAML: " + yamlError(err, d.line)
	switch line, dashes := dashesIn(d); {
	case dashes != "":
		message += fmt.Sprintf("; line %d is %q, which is no marker between documents: write ---", line, dashes)
	case gluedLine(d) > 0:
		message += fmt.Sprintf("; line %d has apiVersion behind other text, as where cat joins a file without a line end "+
			"to the next: write a line of --- between them", gluedLine(d))
	case hasPlaceholder(string(d.text)):
		message += "; " + renderFirst
	}
	r.problem(at, "", message)
}

// secondObject returns the line of the file at which a second object begins in a document: that of the second
// apiVersion, or of the kind if that comes before; 0 for none.
func secondObject(d document) int {
	versions, kinds, line, second := 0, 0, d.line, 0
	for text := range strings.Lines(string(d.text)) {
		line++
		switch {
		case strings.HasPrefix(text, "apiVersion:"):
			versions++
		case strings.HasPrefix(text, "kind:"):
			kinds++
		}
		if second == 0 && max(versions, kinds) == 2 {
			second = line
		}
	}
	if min(versions, kinds) < 2 { // one object that says something twice
		return 0
	}
	return second
}

// glued matches the head of an object behind other text.
var glued = regexp.MustCompile(`[^\s{\[,"']apiVersion: *\S`)

// gluedLine returns the line of the file at which the head of an object stands behind other text; 0 for none.
func gluedLine(d document) int {
	line := d.line
	for text := range strings.Lines(string(d.text)) {
		line++
		if !strings.HasPrefix(strings.TrimSpace(text), "#") && glued.MatchString(text) {
			return line
		}
	}
	return 0
}

// dashesIn returns a line of dashes that is no marker of YAML, and its number in the file.
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

// jsonDocuments returns the values of a stream of JSON. If one is invalid, rest is the text from there on.
func jsonDocuments(data []byte) (raws []json.RawMessage, rest []byte, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	for {
		var raw json.RawMessage
		switch err := decoder.Decode(&raw); {
		case errors.Is(err, io.EOF):
			return raws, nil, nil
		case err != nil:
			return raws, data[decoder.InputOffset():],
				errors.New(err.Error() + " near byte " + strconv.FormatInt(decoder.InputOffset(), 10))
		}
		raws = append(raws, raw)
	}
}

// yamlError returns an error of the parser in one line, with line numbers of the file.
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

// trailingContent returns a message if text follows the end of a document: the parser would ignore it.
// Otherwise it returns "".
func trailingContent(d document) string {
	decoder := yamlv2.NewDecoder(bytes.NewReader(d.text))
	if decoder.Decode(&anything{}) != nil {
		return "" // reported when the document is read
	}
	err := decoder.Decode(&anything{})
	if errors.Is(err, io.EOF) {
		return ""
	}
	return "more follows the end of the document" + trailingLine(err, d.line) + ": separate documents with ---"
}

// trailingLine returns the line at which the parser expected another document, in words. The parser counts
// from 0 and omits 0.
func trailingLine(err error, offset int) string {
	if err == nil {
		return "" // the document is the whole text
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

// An anything accepts any YAML and keeps nothing.
type anything struct{}

// UnmarshalYAML accepts any value.
func (*anything) UnmarshalYAML(func(any) error) error { return nil }

// headTwice reports whether a field that identifies the object is repeated.
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

// utf8Of removes the byte order mark. If the mark says UTF-16, which some shells write, it returns the text
// as UTF-8.
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
