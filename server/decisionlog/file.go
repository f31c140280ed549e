package decisionlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// A sink takes lines.
type sink interface {
	// write writes whole lines. After an error it is called again with the same lines, and goes on where it
	// stopped. It returns soon after interrupt.
	write(l *lines) error
	// reopen begins a new file. What l has left goes there, whole lines of it.
	reopen(l *lines) error
	// interrupt ends a write that waits for a reader, and makes later ones fail.
	interrupt()
	// close releases what the sink holds. l is what could not be written to the end.
	close(l *lines) error
	target() string
}

// lines are encoded records, as one text.
type lines struct {
	text []byte
	// records are the same one by one, for an [Exporter] alone.
	records []Record
	// dropped has the ends of lines that tell of dropped records.
	dropped []int
	// sent is how much of the text has been written.
	sent int
	// rejected is how many of the records were not taken, and never will be.
	rejected int
}

// whole returns where the last whole line that was written ends.
func (l *lines) whole() int { return bytes.LastIndexByte(l.text[:l.sent], '\n') + 1 }

// stalled is how long one attempt waits for the reader of a pipe.
const stalled = time.Second

var (
	// errNoReader: a FIFO that nobody reads.
	errNoReader = errors.New("nobody reads this FIFO: start its reader; until then records wait in the queue")
	// errStalled: the reader of a pipe does not read.
	errStalled = errors.New("its reader does not read: records wait in the queue, until it is full")
	// errInterrupted: the server ends.
	errInterrupted = errors.New("the server ends")
	// errLocked: another process is in the middle of a line, as when the disk is full.
	errLocked = errors.New("another process appends to it and does not come to the end of a line: give each server " +
		"a file of its own; until then records wait in the queue")
)

// fileMode lets those of the file's group read: a shipper of logs often is another user.
const fileMode = 0o640

// A file is a path that records are appended to, or standard output.
type file struct {
	path string
	w    io.Writer

	// mu guards the rest against interrupt.
	mu sync.Mutex
	f  *os.File // nil for standard output, and after a failure
	// regular is set for a file on disk.
	regular bool
	ended   bool
	// locked is set while this process has the lock. The writer alone uses it.
	locked bool
}

func (f *file) target() string {
	if f.path == Stdout {
		return "standard output"
	}
	return f.path
}

// open opens the path. Of a FIFO it does not wait for the reader.
func (f *file) open() error {
	opened, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, fileMode)
	if errors.Is(err, syscall.ENXIO) {
		return errNoReader
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, remedy(err))
	}
	info, err := opened.Stat()
	if err != nil {
		return errors.Join(err, opened.Close())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.f, f.w, f.regular = opened, opened, info.Mode().IsRegular()
	return nil
}

// remedy returns what to do about an error of opening.
func remedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "make the folder first, or give another path; - is standard output"
	case errors.Is(err, fs.ErrPermission):
		return "let this user write there, or give another path; - is standard output"
	case errors.Is(err, syscall.EISDIR):
		return "give the path of a file in it"
	default:
		return "give the path of a file that can be appended to; - is standard output"
	}
}

// write implements sink.
func (f *file) write(l *lines) error {
	if f.w == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	if err := f.lock(); err != nil {
		return err
	}
	for l.sent < len(l.text) {
		if err := f.await(); err != nil {
			return err
		}
		n, err := f.w.Write(l.text[l.sent:])
		l.sent += n
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && n > 0:
			// It reads, slowly.
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errStalled
		case f.full(err):
			if l.sent == l.whole() {
				f.unlock()
			}
			return err
		default:
			return errors.Join(err, f.leave(l))
		}
	}
	f.unlock()
	return nil
}

// lock takes the lock of a file on disk. It is kept until a line is whole, or taken off again.
func (f *file) lock() error {
	if !f.regular || f.locked {
		return nil
	}
	err := lock(f.f, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.ended
	})
	f.locked = err == nil
	return err
}

// unlock gives the lock back. Closing the file does so too.
func (f *file) unlock() {
	if f.locked {
		unlock(f.f)
		f.locked = false
	}
}

// full reports whether the same file is likely to take the rest later.
func (f *file) full(err error) bool {
	return f.path == Stdout || f.regular && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
}

// await limits the next write to a pipe.
func (f *file) await() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return errInterrupted
	}
	if f.f != nil && !f.regular {
		// What has no deadlines does not wait either, such as a device.
		_ = f.f.SetWriteDeadline(time.Now().Add(stalled))
	}
	return nil
}

// leave closes a file between or within lines. A line that was cut is written whole to the next file, and its
// beginning is taken off this one where that is possible.
func (f *file) leave(l *lines) error {
	cut := l.sent - l.whole()
	l.sent -= cut
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return nil
	}
	if f.regular && cut > 0 {
		if info, err := f.f.Stat(); err == nil && info.Size() >= int64(cut) {
			_ = f.f.Truncate(info.Size() - int64(cut))
		}
	}
	err := f.f.Close()
	f.f, f.w, f.locked = nil, nil, false
	return err
}

// reopen implements sink. While the path cannot be opened the present file stays in use.
func (f *file) reopen(l *lines) error {
	if f.path == Stdout {
		return nil
	}
	next := &file{path: f.path}
	if err := next.open(); err != nil {
		return err
	}
	err := f.leave(l)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.f, f.w, f.regular = next.f, next.w, next.regular
	return err
}

// interrupt implements sink.
func (f *file) interrupt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	if f.f != nil && !f.regular {
		_ = f.f.SetWriteDeadline(time.Unix(0, 1))
	}
}

// close implements sink.
func (f *file) close(l *lines) error { return f.leave(l) }
