package manifests

import (
	"bytes"
	"encoding/json"
	"strings"

	"sigs.k8s.io/yaml"
)

// fileWithoutUnread returns the text of a file for [ReadOverlay] without what it does not read. Of an object that
// plays no part, such as a Secret, only apiVersion, kind, namespace and name are left. Documents keep their
// number and their first line. An object whose content ReadOverlay warns of stays as it is, unless it is a
// Secret. The text is that of a file which [ReadOverlayFiles] accepted.
func fileWithoutUnread(text string) string {
	data := []byte(text)
	var pieces []document
	if beginsJSON(data) {
		raws, rest, err := jsonDocuments(data)
		if err == nil || len(raws) > 0 && beginsJSON(rest) {
			at := 0
			for _, raw := range raws {
				at += bytes.Index(data[at:], raw)
				pieces = append(pieces, document{start: at, text: raw})
				at += len(raw)
			}
		}
	}
	if pieces == nil {
		pieces = split(data)
	}
	var out strings.Builder
	done := 0
	for _, d := range pieces {
		short := withoutUnread(jsonOf(d.text))
		if short == nil {
			continue
		}
		out.Write(data[done:d.start])
		// The lines of the file keep their numbers.
		before := d.firstLine() - d.line - 1
		out.WriteString(strings.Repeat("\n", before) + " ")
		out.Write(short)
		out.WriteString(strings.Repeat("\n", max(0, countLines(d.text)-before)))
		done = d.start + len(d.text)
	}
	out.Write(data[done:])
	return out.String()
}

// countLines returns how many line ends a text has.
func countLines(text []byte) int {
	n := 0
	for len(text) > 0 {
		end := lineEnd(text)
		if end < len(text) || strings.ContainsAny(string(text[len(text)-1:]), "\r\n") {
			n++
		}
		text = text[end:]
	}
	return n
}

// jsonOf returns a document of JSON or YAML as JSON; nil if it cannot be read.
func jsonOf(text []byte) []byte {
	if beginsJSON(text) && json.Valid(text) {
		return bytes.TrimSpace(text)
	}
	raw, err := yaml.YAMLToJSON(merged(text))
	if err != nil {
		return nil
	}
	return raw
}

// withoutUnread returns an object, or a list of objects, without what is not read; nil if all of it is.
func withoutUnread(raw []byte) []byte {
	if !beginsJSON(raw) {
		return nil
	}
	h := headOf(raw)
	switch {
	case h.Kind == "" || h.APIVersion == "" || isKustomize(h):
		return nil
	case partOf(h) == partItems:
		return itemsWithoutUnread(h, raw)
	case partOf(h) != partNone || h.Kind != "Secret" && isWarnedOf(h, raw):
		return nil
	}
	type metadata struct {
		Namespace text `json:"namespace,omitempty"`
		Name      text `json:"name,omitempty"`
	}
	short, err := json.Marshal(struct {
		APIVersion text     `json:"apiVersion"`
		Kind       text     `json:"kind"`
		Metadata   metadata `json:"metadata"`
	}{h.APIVersion, h.Kind, metadata{h.Metadata.Namespace, h.Metadata.Name}})
	if err != nil {
		return nil
	}
	return short
}

// itemsWithoutUnread does for a list what withoutUnread does. Items keep their indexes.
func itemsWithoutUnread(h head, raw []byte) []byte {
	kind := strings.TrimSuffix(string(h.Kind), "List")
	changed := false
	for i, item := range h.Items {
		if kind != "" && beginsJSON(item) {
			if ih := headOf(item); ih.Kind == "" && ih.APIVersion == "" {
				item = withHead(item, string(h.APIVersion), kind)
			}
		}
		if short := withoutUnread(item); short != nil {
			h.Items[i], changed = short, true
		}
	}
	var fields map[string]json.RawMessage
	if !changed || json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	items, err := json.Marshal(h.Items)
	if err != nil {
		return nil
	}
	fields["items"] = items
	short, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return short
}

// isWarnedOf reports whether reading an object that plays no part warns of its content.
func isWarnedOf(h head, raw []byte) bool {
	r := newReading(Options{Namespace: "default"})
	r.reportCarried(location{}.locate(h, r.namespace), h, raw)
	return len(r.problems) > 0
}
