package flows

import (
	"bytes"
	"errors"
	"io"
)

// The mistakes that quotes can make.
const (
	errBareQuote csvError = `record: a quote stands inside a cell; put the whole cell in quotes and double ` +
		`each quote inside`
	errAfterQuote csvError = `record: text follows the quote that closes a cell; double each quote inside a cell`
	errOpenQuote  csvError = `record: a quote opens a cell and none closes it within 1 MiB; close it`
)

// splitQuoted finds the cells of the record whose first line was just taken and has a quote in it. It takes
// what else the record reaches over, and returns its text.
func (c *csvReader) splitQuoted() ([]byte, error) {
	l := c.lines
	l.giveBack()
	n, err := c.scanQuoted()
	if err != nil {
		var mistake csvError
		if errors.As(err, &mistake) {
			_, _, _ = l.line() // It was there before, so that it is there again.
		}
		return nil, err
	}
	text := l.pending()[:n]
	l.take(n)
	return text, nil
}

// scanQuoted finds the cells of the record at the front of what is pending, and returns its length.
func (c *csvReader) scanQuoted() (int, error) {
	for pos := 0; ; {
		next, err := c.cellAt(pos)
		if err != nil {
			return 0, err
		}
		ended, size, err := c.behindCell(next)
		if err != nil || ended {
			return next + size, err
		}
		pos = next + size
	}
}

// cellAt adds the cell at pos and returns the position behind it.
func (c *csvReader) cellAt(pos int) (int, error) {
	if ok, err := c.has(pos, 1); err != nil {
		return 0, err
	} else if ok && c.lines.pending()[pos] == '"' {
		return c.quotedCell(pos + 1)
	}
	end, err := c.endOfLine(pos)
	if err != nil {
		return 0, err
	}
	text := c.lines.pending()[pos:end]
	if i := bytes.Index(text, c.delimiter); i >= 0 {
		text = text[:i]
	} else {
		text = trimReturn(text)
	}
	if bytes.IndexByte(text, '"') >= 0 {
		return 0, errBareQuote
	}
	c.cells = append(c.cells, csvCell{from: pos, to: pos + len(text)})
	return pos + len(text), nil
}

// quotedCell adds the cell whose opening quote is before pos.
func (c *csvReader) quotedCell(pos int) (int, error) {
	from := len(c.unquoted)
	for {
		i, err := c.indexFrom(pos, '"')
		if err != nil {
			return 0, err
		}
		if i < 0 {
			return 0, errOpenQuote
		}
		c.unquote(c.lines.pending()[pos:i])
		pos = i + 1
		if ok, err := c.has(pos, 1); err != nil {
			return 0, err
		} else if !ok || c.lines.pending()[pos] != '"' {
			c.cells = append(c.cells, csvCell{from: from, to: len(c.unquoted), quoted: true})
			return pos, nil
		}
		c.unquoted = append(c.unquoted, '"')
		pos++
	}
}

// unquote appends what stands between quotes, with "\n" for every line ending.
func (c *csvReader) unquote(text []byte) {
	for {
		i := bytes.Index(text, []byte("\r\n"))
		if i < 0 {
			c.unquoted = append(c.unquoted, text...)
			return
		}
		c.unquoted = append(append(c.unquoted, text[:i]...), '\n')
		text = text[i+2:]
	}
}

// behindCell reports whether the record ends at pos, and how long the delimiter or line ending there is.
func (c *csvReader) behindCell(pos int) (ended bool, size int, err error) {
	if _, err := c.has(pos, max(2, len(c.delimiter))); err != nil {
		return false, 0, err
	}
	switch rest := c.lines.pending()[pos:]; {
	case bytes.HasPrefix(rest, c.delimiter):
		return false, len(c.delimiter), nil
	case len(rest) == 0:
		return true, 0, nil
	case rest[0] == '\n':
		return true, 1, nil
	case string(rest) == "\r":
		return true, 1, nil
	case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
		return true, 2, nil
	}
	return false, 0, errAfterQuote
}

// has reads until n bytes are pending at pos, and reports whether they are. The input may end before.
func (c *csvReader) has(pos, n int) (bool, error) {
	for len(c.lines.pending()) < pos+n {
		if err := c.more(pos); errors.Is(err, io.EOF) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return true, nil
}

// indexFrom returns where the next b at or behind pos is; -1 if the input ends before.
func (c *csvReader) indexFrom(pos int, b byte) (int, error) {
	for {
		if i := bytes.IndexByte(c.lines.pending()[pos:], b); i >= 0 {
			return pos + i, nil
		}
		pos = len(c.lines.pending())
		if err := c.more(pos); errors.Is(err, io.EOF) {
			return -1, nil
		} else if err != nil {
			return 0, err
		}
	}
}

// endOfLine returns where the line ends that pos is in.
func (c *csvReader) endOfLine(pos int) (int, error) {
	i, err := c.indexFrom(pos, '\n')
	if i < 0 {
		i = len(c.lines.pending())
	}
	return i, err
}

// more reads on in a record that is pos long so far. It returns errOpenQuote if the record gets too long: the
// first line alone was not.
func (c *csvReader) more(pos int) error {
	if pos > maxRecord {
		return errOpenQuote
	}
	err := c.lines.fill()
	if errors.Is(err, errTooLong) {
		return errOpenQuote
	}
	return err
}
