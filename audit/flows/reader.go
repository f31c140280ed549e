package flows

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// A Reader reads the records of one input, one after the other. It holds one record and a buffer, however
// long the input and its lines are. It reads to the end once: what is appended to a file later is not read.
// It may be used by one goroutine at a time.
type Reader struct {
	name   string
	format Format
	lines  *lines
	gzip   bool
	// decode reads one line, in the formats in which a line is a record.
	decode func(line []byte, rec *Record)
	csv    *csvReader
	// held is the first line, which told the format; nil once it is read. heldLong reports whether the first
	// line is too long to be held.
	held       []byte
	heldLong   bool
	heldNumber int
	err        error
}

// An InputError is what is wrong with an input as a whole, or what ended it. The records before it stand.
type InputError struct {
	// File is the name of the input, and Line the line that was reached; 0 if none was.
	File string
	Line int
	// Problem says what is wrong and what to do.
	Problem string
	// Err is the error of the source; nil if it made none.
	Err error
}

func (e *InputError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Problem)
	}
	return fmt.Sprintf("%s: line %d: %s", e.File, e.Line, e.Problem)
}

// Unwrap returns Err.
func (e *InputError) Unwrap() error { return e.Err }

// Open returns a Reader of the records in from, which name stands for in records and errors. It reads as much
// as it needs to know the format: the first line. Gzip is known by its first bytes, and may have several
// members. The error is an *OptionError or *InputError. An input without any text has no records, but CSV
// needs its header.
func Open(name string, from io.Reader, o Options) (*Reader, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Reader{name: name, format: o.Format}
	if err := r.unpack(from); err != nil {
		return nil, err
	}
	if err := r.skipMark(); err != nil {
		return nil, err
	}
	if err := r.choose(o); err != nil {
		return nil, err
	}
	return r, nil
}

// Format returns the format that is read. It is Auto if the input is empty, so that there was nothing to
// tell.
func (r *Reader) Format() Format { return r.format }

// Next fills rec with the next record, whose old slices it uses again. It returns io.EOF at the end, and else
// an *InputError if the input cannot be read on. Then rec is not changed, and so it goes on. A record that is
// wrong in itself is no error but Malformed. Lines without text are no records; they are counted.
func (r *Reader) Next(rec *Record) error {
	if r.err != nil {
		return r.err
	}
	err := r.next(rec)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.failed(err)
	}
	r.err = err
	return err
}

// Waits reports whether Next may have to wait for the source, because what was read holds no whole line more.
func (r *Reader) Waits() bool {
	return r.held == nil && !r.heldLong && r.err == nil && !r.lines.hasLine()
}

func (r *Reader) next(rec *Record) error {
	if r.csv != nil {
		rec.reset(r.name, 0)
		err := r.csv.next(rec)
		if errors.Is(err, errTooLong) {
			rec.tooLong()
			return nil
		}
		return err
	}
	for {
		line, number, err := r.line()
		if err != nil && !errors.Is(err, errTooLong) {
			return err
		}
		if err == nil && len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		rec.reset(r.name, number)
		if err != nil {
			rec.tooLong()
		} else {
			r.decode(line, rec)
		}
		return nil
	}
}

// line takes a line, the held one first.
func (r *Reader) line() ([]byte, int, error) {
	if line := r.held; line != nil {
		r.held = nil
		return line, r.heldNumber, nil
	}
	if r.heldLong {
		r.heldLong = false
		return nil, r.heldNumber, errTooLong
	}
	return r.lines.line()
}

// unpack makes r read from, through gzip if its first bytes are those of gzip.
func (r *Reader) unpack(from io.Reader) error {
	// Reads that are larger than this buffer go past it.
	buffered := bufio.NewReaderSize(from, 4096)
	first, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return &InputError{File: r.name, Problem: err.Error(), Err: err}
	}
	r.lines = newLines(buffered)
	if string(first) != "\x1f\x8b" {
		return nil
	}
	r.gzip = true
	unpacked, err := gzip.NewReader(buffered)
	if err != nil {
		return r.failed(err)
	}
	r.lines = newLines(unpacked)
	return nil
}

// failed returns the error of an input that cannot be read on.
func (r *Reader) failed(err error) error {
	e := &InputError{File: r.name, Line: r.lines.number, Problem: err.Error(), Err: err}
	switch {
	case !r.gzip:
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		e.Err = io.ErrUnexpectedEOF // Never io.EOF, which means that all is read.
		e.Problem = "the file ends inside a gzip stream; the records after this line are missing: get it whole"
	case errors.Is(err, gzip.ErrHeader):
		e.Problem = "something that is no gzip follows a gzip stream; the rest is not read: get the file whole"
	default:
		e.Problem = "the gzip stream is damaged; the records after this line are missing: get the file again (" +
			err.Error() + ")"
	}
	return e
}

// skipMark drops the byte order mark of UTF-8, and returns an error for UTF-16.
func (r *Reader) skipMark() error {
	for len(r.lines.pending()) < 3 {
		if r.lines.fill() != nil {
			break // Whatever it is, the first line will meet it.
		}
	}
	switch text := r.lines.pending(); {
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		r.lines.take(3)
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return &InputError{File: r.name, Problem: "the text is UTF-16; write it as UTF-8"}
	}
	return nil
}

// reset empties rec but for its place, and keeps the room of its slices.
func (rec *Record) reset(file string, line int) {
	*rec = Record{
		File: file, Line: line,
		Question: rec.Question[:0], AllowedBy: rec.AllowedBy[:0], DeniedBy: rec.DeniedBy[:0],
	}
}

// malformed makes rec a record of which nothing but the problem is known.
func (rec *Record) malformed(problem string) {
	rec.reset(rec.File, rec.Line)
	rec.Why, rec.Problem = Malformed, problem
}

func (rec *Record) tooLong() {
	rec.malformed(fmt.Sprintf("record: is longer than %d bytes, and was skipped; leave out what is not needed",
		maxRecord))
}
