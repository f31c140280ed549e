package overload

import (
	"sync/atomic"

	"google.golang.org/grpc"
)

// An openStream is a stream of questions and answers. It has a place only while it works on a message: a caller that
// says nothing, or reads no answer, for as long as it likes, takes no place of others. How many streams are open has
// the same limit as calls in progress, and is counted apart. Of its caller's own limit it takes one all the time.
type openStream struct {
	gate    *Gate
	account *account
	state   atomic.Int32
}

// The states of an openStream.
const (
	// resting waits for its caller.
	resting int32 = iota
	working
	closed
)

// openStream counts a stream of the caller of place more, which begins to rest; or returns why it may not be open.
func (g *Gate) openStream(place *Place) (*openStream, *Refused) {
	of := place.account
	// The call has a place of its caller already, which it gives back.
	if of != nil && !take(&of.resting, 1, g.share(g.streaming.Load()+1)+1-of.inFlight.Load()) {
		return nil, g.refuseCaller(of)
	}
	if !take(&g.streaming, 1, int64(g.limits.InFlight)) {
		if of != nil {
			of.resting.Add(-1)
		}
		return nil, g.refuse(&g.full)
	}
	return &openStream{gate: g, account: of}, nil
}

// add counts n places of the stream more. What is in progress is not refused (P41).
func (o *openStream) add(n int64) {
	o.gate.inFlight.Add(n)
	if o.account != nil {
		o.account.inFlight.Add(n)
		o.account.resting.Add(-n)
	}
}

// work takes a place for a message that comes.
func (o *openStream) work() {
	if o != nil && o.state.CompareAndSwap(resting, working) {
		o.add(1)
	}
}

// rest gives the place back, if the stream has one.
func (o *openStream) rest() {
	if o != nil && o.state.CompareAndSwap(working, resting) {
		o.add(-1)
	}
}

// close counts the stream no longer. Its goroutines may go on for a moment.
func (o *openStream) close() {
	if o.state.Swap(closed) == working {
		o.add(-1)
	}
	o.gate.streaming.Add(-1)
	if o.account != nil {
		o.account.resting.Add(-1)
	}
}

// Stream is the interceptor of streams. One that the server alone streams has a place for as long as it is open, another
// one while it works: see [openStream].
func (g *Gate) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo,
	handler grpc.StreamHandler) error {
	g.begin(stream.Context())
	if !g.methods[info.FullMethod] {
		return handler(srv, g.metered(stream, info, nil))
	}
	place, refused := g.Enter(stream.Context())
	if refused != nil {
		return refused.Status
	}
	defer place.Leave()
	metered := g.metered(stream, info, place.account)
	m, ok := metered.(*meteredStream)
	if !ok {
		return handler(srv, metered)
	}
	defer m.finish()
	if info.IsClientStream && info.IsServerStream {
		if m.open, refused = g.openStream(&place); refused != nil {
			return refused.Status
		}
		defer m.open.close()
		place.pause()
	}
	return handler(srv, metered)
}
