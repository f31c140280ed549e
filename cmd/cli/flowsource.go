package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/netpold/netpold/audit/flows"
)

// A flowSource yields records. One goroutine uses it.
type flowSource interface {
	// Next fills a record, whose slices it may use again. It returns [io.EOF] after the last one.
	Next(*flows.Record) error
	// Waits reports whether Next may block, so that what was read is answered first.
	Waits() bool
	// tellsDrops reports whether a record without a verdict is of a drop, as with Hubble, which tells every verdict.
	// It is asked after Next, about its record.
	tellsDrops() bool
}

// A flowInput is a source of which the progress can be told.
type flowInput interface {
	flowSource
	// progress returns how many records were read, and how many bytes of how many; total is 0 if nobody knows. It
	// is safe for concurrent use.
	progress() (records, done, total int64)
	// failures returns why records are missing, after the end.
	failures() []error
	// close ends the source, also while Next waits.
	close()
}

// A flowFiles reads files one after the other. A file that cannot be read to its end does not keep back the
// next ones.
type flowFiles struct {
	stdin   io.Reader
	paths   []string
	options flows.Options

	reader *flows.Reader
	file   *os.File // nil for standard input
	// live are the files that are no regular ones, such as named pipes: opened twice, their writer would break.
	live map[int]*os.File
	// opened is how many paths were opened, and waits reports whether the last of them is no regular file.
	opened int
	waits  bool
	// done is how many bytes were read, of total; total is 0 if nobody knows.
	done, total atomic.Int64
	// records is how many records were read.
	records atomic.Int64
	// failed are the errors of inputs that were not read to their end.
	failed []error
}

// openFlows returns a source of the records of files. All must be there: it opens each once. "-" is standard
// input.
func (inv *invocation) openFlows(paths []string, options flows.Options) (*flowFiles, error) {
	f := &flowFiles{stdin: inv.stdin, paths: paths, options: options, live: map[int]*os.File{}}
	known := true
	for i, path := range paths {
		regular := false
		if path != "-" {
			var err error
			if regular, err = f.find(i, path); err != nil {
				return nil, err
			}
		}
		known = known && regular
	}
	if !known {
		f.total.Store(0)
	}
	return f, nil
}

// find opens a file, to see that it can be read, and reports whether it is a regular one.
func (f *flowFiles) find(i int, path string) (regular bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("%w: give files that can be read, or - for standard input", err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("%s: %w", path, err)
	case info.IsDir():
		err = fmt.Errorf("%s is a directory: give the files in it", path)
	case !info.Mode().IsRegular():
		f.live[i] = file
		return false, nil
	default:
		f.total.Add(info.Size())
	}
	return true, errors.Join(err, file.Close())
}

// Next implements [flowSource]. Its only error is [io.EOF] or an error of the options.
func (f *flowFiles) Next(r *flows.Record) error {
	for {
		if f.reader == nil {
			if f.opened == len(f.paths) {
				return io.EOF
			}
			if err := f.open(); err != nil {
				return err
			}
			continue
		}
		err := f.reader.Next(r)
		if err == nil {
			f.records.Add(1)
			return nil
		}
		if !errors.Is(err, io.EOF) || errors.As(err, new(*flows.InputError)) {
			f.failed = append(f.failed, err)
		}
		f.closeFile()
	}
}

// open opens the next file. Without an error it may have none: then the file cannot be read.
func (f *flowFiles) open() error {
	path := f.paths[f.opened]
	live := f.live[f.opened]
	f.opened++
	from := f.stdin
	f.waits = path == "-" || live != nil
	if path != "-" {
		if f.file = live; live == nil {
			var err error
			if f.file, err = os.Open(path); err != nil {
				f.failed = append(f.failed, err)
				return nil
			}
		}
		from = upToNow(f.file)
	}
	reader, err := flows.Open(path, &countingReader{from, &f.done}, f.options)
	switch {
	case err == nil:
		f.reader = reader
		return nil
	case errors.As(err, new(*flows.InputError)):
		f.failed = append(f.failed, err)
	default:
		f.closeFile()
		return err
	}
	f.closeFile()
	return nil
}

// upToNow returns what a regular file has now: the log of the server that is asked would grow with each record. A
// file of no size, such as those in /proc, may have text.
func upToNow(file *os.File) io.Reader {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return file
	}
	return io.LimitReader(file, info.Size())
}

func (f *flowFiles) progress() (records, done, total int64) {
	return f.records.Load(), f.done.Load(), f.total.Load()
}

func (f *flowFiles) failures() []error { return f.failed }

// close does nothing: what waits for an input cannot be stopped, and the process ends.
func (*flowFiles) close() {}

func (f *flowFiles) closeFile() {
	if f.file != nil {
		f.file.Close() //nolint:errcheck,gosec // it is only read
	}
	f.reader, f.file = nil, nil
}

// tellsDrops implements [flowSource].
func (f *flowFiles) tellsDrops() bool { return f.reader != nil && f.reader.Format() == flows.Hubble }

// Waits implements [flowSource]. A regular file never makes it wait.
func (f *flowFiles) Waits() bool { return f.waits && f.reader != nil && f.reader.Waits() }

// A countingReader counts the bytes that are read.
type countingReader struct {
	from io.Reader
	n    *atomic.Int64
}

// Read implements [io.Reader].
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n.Add(int64(n))
	return n, err
}
