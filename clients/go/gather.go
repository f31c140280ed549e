package netpold

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// The limits of gathering. maxOpen is how many batches may be without an answer on one stream: a second one is on its way
// while the first is answered, and a third would only be smaller. maxGathered is the most questions of a batch, below
// the least --max-batch that makes sense. maxWaiting is how many questions may wait to be sent.
const (
	maxOpen     = 2
	maxGathered = 1000
	maxWaiting  = 10_000
)

// Verdict asks one question by address. It is the fastest way to ask from many goroutines: questions that come while
// others are on their way go together, over streams that stay open. With 64 goroutines that is many times the questions
// of [Client.Allowed] at a fraction of its latency; from one goroutine it is faster too.
//
// The error is Verdict.Err, an [*Error] like that of [Client.Allowed]. When ctx ends, Verdict returns at once; give
// every question a deadline. A question that a server did not answer, because it ended or its connection did, is asked
// again up to four times in all. Credentials, metadata and traces belong to the streams, not to ctx.
//
// Questions go to all healthy servers that the target's name leads to, as those of Allowed do: each has a stream. With
// [WithCache] the question is remembered as that of Allowed is. [WithFailureMode] counts too.
func (c *Client) Verdict(ctx context.Context, question Question) (Verdict, error) {
	v := c.verdict(ctx, question)
	if v.Err != nil && c.failure == FailDeny && undecided(v.Err) {
		return Verdict{Stale: true}, nil
	}
	return v, v.Err
}

// VerdictAtLeast is Verdict, but the answer is not from an older snapshot than token names, as with
// AllowedRequest.at_least. The question is a call of its own: others must not wait for the token.
func (c *Client) VerdictAtLeast(ctx context.Context, question Question, token string) (Verdict, error) {
	if token == "" {
		return c.Verdict(ctx, question)
	}
	request, wrong := question.request()
	if wrong != nil {
		return Verdict{Err: wrong}, wrong
	}
	request.AtLeast = token
	response, err := c.Allowed(ctx, request)
	return verdictOf(response, err), err
}

func (c *Client) verdict(ctx context.Context, question Question) Verdict {
	if c.cache == nil {
		return c.gatherer.ask(ctx, question)
	}
	request, wrong := question.request()
	if wrong != nil {
		return Verdict{Err: wrong}
	}
	key, ok := cachedQuestionOf(request)
	if !ok {
		return c.gatherer.ask(ctx, question)
	}
	return verdictOf(c.cache.allowed(ctx, request, &key))
}

// request returns the question as a message, or the error that the server would return.
func (q *Question) request() (*netpoldv1.AllowedRequest, error) {
	if !q.isSayable() {
		return nil, q.wrong()
	}
	return &netpoldv1.AllowedRequest{
		Src: IP(q.Src.Unmap().String()), Dst: IP(q.Dst.Unmap().String()), Port: uint32(q.Port), Protocol: q.Protocol,
	}, nil
}

// verdictOf returns the result of a call as a verdict.
func verdictOf(response *netpoldv1.AllowedResponse, err error) Verdict {
	if err != nil {
		return Verdict{Err: err}
	}
	return Verdict{
		Allowed: response.GetAllowed(), Stale: response.GetStale(), Reason: response.GetReason(),
		Revision: response.GetRevision(),
	}
}

// A gatherer sends questions of many goroutines together. A question goes at once if a stream has fewer than maxOpen
// batches without an answer. Otherwise it goes with all others that wait when the next answers come. There is no timer:
// the more questions there are, the larger the batches become by themselves.
type gatherer struct {
	client *Client
	// ctx ends with the client.
	ctx    context.Context //nolint:containedctx // of streams, which outlast calls
	cancel context.CancelFunc
	// running counts the goroutines of streams.
	running sync.WaitGroup
	// waiters keeps those that are not in use.
	waiters sync.Pool

	mu sync.Mutex
	// waiting are the questions to send, the oldest first.
	waiting []*waiter
	// room is closed when there is room for more of them; nil while nobody waits for that.
	room  chan struct{}
	lanes []*lane
	// turn is whose turn it is among them.
	turn int
	// probing reports whether a stream is being opened to see if it leads to another server. probed is when one last was,
	// and probeAfter how long later the next is.
	probing    bool
	probed     time.Time
	probeAfter time.Duration
	// retired is when a stream to a stale server was last given up.
	retired time.Time
	backoff Backoff
	closed  bool
}

// A waiter is a question of a goroutine that waits for the answer.
type waiter struct {
	question Question
	verdict  Verdict
	// attempts is how often the question was sent, or could not be.
	attempts int
	// queued is since when it waited to be sent; zero if it went at once.
	queued time.Time
	// left tells who is the last to use the waiter: set by the first of the caller and the answer.
	left atomic.Bool
	done chan struct{} // has a buffer of one
}

func newGatherer(c *Client) *gatherer {
	g := &gatherer{client: c}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.waiters.New = func() any { return &waiter{done: make(chan struct{}, 1)} }
	return g
}

// close ends all streams. Questions without an answer get an error.
func (g *gatherer) close() {
	g.mu.Lock()
	g.closed = true
	waiting := g.waiting
	g.waiting = nil
	g.makeRoom()
	g.mu.Unlock()
	g.cancel()
	g.running.Wait()
	for _, w := range waiting {
		g.finish(w, Verdict{Err: errClosed()})
	}
}

func errClosed() error { return fromStatus(status.New(codes.Canceled, "the client is closed")) }

// ask asks one question, and waits for the answer or the end of ctx.
func (g *gatherer) ask(ctx context.Context, question Question) Verdict {
	if !question.isSayable() {
		return Verdict{Err: question.wrong()}
	}
	if ctx.Err() != nil {
		return Verdict{Err: fromStatus(status.FromContextError(ctx.Err()))}
	}
	w := g.waiters.Get().(*waiter)
	w.question = question
	l, err := g.enqueue(ctx, w)
	if err != nil {
		g.recycle(w)
		return Verdict{Err: err}
	}
	if l != nil {
		runtime.Gosched() // whoever is about to ask goes along
		g.send(l)
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		if w.left.CompareAndSwap(false, true) { // whoever has the answer recycles it
			g.abandoned(ctx, w)
			return Verdict{Err: fromStatus(status.FromContextError(ctx.Err()))}
		}
		<-w.done
	}
	v := w.verdict
	g.recycle(w)
	return v
}

// enqueue adds a question to those that wait, once there is room. It returns the stream on which the caller must send
// them; nil if they must wait.
func (g *gatherer) enqueue(ctx context.Context, w *waiter) (*lane, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.waiting) >= maxWaiting && !g.closed {
		if g.dropAbandoned(); len(g.waiting) < maxWaiting {
			break
		}
		if g.room == nil {
			g.room = make(chan struct{})
		}
		room := g.room
		g.mu.Unlock()
		select {
		case <-room:
			g.mu.Lock()
		case <-ctx.Done():
			g.mu.Lock()
			return nil, fromStatus(status.FromContextError(ctx.Err()))
		}
	}
	if g.closed {
		return nil, errClosed()
	}
	g.waiting = append(g.waiting, w)
	l := g.free()
	if l == nil {
		w.queued = time.Now()
	}
	return l, nil
}

// free returns a stream that may take the questions that wait, with the fewest batches without an answer; nil if there is
// none. The caller must call send. If there is no stream at all, it opens one.
func (g *gatherer) free() *lane {
	if len(g.lanes) == 0 {
		g.open(0)
		return nil
	}
	g.turn++
	var best *lane
	for i := range g.lanes { // of equal ones, each has its turn
		l := g.lanes[(g.turn+i)%len(g.lanes)]
		if l.takes() && (best == nil || len(l.batches) < len(best.batches)) {
			best = l
		}
	}
	if best != nil {
		best.sending = true
	}
	return best
}

// makeRoom lets those go on who wait for room.
func (g *gatherer) makeRoom() {
	if g.room != nil {
		close(g.room)
		g.room = nil
	}
}

// dropAbandoned removes the questions that nobody waits for any more.
func (g *gatherer) dropAbandoned() {
	kept := g.waiting[:0]
	for _, w := range g.waiting {
		if w.left.Load() {
			g.recycle(w)
		} else {
			kept = append(kept, w)
		}
	}
	clear(g.waiting[len(kept):])
	g.waiting = kept
}

// finish gives a question its verdict.
func (g *gatherer) finish(w *waiter, v Verdict) {
	w.verdict = v
	if !w.left.CompareAndSwap(false, true) { // the caller has gone
		g.recycle(w)
		return
	}
	w.done <- struct{}{}
}

// recycle makes a waiter ready for another question.
func (g *gatherer) recycle(w *waiter) {
	w.verdict, w.attempts, w.queued = Verdict{}, 0, time.Time{}
	w.left.Store(false)
	g.waiters.Put(w)
}

// again asks questions once more that a stream did not answer, before all others. Questions that were asked often
// enough get the error.
func (g *gatherer) again(list []*waiter, failure error, retry bool) {
	g.mu.Lock()
	if g.closed {
		failure = errClosed()
	}
	var kept, failed []*waiter
	for _, w := range list {
		if w.attempts++; retry && w.attempts < maxAttempts && !g.closed {
			kept = append(kept, w)
		} else {
			failed = append(failed, w)
		}
	}
	g.waiting = append(kept, g.waiting...)
	g.mu.Unlock()
	for _, w := range failed {
		g.finish(w, Verdict{Err: failure})
	}
}
