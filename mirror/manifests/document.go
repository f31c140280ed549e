package manifests

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"

	"sigs.k8s.io/yaml"
)

// document is one document of a file, as it was written.
type document struct {
	// number is its place in the file, from 1.
	number int
	// line is the file's line before its first.
	line int
	text []byte
}

// file reads every document of a file.
func (r *reading) file(name string, data []byte) {
	r.sizes[name] = len(data)
	data, err := utf8Of(data)
	if err != nil {
		r.problem(place{file: name}, "", err.Error())
		return
	}
	isJSON := strings.EqualFold(filepath.Ext(name), ".json")
	if isJSON || beginsJSON(data) {
		raws, err := jsonDocuments(data)
		if err == nil {
			for i, raw := range raws {
				r.document(place{file: name, document: i + 1}, raw)
			}
			return
		}
		if isJSON {
			r.problem(place{file: name, document: len(raws) + 1}, "", "is not JSON: "+err.Error())
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
	raw, strictErr := yaml.YAMLToJSONStrict(d.text)
	if strictErr == nil {
		r.document(at, raw)
		return
	}
	raw, err := yaml.YAMLToJSON(d.text)
	if err != nil {
		message := "is not YAML: " + yamlError(err, d.line)
		if bytes.Contains(d.text, []byte("{{")) {
			message += `; it looks like a template: render it first, as "helm template" does, and read what comes of it`
		}
		r.problem(at, "", message)
		return
	}
	// A key that is given twice is wrong in what plays a part only.
	head := headOf(raw)
	if part := partOf(head); part == partNone {
		r.document(at, raw)
		return
	}
	r.problem(at.of(head, r.namespace), "", "is ambiguous YAML: "+yamlError(strictErr, d.line))
}

func beginsJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

// jsonDocuments are the values of a stream of JSON.
func jsonDocuments(data []byte) ([]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	var raws []json.RawMessage
	for {
		var raw json.RawMessage
		switch err := decoder.Decode(&raw); {
		case errors.Is(err, io.EOF):
			return raws, nil
		case err != nil:
			return raws, errors.New(err.Error() + " near byte " + strconv.FormatInt(decoder.InputOffset(), 10))
		}
		raws = append(raws, raw)
	}
}

// split divides a stream of YAML at its markers. What stands before the first marker is a document only if it is more than
// comments and directives.
func split(data []byte) []document {
	var docs []document
	current := document{number: 1}
	start, line, content, marked := 0, 0, false, false
	flush := func(end int) {
		if content || marked {
			current.text = data[start:end]
			if content {
				docs = append(docs, current)
			}
			current = document{number: current.number + 1}
		}
		content, marked = false, false
	}
	for at := 0; at < len(data); line++ {
		end := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		text := data[at:end]
		switch {
		case isMarker(text, "---"):
			flush(at)
			start, current.line, marked = at+3, line, true
			content = hasContent(text[3:])
		case isMarker(text, "..."):
			flush(at)
			start, current.line = end, line+1
		case !content && text[0] == '%': // a directive
			start, current.line = end, line+1
		default:
			content = content || hasContent(text)
		}
		at = end
	}
	flush(len(data))
	return docs
}

// isMarker tells whether a line is a marker of documents, which ends at a space or with the line.
func isMarker(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0)
}

func hasContent(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && line[0] != '#'
}

// yamlError is an error of YAML in one line, with the lines of the file.
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

// utf8Of takes the byte order mark away, and reads UTF-16, which some shells write, where that mark tells so.
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
