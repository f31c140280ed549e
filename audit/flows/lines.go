package flows

import (
	"bytes"
	"errors"
	"io"
)

// maxRecord is the longest record, in bytes (A8).
const maxRecord = 1 << 20

// firstBuffer is how much is read at once.
const firstBuffer = 64 << 10

// maxEmptyReads is how often a source may return nothing, without an error, before that is one.
const maxEmptyReads = 100

// errTooLong is the error of a record longer than maxRecord.
var errTooLong = errors.New("longer than a record may be")

// lines is a source of lines. It holds what was read and not yet taken: at most one record and what was read
// along with it.
//
//	buf:  ....taken....|start   not taken   end|....free....
type lines struct {
	from       io.Reader
	buf        []byte
	start, end int
	// err is why nothing more can be read, io.EOF at the end.
	err error
	// number is the line that start is in, from 1.
	number int
	// before is where the line began that was taken last, and beforeNumber its number.
	before, beforeNumber int
}

func newLines(from io.Reader) *lines {
	return &lines{from: from, buf: make([]byte, firstBuffer), number: 1}
}

// pending returns what was read and not yet taken.
func (l *lines) pending() []byte { return l.buf[l.start:l.end] }

// fill reads more, so that pending grows at its end. It returns the error that ended reading, once there is
// nothing more, and errTooLong when pending has no room to grow.
func (l *lines) fill() error {
	if l.err != nil {
		return l.err
	}
	if l.end == len(l.buf) || l.start > len(l.buf)/2 {
		if err := l.makeRoom(); err != nil {
			return err
		}
	}
	for range maxEmptyReads {
		n, err := l.from.Read(l.buf[l.end:])
		l.end += n
		l.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	l.err = io.ErrNoProgress
	return l.err
}

func (l *lines) makeRoom() error {
	held := l.end - l.start
	if held > maxRecord+2 { // A record and its line ending.
		return errTooLong
	}
	into := l.buf
	if held > len(l.buf)/2 && len(l.buf) < 2*maxRecord {
		into = make([]byte, 2*len(l.buf))
	}
	copy(into, l.pending())
	l.buf, l.start, l.end = into, 0, held
	return nil
}

// take removes n bytes from the front of pending.
func (l *lines) take(n int) {
	l.number += bytes.Count(l.buf[l.start:l.start+n], newline)
	l.start += n
}

var newline = []byte{'\n'}

// line takes one line and returns it without its ending, which is "\n" or "\r\n", and its number. The bytes
// are good until the next call. The last line may lack its ending. A line that is too long is skipped without
// being held and returned as errTooLong. Any other error ends the lines. It may cut off a line, which is then
// not returned.
func (l *lines) line() ([]byte, int, error) {
	number := l.number
	seen := 0
	for {
		if i := bytes.IndexByte(l.buf[l.start+seen:l.end], '\n'); i >= 0 {
			text := trimReturn(l.buf[l.start : l.start+seen+i])
			l.before, l.beforeNumber = l.start, number
			l.start += seen + i + 1
			l.number++
			if len(text) > maxRecord {
				return nil, number, errTooLong
			}
			return text, number, nil
		}
		seen = l.end - l.start
		switch err := l.fill(); {
		case err == nil:
		case errors.Is(err, errTooLong):
			return nil, number, l.skipLine()
		case errors.Is(err, io.EOF) && seen > 0:
			text := trimReturn(l.pending())
			l.before, l.beforeNumber = l.start, number
			l.start = l.end
			if len(text) > maxRecord {
				return nil, number, errTooLong
			}
			return text, number, nil
		default:
			return nil, number, err
		}
	}
}

// giveBack undoes the last call of line, which must have returned a line.
func (l *lines) giveBack() { l.start, l.number = l.before, l.beforeNumber }

// skipLine drops the rest of a line that is too long and returns errTooLong, or the error that cut the line
// off.
func (l *lines) skipLine() error {
	for {
		if i := bytes.IndexByte(l.pending(), '\n'); i >= 0 {
			l.start += i + 1
			l.number++
			return errTooLong
		}
		l.start = l.end
		if err := l.fill(); errors.Is(err, io.EOF) {
			return errTooLong
		} else if err != nil {
			return err
		}
	}
}

// hasLine reports whether another line can be taken without waiting for the source.
func (l *lines) hasLine() bool {
	return l.err != nil || bytes.IndexByte(l.pending(), '\n') >= 0
}

func trimReturn(text []byte) []byte {
	if n := len(text); n > 0 && text[n-1] == '\r' {
		return text[:n-1]
	}
	return text
}
