package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/cmd/render"
)

// A printer prints the messages of one call of an audit, in a form -o.
type printer[M any] struct {
	// add prints a message, or keeps it for end.
	add func(*M) error
	// end prints what is left after the last message.
	end func() error
}

// take adds a message. Its error is an [*outputError].
func (p printer[M]) take(m *M) error {
	if err := p.add(m); err != nil {
		return &outputError{err}
	}
	return nil
}

// linesAtOnce is how many bytes of lines are written at once, or a few more.
const linesAtOnce = 1 << 16

// jsonPrinter prints each message as a line of JSON. It writes only whole lines: the error of a call that breaks
// off is one more line.
func jsonPrinter[M any, P interface {
	*M
	proto.Message
}](out io.Writer) printer[M] {
	var lines bytes.Buffer
	flush := func() error {
		_, err := lines.WriteTo(out)
		return written(err)
	}
	return printer[M]{
		add: func(m *M) error {
			if err := render.JSONLine(&lines, P(m)); err != nil || lines.Len() < linesAtOnce {
				return err
			}
			return flush()
		},
		end: flush,
	}
}

// written returns the error of writing a result.
func written(err error) error {
	if err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// An outputError is the error of a printer, not of the call whose messages it prints.
type outputError struct{ err error }

// Error returns the text of the error.
func (e *outputError) Error() string { return e.err.Error() }

// auditError returns the error of an audit for people: that of its output, of its overlay, or of its filters,
// with flags and words in place of fields. o is nil without an overlay, and request without filters.
func (inv *invocation) auditError(o *overlay, err error, request filtered) error {
	if failed, ok := errors.AsType[*outputError](err); ok {
		return failed.err
	}
	switch {
	case o.isRefused(err):
		return inv.overlayError(o, err)
	case request == nil:
		return inv.callError(err)
	}
	return inv.listError(err, request)
}
