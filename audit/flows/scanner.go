package flows

import (
	"bytes"
	"fmt"
)

// maxDepth is how deep objects and arrays may lie in each other, as in encoding/json.
const maxDepth = 10_000

// A scanner reads one JSON text from left to right and skips what nobody asks for. It takes the same texts as
// encoding/json and reads the same values from them, several times faster, since it builds nothing.
//
//	for more := s.enter('{', '}'); more; more = s.next('}') {
//		switch string(s.key()) {
//		case "port":
//			port := s.scalar("port")
//		default:
//			s.skip()
//		}
//	}
//
// After the first mistake it stands at the end of the text, and every call returns zero values.
type scanner struct {
	data  []byte
	pos   int
	depth int
	// problem is the first mistake; empty if there is none.
	problem string
	// decoded holds strings with escapes, until the next reset.
	decoded []byte
}

// reset makes s read data. What it returned before is not good any more.
func (s *scanner) reset(data []byte) {
	s.data, s.pos, s.depth, s.problem, s.decoded = data, 0, 0, "", s.decoded[:0]
}

// reject records a mistake, if it is the first.
func (s *scanner) reject(problem string) {
	if s.problem == "" {
		s.problem = problem
	}
	s.pos = len(s.data)
}

// syntax records that the text is no JSON at the position.
func (s *scanner) syntax() {
	if s.problem != "" {
		return
	}
	if s.pos >= len(s.data) {
		s.reject("record: the JSON ends too early; give one whole JSON object a line, as jq -c writes them")
		return
	}
	s.reject(fmt.Sprintf("record: %s at byte %d is no JSON; give one JSON object a line",
		quotedBytes(s.data[s.pos:min(len(s.data), s.pos+20)]), s.pos))
}

// peek returns the first byte of the next token, and 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// enter goes into an object or array and reports whether there is something in it.
func (s *scanner) enter(open, end byte) bool {
	if s.peek() != open {
		s.syntax()
		return false
	}
	if s.depth++; s.depth > maxDepth {
		s.reject(fmt.Sprintf("record: more than %d objects and arrays in each other; leave them out", maxDepth))
		return false
	}
	s.pos++
	if s.peek() == end {
		s.pos++
		s.depth--
		return false
	}
	return true
}

// next goes to the next member or element and reports whether there is one.
func (s *scanner) next(end byte) bool {
	switch s.peek() {
	case ',':
		s.pos++
		return true
	case end:
		s.pos++
		s.depth--
		return false
	}
	s.syntax()
	return false
}

// end records a mistake if text follows.
func (s *scanner) end() {
	if s.peek() != 0 || s.pos < len(s.data) {
		s.syntax()
	}
}

// key returns the key of a member, good until the next reset.
func (s *scanner) key() []byte {
	text := s.str()
	if s.peek() != ':' {
		s.syntax()
		return nil
	}
	s.pos++
	return text
}

// scalar returns a string's content, or a number, true or false as written; nil for null, and not nil
// otherwise. An object or array is a mistake in the field.
func (s *scanner) scalar(field string) []byte {
	switch c := s.peek(); c {
	case '"':
		return s.str()
	case '{', '[':
		s.reject(fmt.Sprintf("%s: an object or array is no value of it; give a text or number", field))
		return nil
	default:
		text := s.raw()
		if c == 'n' {
			return nil
		}
		return text
	}
}

// object reports whether an object comes next, and enters it. null is skipped, and anything else a mistake in
// the field. If the object is empty, nothing is to be read.
func (s *scanner) object(field string) bool { return s.group(field, '{', '}', "an object") }

// array does the same for an array.
func (s *scanner) array(field string) bool { return s.group(field, '[', ']', "an array") }

func (s *scanner) group(field string, open, end byte, what string) bool {
	switch s.peek() {
	case open:
		return s.enter(open, end)
	case 'n':
		s.skip()
		return false
	}
	text := s.raw()
	if s.problem == "" {
		s.reject(fmt.Sprintf("%s: %s is not %s; give %s", field, quotedBytes(text), what, what))
	}
	return false
}

// raw skips a value and returns it as it is written.
func (s *scanner) raw() []byte {
	s.peek()
	from := s.pos
	s.skip()
	if s.problem != "" {
		return nil
	}
	return s.data[from:s.pos]
}

// skip goes behind a value.
func (s *scanner) skip() {
	switch c := s.peek(); c {
	case '"':
		s.skipString()
	case '{':
		for more := s.enter('{', '}'); more; more = s.next('}') {
			if s.peek() != '"' {
				s.syntax()
				return
			}
			s.skipString()
			if s.peek() != ':' {
				s.syntax()
				return
			}
			s.pos++
			s.skip()
		}
	case '[':
		for more := s.enter('[', ']'); more; more = s.next(']') {
			s.skip()
		}
	case 't':
		s.skipWord("true")
	case 'f':
		s.skipWord("false")
	case 'n':
		s.skipWord("null")
	default:
		s.skipNumber()
	}
}

func (s *scanner) skipWord(word string) {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
		s.syntax()
		return
	}
	s.pos += len(word)
}

// skipNumber goes behind a number: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) skipNumber() {
	if s.at('-') {
		s.pos++
	}
	if s.at('0') {
		s.pos++
	} else if !s.skipDigits() {
		return
	}
	if s.at('.') {
		s.pos++
		if !s.skipDigits() {
			return
		}
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		s.skipDigits()
	}
}

func (s *scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

// skipDigits goes behind one digit or more. It reports whether there was one; else that is a mistake.
func (s *scanner) skipDigits() bool {
	from := s.pos
	for s.pos < len(s.data) && s.data[s.pos]-'0' <= 9 {
		s.pos++
	}
	if s.pos == from {
		s.syntax()
		return false
	}
	return true
}
