package cli

import (
	"errors"
	"fmt"
	"io"
)

// An outputWriter is standard output. It remembers that a write failed, since output that could not be written
// is an error of every verb (A7), also of those that do not look, such as help. It is not safe for concurrent
// use.
type outputWriter struct {
	w   io.Writer
	err error // the first error
}

// Write implements [io.Writer]. After an error it writes nothing more.
func (o *outputWriter) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	if err != nil {
		o.err = err
	}
	return n, err
}

// join returns the error of a verb, or that of writing if it outranks it: a verb that is done, or whose
// condition is met, is not done if its output is lost.
func (o *outputWriter) join(err error) error {
	isMet := errors.Is(err, errDenied) || errors.Is(err, errFailed) || errors.Is(err, errFindings) || errors.Is(err, errChanged)
	if o.err == nil || err != nil && !isMet {
		return err
	}
	return fmt.Errorf("writing the output: %w", o.err)
}

// unremembered returns what w writes to, for output that may fail and be tried again.
func unremembered(w io.Writer) io.Writer {
	if out, ok := w.(*outputWriter); ok {
		return out.w
	}
	return w
}
