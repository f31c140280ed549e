package main

import (
	"context"
	"fmt"
	"io"
)

// A service is one that is measured, as a process of its own.
type service interface {
	// start starts the service with a model, and returns when it has all of it.
	start(ctx context.Context, e *environment, m *model) error
	// ways are the ways to ask it, the plainest first.
	ways() []way
	// apply makes a change, or takes it back, as the controller would. It returns when the service has confirmed it.
	apply(ctx context.Context, c *change, forth bool) error
	// process is what start started.
	process() *process
	// stop ends it.
	stop()
}

// An environment is what services are started with.
type environment struct {
	// dir is a directory for files; netpold the program, and bin the directory of the others'.
	dir, netpold, bin string
	// own is this program, which is some of the children too.
	own string
	// connections are those that gRPC callers share.
	connections int
}

// A way is one way to ask a service.
type way struct {
	service, name string
	// many is set for one that asks several questions in a call, and single for one that asks them one by one.
	many bool
	// encode is a call that asks questions, as it goes over the wire.
	encode func([]question) ([]byte, error)
	// decode are the answers of such a call, as they come over the wire. It is not called while time is taken.
	decode func(answer []byte, asked int) ([]bool, error)
	// dial connects callers, each of which asks one call at a time.
	dial func(callers int) ([]caller, io.Closer, error)
}

// A caller sends calls and takes their answers, unread.
type caller interface {
	call(ctx context.Context, request []byte) (answer []byte, err error)
}

// A call is one as it goes over the wire, with what is asked in it.
type call struct {
	request   []byte
	questions []question
}

// calls are lists of questions as a way sends them.
func (w *way) calls(lists [][]question) ([]call, error) {
	var to []call
	for _, questions := range lists {
		request, err := w.encode(questions)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w, err)
		}
		to = append(to, call{request, questions})
	}
	return to, nil
}

func (w *way) String() string { return w.service + ", " + w.name }

// agree asks all calls once, and fails where an answer is not netpold's engine's. Then the service does not serve the
// same cluster, and its speed says nothing.
func (w *way) agree(ctx context.Context, calls []call) (err error) {
	callers, closer, err := w.dial(1)
	if err != nil {
		return fmt.Errorf("%s: %w", w, err)
	}
	defer closer.Close() //nolint:errcheck // every call has been answered
	for _, c := range calls {
		answer, err := callers[0].call(ctx, c.request)
		if err != nil {
			return fmt.Errorf("%s: %v: %w", w, c.questions[0], err)
		}
		got, err := w.decode(answer, len(c.questions))
		if err != nil {
			return fmt.Errorf("%s: %v: %w", w, c.questions[0], err)
		}
		if len(got) != len(c.questions) {
			return fmt.Errorf("%s: %d answers to %d questions", w, len(got), len(c.questions))
		}
		for i, q := range c.questions {
			if got[i] != q.want {
				return fmt.Errorf("%s: %v is answered %t, and by netpold's engine %t", w, q, got[i], q.want)
			}
		}
	}
	return nil
}
