package flows

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// csvReader reads CSV as RFC 4180 has it, with a header. What is in quotes may hold line breaks.
type csvReader struct {
	values
	lines     *lines
	delimiter []byte
	// width is how many cells the header has, and cell the one of each value; -1 if there is none.
	width int
	cell  [columnCount]int
	// cells are the cells of the present record: ranges of the text, or of unquoted.
	cells    []csvCell
	unquoted []byte
}

// csvCell is a cell: from its first byte to before its last, in unquoted if it was quoted.
type csvCell struct {
	from, to int
	quoted   bool
}

// A csvError is the mistake of a record that is no CSV.
type csvError string

func (m csvError) Error() string { return string(m) }

func newCSVReader(o Options, names *names, lines *lines) *csvReader {
	delimiter := o.Delimiter
	if delimiter == 0 {
		delimiter = ','
	}
	return &csvReader{values: values{names: names}, lines: lines, delimiter: utf8.AppendRune(nil, delimiter)}
}

// header reads the header and finds the columns in it. The error says what is wrong with them.
func (c *csvReader) header(o Options) error {
	_, text, err := c.split()
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the header is missing; give a first line that names the columns, such as " +
			"src,dst,port,protocol,verdict")
	case errors.Is(err, errTooLong):
		return fmt.Errorf("the header is longer than %d bytes; give a first line that names the columns", maxRecord)
	case err != nil:
		return err
	}
	found := make([]string, len(c.cells))
	for i := range found {
		found[i] = string(trimSpace(c.content(text, i)))
	}
	c.width = len(found)
	for i, columns := range columnsOf(o) {
		if c.cell[i], err = c.find(found, columns, columnNames[i]); err != nil {
			return err
		}
	}
	for i, name := range columnNames {
		mapped := o.Columns[name]
		if c.cell[i] < 0 && (mapped != "" || i <= colPort) {
			return missingColumn(name, mapped, found)
		}
	}
	return nil
}

// find returns where the first of the columns is that the header has; -1 if it has none.
func (c *csvReader) find(found, columns []string, name string) (int, error) {
	for _, column := range columns {
		at := -1
		for i, f := range found {
			switch {
			case f != column:
			case at >= 0:
				return 0, fmt.Errorf("the header has the column %s twice, for %s; rename one, or map %s to another",
					quoted(column), name, name)
			default:
				at = i
			}
		}
		if at >= 0 {
			return at, nil
		}
	}
	return -1, nil
}

// maxShown is how many columns an error lists.
const maxShown = 20

func missingColumn(name, mapped string, found []string) error {
	var b strings.Builder
	for i, f := range found {
		if i == maxShown {
			fmt.Fprintf(&b, " and %d more", len(found)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoted(f))
	}
	wanted := quoted(name)
	if mapped != "" {
		wanted = quoted(mapped)
	}
	remedy := fmt.Sprintf("give a header, or map them with --columns %s=COLUMN", name)
	if len(found) == 1 && strings.ContainsAny(found[0], ";\t|") {
		remedy += "; or give its --delimiter"
	}
	return fmt.Errorf("the header has no column %s for %s but %s; %s", wanted, name, b.String(), remedy)
}

// next fills rec by the next record.
func (c *csvReader) next(rec *Record) error {
	number, text, err := c.split()
	rec.Line = number
	if err != nil {
		var mistake csvError
		if !errors.As(err, &mistake) {
			return err
		}
		rec.malformed(string(mistake))
		return nil
	}
	if len(c.cells) != c.width {
		rec.malformed(fmt.Sprintf("record: %d cells where the header has %d; quote cells that hold %q, "+
			"and leave none out", len(c.cells), c.width, c.delimiter))
		return nil
	}
	c.rec = rec
	for i, at := range c.cell {
		c.text[i] = nil
		if at < 0 {
			continue
		}
		if text := c.content(text, at); string(text) != "-" { // As AWS writes what is not known.
			c.text[i] = text
		}
	}
	c.record()
	return nil
}

func (c *csvReader) content(text []byte, i int) []byte {
	cell := c.cells[i]
	if cell.quoted {
		return c.unquoted[cell.from:cell.to]
	}
	return text[cell.from:cell.to]
}

// split takes one record and finds its cells. It returns the record's first line and its text, which is good
// until the next call. Empty lines are skipped. After a csvError, or errTooLong, it goes on with the next
// line.
func (c *csvReader) split() (number int, text []byte, err error) {
	for {
		number = c.lines.number
		line, n, err := c.lines.line()
		if err != nil {
			return n, nil, err
		}
		if len(line) == 0 {
			continue
		}
		c.cells, c.unquoted = c.cells[:0], c.unquoted[:0]
		if bytes.IndexByte(line, '"') < 0 {
			c.splitPlain(line)
			return number, line, nil
		}
		text, err = c.splitQuoted()
		return number, text, err
	}
}

// splitPlain finds the cells of a line without quotes.
func (c *csvReader) splitPlain(line []byte) {
	from := 0
	for {
		i := bytes.Index(line[from:], c.delimiter)
		if i < 0 {
			c.cells = append(c.cells, csvCell{from: from, to: len(line)})
			return
		}
		c.cells = append(c.cells, csvCell{from: from, to: from + i})
		from += i + len(c.delimiter)
	}
}
