package flows

import (
	"unicode/utf16"
	"unicode/utf8"
)

// special reports which bytes do not stand for themselves in a string.
var special = func() (table [256]bool) {
	for c := range 0x20 {
		table[c] = true
	}
	table['"'], table['\\'] = true, true
	return table
}()

// skipString goes behind a string. The position is at its first quote.
func (s *scanner) skipString() {
	data := s.data
	for i := s.pos + 1; i < len(data); i++ {
		c := data[i]
		if !special[c] {
			continue
		}
		switch c {
		case '"':
			s.pos = i + 1
			return
		case '\\':
			n := escapeLength(data[i:])
			if n == 0 {
				s.pos = i
				s.syntax()
				return
			}
			i += n - 1
		default:
			s.pos = i
			s.syntax()
			return
		}
	}
	s.pos = len(data)
	s.syntax()
}

// escapeLength returns how long the escape at the front of data is; 0 if it is none.
func escapeLength(data []byte) int {
	if len(data) < 2 {
		return 0
	}
	switch data[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if unit(data) >= 0 {
			return 6
		}
	}
	return 0
}

// unit returns the UTF-16 code unit that an escape \uXXXX at the front of data stands for; -1 if there is
// none.
func unit(data []byte) rune {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range data[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// str returns the content of a string, never nil, good until the next reset. As in encoding/json, what is no
// UTF-8 becomes U+FFFD.
func (s *scanner) str() []byte {
	if s.peek() != '"' {
		s.syntax()
		return nil
	}
	from := s.pos + 1
	for i := from; i < len(s.data); i++ {
		c := s.data[i]
		if c == '"' {
			s.pos = i + 1
			return s.data[from:i]
		}
		if special[c] || c >= utf8.RuneSelf {
			break
		}
	}
	s.skipString()
	if s.problem != "" {
		return nil
	}
	start := len(s.decoded)
	s.decode(s.data[from : s.pos-1])
	return s.decoded[start:len(s.decoded):len(s.decoded)]
}

// decode appends to decoded what the valid inside of a string stands for.
func (s *scanner) decode(text []byte) {
	for len(text) > 0 {
		if text[0] != '\\' {
			r, size := utf8.DecodeRune(text)
			s.decoded = utf8.AppendRune(s.decoded, r)
			text = text[size:]
			continue
		}
		if r := unit(text); r >= 0 {
			text = text[6:]
			if utf16.IsSurrogate(r) {
				if r = utf16.DecodeRune(r, unit(text)); r != utf8.RuneError {
					text = text[6:]
				}
			}
			s.decoded = utf8.AppendRune(s.decoded, r)
			continue
		}
		c := text[1]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		}
		s.decoded = append(s.decoded, c)
		text = text[2:]
	}
}
