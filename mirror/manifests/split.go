package manifests

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// A document is one document of a file, as written.
type document struct {
	// number is its number in the file, from 1.
	number int
	// line is the number of lines in the file before it.
	line int
	// start is the index of text in the file.
	start int
	text  []byte
}

// firstLine returns the line of the file at which the content begins, from 1.
func (d *document) firstLine() int {
	line := d.line + 1
	for text := range bytes.Lines(d.text) {
		if hasContent(text) {
			return line
		}
		line++
	}
	return d.line + 1
}

// split divides a stream of YAML at its markers. The text before the first marker is a document only if it is
// more than comments and directives.
func split(data []byte) []document {
	var docs []document
	current := document{number: 1}
	start, line, content, marked := 0, 0, false, false
	flush := func(end int) {
		if content || marked {
			current.start, current.text = start, data[start:end]
			if content {
				docs = append(docs, current)
			}
			current = document{number: current.number + 1}
		}
		content, marked = false, false
	}
	for at := 0; at < len(data); line++ {
		end := at + lineEnd(data[at:])
		text := data[at:end]
		switch {
		case isMarker(text, "---"):
			flush(at)
			start, current.line, marked = at+3, line, true
			content = hasContent(text[3:])
		case isMarker(text, "..."):
			flush(at)
			start, current.line = at+3, line
			content = hasContent(text[3:])
		case !content && !marked && text[0] == '%': // a directive
			start, current.line = end, line+1
		default:
			content = content || hasContent(text)
		}
		at = end
	}
	flush(len(data))
	return docs
}

// breaks are the line ends of YAML 1.1: CR and LF, and NEL, LS and PS, which most readers of lines do not
// know.
const breaks = "\r\n\u0085\u2028\u2029"

// lineEnd returns the index after the first line and its break. It reads no byte twice, because a file may be
// one line of CRs.
func lineEnd(data []byte) int {
	for i, b := range data {
		rest := data[i:]
		switch b {
		case '\n':
			return i + 1
		case '\r':
			if bytes.HasPrefix(rest, []byte("\r\n")) {
				return i + 2
			}
			return i + 1
		case "\u0085"[0], "\u2028"[0]:
			if r, size := utf8.DecodeRune(rest); strings.ContainsRune(breaks, r) {
				return i + size
			}
		}
	}
	return len(data)
}

// isMarker reports whether a line is a document marker, which ends at a space or with the line.
func isMarker(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	if !ok || len(rest) == 0 {
		return ok
	}
	r, _ := utf8.DecodeRune(rest)
	return strings.ContainsRune(" \t"+breaks, r)
}

func hasContent(line []byte) bool {
	line = bytes.Trim(line, " \t"+breaks)
	return len(line) > 0 && line[0] != '#'
}
