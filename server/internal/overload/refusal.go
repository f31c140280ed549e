package overload

import (
	"fmt"
	"math/rand/v2"

	"github.com/netpold/netpold/server/internal/wire"
)

// errorsOfLimit is how many errors are made ahead for each limit. They differ in when to retry (P41).
const errorsOfLimit = 64

// Refused is why a call is refused, and the same as the error of a call.
type Refused struct {
	*wire.Failure
	// Status is the error of the call, made ahead.
	Status error
}

// A refusal has the errors of one limit, made ahead, so that refusing costs less than answering.
type refusal [errorsOfLimit]Refused

// newRefusal returns errors that fail makes.
func newRefusal(fail func() *wire.Failure) (r refusal) {
	for i := range r {
		f := fail()
		r[i] = Refused{f, f.Err()}
	}
	return r
}

func (r *refusal) pick() *Refused {
	return &r[rand.N(errorsOfLimit)] //nolint:gosec // to spread callers, no secret
}

func tooManyCalls(limit int) *wire.Failure {
	return wire.Overloaded("in_flight", fmt.Sprintf("%d calls are in progress, as many as the server does at once", limit),
		"add replicas, or raise the server's --max-in-flight")
}

func tooManyInLine(limit int) *wire.Failure {
	return wire.Overloaded("in_flight", fmt.Sprintf("more than %d calls wait for their answers, as many as may", limit),
		"add replicas, or raise the server's --max-in-flight")
}

func tooManyWaiting(limit int) *wire.Failure {
	return wire.Overloaded("waiting", fmt.Sprintf("%d calls wait for their at_least, as many as may do so at once", limit),
		"ask without at_least, or raise the server's --max-in-flight, of which half may wait")
}

func tooManyOfCaller(limit int) *wire.Failure {
	f := wire.Overloaded("in_flight_per_caller",
		fmt.Sprintf("this caller has %d calls in progress, as many as one may have at once", limit),
		"ask in batches, with fewer calls at once, or raise the server's --max-in-flight-per-caller")
	f.Reason = wire.ReasonCallerOverLimit
	return f
}
