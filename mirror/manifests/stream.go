package manifests

import (
	"context"
	"errors"
	"io"
	"os"
)

// stdinPath is the path of standard input.
const stdinPath = "-"

// A streams reads what can be read only once: standard input and pipes. It keeps the content, because files
// beside them may be read again.
type streams struct {
	stdin io.Reader
	// forget means that nothing will be read again.
	forget bool
	kept   map[string][]byte
}

var (
	errNoStdin = errors.New("there is no standard input")
	// errGone means that a stream was read already and not kept.
	errGone = errors.New("it can be read only once")
)

func newStreams(stdin io.Reader) *streams { return &streams{stdin: stdin, kept: map[string][]byte{}} }

// content returns the content of a file, or the kept content of a stream.
func (s *streams) content(ctx context.Context, f file) ([]byte, error) {
	if !f.once {
		data, err := os.ReadFile(f.path)
		if err != nil && f.relative == "" {
			err = unreadable(f.path, err)
		}
		return data, err
	}
	if data, ok := s.kept[f.path]; ok {
		return data, nil
	}
	data, err := s.read(ctx, f.path)
	if err != nil {
		return nil, &PathError{Path: f.path, Err: err}
	}
	if !s.forget {
		s.kept[f.path] = data
	}
	return data, nil
}

func (s *streams) read(ctx context.Context, path string) ([]byte, error) {
	if path == stdinPath {
		if s.stdin == nil {
			return nil, errNoStdin
		}
		return readAll(ctx, s.stdin)
	}
	pipe, err := os.Open(path)
	if err != nil {
		return nil, reasonOf(err)
	}
	defer pipe.Close() //nolint:errcheck // it is only read
	return readAll(ctx, pipe)
}

// readAll reads until the end, or until ctx ends. A read from a terminal cannot be interrupted: its goroutine
// stays until the input ends.
func readAll(ctx context.Context, from io.Reader) ([]byte, error) {
	type input struct {
		data []byte
		err  error
	}
	done := make(chan input, 1)
	go func() {
		data, err := io.ReadAll(from)
		done <- input{data, err}
	}()
	select {
	case in := <-done:
		return in.data, in.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
