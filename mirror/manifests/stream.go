package manifests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// stdinPath is the path of standard input.
const stdinPath = "-"

// A streams reads files. It keeps what can be read only once, standard input and pipes, because files beside
// them may be read again.
type streams struct {
	stdin io.Reader
	// most is how many bytes all files together may have.
	most int64
	// forget means that nothing will be read again.
	forget bool
	kept   map[string][]byte
	// types are what the named paths were when they were listed first.
	types map[string]fs.FileMode
}

var (
	errNoStdin = errors.New("there is no standard input")
	// errGone means that a stream was read already and not kept.
	errGone = errors.New("it can be read only once")
)

// newStreams returns what reads the files of the options for the first time.
func newStreams(o Options) *streams {
	return &streams{stdin: o.Stdin, most: o.most(), kept: map[string][]byte{}, types: map[string]fs.FileMode{}}
}

// changedType returns an error if a named path is something else than it was when it was listed first. A pipe in place of a
// file would never end, and an empty directory would remove what the file held.
func (s *streams) changedType(path string, mode fs.FileMode) error {
	was, known := s.types[path]
	if !known {
		s.types[path] = mode.Type()
		return nil
	}
	if was == mode.Type() {
		return nil
	}
	return remediedError(fmt.Sprintf("is %s now and was %s: put back what it was", typeOf(mode), typeOf(was)))
}

// noFile returns the error of an entry of a directory that has the name of a manifest and is no file.
func noFile(mode fs.FileMode) error {
	return remediedError("is " + typeOf(mode) + ", and no file: remove it, or give it a name that is no manifest's")
}

// typeOf returns in words what a path leads to.
func typeOf(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "a file"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// content returns the content of a file, or the kept content of a stream, and what the system knows of the file. left
// is how many bytes the content may have.
func (s *streams) content(ctx context.Context, f file, left int64) ([]byte, fs.FileInfo, error) {
	if !f.once {
		data, info, err := s.readFile(f.path, left)
		if err != nil && f.relative == "" {
			err = unreadable(f.path, err)
		}
		return data, info, err
	}
	if data, ok := s.kept[f.path]; ok {
		return data, nil, nil
	}
	data, err := s.read(ctx, f.path, left)
	if err != nil {
		return nil, nil, &PathError{Path: f.path, Err: err}
	}
	if !s.forget {
		s.kept[f.path] = data
	}
	return data, nil, nil
}

// readFile returns the content of a file.
func (s *streams) readFile(path string, left int64) ([]byte, fs.FileInfo, error) {
	opened, info, err := s.open(path, left)
	if err != nil {
		return nil, nil, err
	}
	defer opened.Close() //nolint:errcheck // it is only read
	data, err := s.bounded(opened, left)
	return data, info, err
}

// open opens a file. It does not wait: what is a pipe by now has no writer perhaps.
func (s *streams) open(path string, left int64) (*os.File, fs.FileInfo, error) {
	opened, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := opened.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = noFile(info.Mode())
	case info.Size() > left:
		err = s.tooLarge()
	}
	if err != nil {
		_ = opened.Close() // nothing was written
		return nil, nil, err
	}
	return opened, info, nil
}

// bounded reads to the end, or fails if that is more than left bytes.
func (s *streams) bounded(from io.Reader, left int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, left+1))
	if err == nil && int64(len(data)) > left {
		return nil, s.tooLarge()
	}
	return data, err
}

// tooLarge returns the error of a file after which all files have too many bytes.
func (s *streams) tooLarge() error {
	return remediedError(fmt.Sprintf("makes more than %d bytes of manifests, which is the limit: leave out what plays no part, "+
		"or set --max-manifest-bytes to more", s.most))
}

func (s *streams) read(ctx context.Context, path string, left int64) ([]byte, error) {
	if path == stdinPath {
		if s.stdin == nil {
			return nil, errNoStdin
		}
		return s.readAll(ctx, s.stdin, left)
	}
	pipe, err := os.Open(path)
	if err != nil {
		return nil, reasonOf(err)
	}
	defer pipe.Close() //nolint:errcheck // it is only read
	return s.readAll(ctx, pipe, left)
}

// readAll reads until the end, or until ctx ends. A read from a terminal cannot be interrupted: its goroutine
// stays until the input ends.
func (s *streams) readAll(ctx context.Context, from io.Reader, left int64) ([]byte, error) {
	type input struct {
		data []byte
		err  error
	}
	done := make(chan input, 1)
	go func() {
		data, err := s.bounded(from, left)
		done <- input{data, err}
	}()
	select {
	case in := <-done:
		return in.data, in.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
