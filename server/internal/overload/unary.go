package overload

import (
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A unaryReceiver receives the request of a unary call. It is used again, so that a call makes neither it nor a timer.
type unaryReceiver struct {
	receiver
	// read is request, which would be an allocation each time.
	read func(into any) error
	// overdue ends the call when the request does not come to its end; nil before it is first used.
	overdue *time.Timer
	// armed means that overdue runs.
	armed bool
}

var unaryReceivers = sync.Pool{New: func() any {
	r := &unaryReceiver{}
	r.read = r.request
	return r
}}

// takeUnary returns a receiver of a call, whose request has to come to its end within limit; 0 for no limit. It must be
// given back with done.
func takeUnary(g *Gate, raw rawStream, of *account, limit time.Duration) *unaryReceiver {
	r, _ := unaryReceivers.Get().(*unaryReceiver)
	r.receiver = receiver{gate: g, raw: raw, account: of}
	switch {
	case limit <= 0:
		return r
	case r.overdue == nil:
		r.overdue = time.AfterFunc(limit, r.expire)
	default:
		r.overdue.Reset(limit)
	}
	r.armed = true
	return r
}

// expire ends a call whose request did not come. Reading it then ends with an error.
func (r *unaryReceiver) expire() {
	// It fails only if the connection is gone.
	_ = r.raw.WriteStatus(status.New(codes.DeadlineExceeded, "the request did not come to its end in time: send it faster"))
}

// disarm stops the timer, and reports whether that was in time.
func (r *unaryReceiver) disarm() bool {
	if !r.armed {
		return true
	}
	r.armed = !r.overdue.Stop()
	return !r.armed
}

// done gives the receiver back, unless its timer may still be using it.
func (r *unaryReceiver) done() {
	r.release()
	if r.disarm() {
		r.receiver = receiver{}
		unaryReceivers.Put(r)
	}
}

// end reads the end of the request of a unary call.
func (r *unaryReceiver) end() error {
	switch err := r.raw.ReadMessageHeader(r.header[:]); {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return status.Error(codes.Internal, "cardinality violation: received multiple request messages for a unary call")
	default:
		return received(err)
	}
}

// request reads the only message of a unary call.
func (r *unaryReceiver) request(into any) error {
	err := r.receive(into)
	if errors.Is(err, io.EOF) {
		return status.Error(codes.Internal, "cardinality violation: received no request message of a unary call")
	}
	if err != nil {
		return err
	}
	if err := r.end(); err != nil {
		return err
	}
	r.disarm()
	return nil
}
