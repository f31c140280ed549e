package netpold

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// maxWatchAdd is the most questions of one request, below the least --max-batch that makes sense. maxOwed is the
// most tokens that are kept: replicas are not that many changes apart.
const (
	maxWatchAdd = 1000
	maxOwed     = 16
)

// A session is one stream of WatchAllowed. Its fields are guarded by the lock of the cache, but for channels and
// atomic ones.
type session struct {
	// ended is closed when the stream is over. kick has a value when there may be something to send.
	ended, kick chan struct{}
	// stalled reports whether the server was too slow to answer a first question since it was last heard.
	stalled atomic.Bool

	// add and remove are to be sent. told is how many of the owed tokens were sent, and ask whether the server
	// is to be asked if all is current.
	add    []*cacheEntry
	remove []uint64
	told   int
	ask    bool
	// requests counts those sent, applied those that the server has taken into account. sent has the times at
	// which those in between were sent, and acknowledged is that of the last applied one.
	requests, applied uint64
	sent              []int64
	acknowledged      int64
	// resumed is the number of the request from which on all questions of earlier streams are watched. resuming
	// counts those that are still to be sent.
	resumed  uint64
	resuming int
	// tokens is the number of the request with the last token.
	tokens uint64
	// heard reports whether the server said anything, current whether all was current once. silent counts
	// heartbeats since the server was heard.
	heard, current bool
	silent         int
}

// errIdle ends a stream that watches nothing. errStalled ends one on which nothing comes any more. errStale ends
// one to a stale server while another is healthy.
var (
	errIdle    = errors.New("no question is remembered")
	errStalled = errors.New("the server is silent")
	errStale   = errors.New("the server is stale, and another is not")
)

// attend returns the entry of a question, which it makes if there is none. It returns the stream if that will soon
// have the first answer. Both may be nil.
func (c *cache) attend(q cachedQuestion) (*cacheEntry, *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil
	}
	now := c.now()
	e := c.table.find(&q)
	if e == nil {
		own, ok := q.own()
		if !ok {
			return nil, nil
		}
		if !c.follows { // first, as a new stream takes all entries
			c.follow()
		}
		for len(c.byID) >= c.limit {
			c.evict(c.table.leastRecent())
		}
		c.nextID++
		e = c.table.insert(own, c.nextID, now)
		c.byID[e.id] = e
		c.queue(e)
	}
	e.touch(now)
	if s := c.session; s != nil && e.answer.Load() == nil && e.asked == nil && !s.stalled.Load() {
		return e, s
	}
	return e, nil
}

// queue has an entry sent in the present stream, if there is one.
func (c *cache) queue(e *cacheEntry) {
	if s := c.session; s != nil && !e.queued {
		e.queued, e.message = true, 0
		s.add = append(s.add, e)
		s.wake()
	}
}

// evict forgets an entry to make room.
func (c *cache) evict(e *cacheEntry) {
	c.evictions.Add(1)
	c.forget(e)
}

// forget forgets an entry, and has the server forget it.
func (c *cache) forget(e *cacheEntry) {
	c.table.remove(e)
	delete(c.byID, e.id)
	e.removed = true
	e.answer.Store(nil)
	e.settle()
	if s := c.session; s != nil && e.watched {
		s.remove = append(s.remove, e.id)
		s.wake()
	}
}

// settle lets those go who wait for the first answer.
func (e *cacheEntry) settle() {
	select {
	case <-e.settled:
	default:
		close(e.settled)
	}
}

// wake has what is new sent.
func (s *session) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// follow starts the goroutine that keeps a stream open.
func (c *cache) follow() {
	c.follows = true
	c.open()
	c.running.Go(func() {
		for wait := (Backoff{}); ; {
			s := c.nextSession()
			if s == nil {
				return
			}
			err := c.run(s)
			if c.end(s, err) {
				wait.Reset()
			}
			select {
			case <-time.After(wait.Next(err)):
			case <-c.ctx.Done():
			}
		}
	})
}

// open makes the present session, to which all entries are to be sent.
func (c *cache) open() {
	s := &session{
		ended: make(chan struct{}), kick: make(chan struct{}, 1), acknowledged: never, resuming: len(c.byID),
	}
	c.session, c.limit = s, c.config.Size
	if c.token != "" && !slices.Contains(c.owed, c.token) { // it is there already if the last stream failed early
		c.owed = append([]string{c.token}, c.owed...)
	}
	for _, e := range c.byID {
		e.queued, e.watched = false, false
		c.queue(e)
	}
}

// nextSession returns the session to run; nil if there is none to be.
func (c *cache) nextSession() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.session == nil && len(c.byID) == 0 {
		c.follows = false
		return nil
	}
	if c.session == nil {
		c.open()
	}
	return c.session
}

// end notes that a session is over. It reports whether all was current in it.
func (c *cache) end(s *session, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = nil
	close(s.ended)
	switch e, _ := errors.AsType[*Error](err); {
	case e == nil:
	case e.Code == codes.FailedPrecondition: // tokens of a server that had other files
		c.token, c.owed = "", nil
	case e.Reason == "BATCH_TOO_LARGE":
		if limit, err := strconv.Atoi(e.Metadata["limit"]); err == nil && limit > 0 {
			c.batch = min(c.batch, limit)
		}
	}
	return s.current
}

// run runs a stream, and returns why it ended.
func (c *cache) run(s *session) error {
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	w, err := c.client.Watch(ctx)
	if err != nil {
		return err
	}
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel(nil) // before the wait
	others.Go(func() { c.sendAll(ctx, s, w) })
	others.Go(func() { c.keep(ctx, s, cancel) })
	for {
		r, err := w.Recv()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return err
		}
		if c.apply(s, r); r.GetStale() && c.client.healthy.GetState() == connectivity.Ready {
			return errStale
		}
	}
}

// keep does what is due each heartbeat, until the stream ends.
func (c *cache) keep(ctx context.Context, s *session, end context.CancelCauseFunc) {
	ticker := time.NewTicker(c.config.Heartbeat)
	defer ticker.Stop()
	// Counted in ticks, so that a process that was paused does not blame the server.
	patience := int(c.config.MaxAge/c.config.Heartbeat) + 1
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		idleSince := c.now() - int64(c.config.Idle)
		for e := c.table.leastRecent(); e != nil && e.used.Load() < idleSince; e = c.table.leastRecent() {
			c.evict(e)
		}
		s.silent++
		s.ask = true
		s.wake()
		if len(c.byID) == 0 {
			end(errIdle)
		} else if s.silent > patience {
			end(errStalled)
		}
		c.mu.Unlock()
	}
}

// sendAll sends requests until the stream ends.
func (c *cache) sendAll(ctx context.Context, s *session, w *Watch) {
	for {
		for request := c.nextRequest(s); request != nil; request = c.nextRequest(s) {
			if w.Send(request) != nil {
				return // Recv says why
			}
		}
		select {
		case <-s.kick:
		case <-ctx.Done():
			return
		}
	}
}

// nextRequest returns the next request of a stream; nil if there is nothing to say. No question goes before a token
// that is owed.
func (c *cache) nextRequest(s *session) *netpoldv1.WatchAllowedRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	untold := len(c.owed) - s.told
	if untold == 0 && len(s.add) == 0 && len(s.remove) == 0 && !s.ask {
		return nil
	}
	request := &netpoldv1.WatchAllowedRequest{Remove: s.remove}
	s.remove = nil
	if s.requests == 0 {
		request.Heartbeat = durationpb.New(c.config.Heartbeat)
	}
	s.requests++
	s.sent = append(s.sent, c.now())
	s.ask = false
	if untold > 0 {
		request.AtLeast = c.owed[s.told]
		s.told++
		s.tokens = s.requests
	}
	if untold > 1 {
		return request
	}
	n := min(len(s.add), c.batch)
	for _, e := range s.add[:n] {
		e.queued = false
		if !e.removed {
			e.watched, e.message = true, s.requests
			request.Add = append(request.Add, &netpoldv1.WatchQuestion{
				Id: e.id, Question: e.question.request(), IfNot: e.etag,
			})
		}
	}
	s.add = s.add[n:]
	if s.resuming -= n; s.resuming <= 0 && s.resumed == 0 {
		s.resumed = s.requests
	}
	return request
}

// apply takes a response over.
func (c *cache) apply(s *session, r *netpoldv1.WatchAllowedResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.heard, s.silent = true, 0
	s.stalled.Store(false)
	if r.GetStale() {
		c.stale.Store(true)
	}
	if n := min(r.GetApplied()-s.applied, uint64(len(s.sent))); r.GetApplied() > s.applied && n > 0 {
		s.acknowledged, s.sent = s.sent[n-1], s.sent[n:]
		s.applied += n
	}
	for _, a := range r.GetAnswers() {
		if e := c.byID[a.GetId()]; e != nil && e.message > 0 && e.message <= s.applied {
			c.take(e, a, s.acknowledged)
		}
	}
	if s.told == len(c.owed) && s.applied >= s.tokens {
		c.owed, s.told, c.token = nil, 0, r.GetToken()
	}
	if !r.GetComplete() || s.resumed == 0 || s.applied < s.resumed {
		return
	}
	// Invariant: whatever answer is in the table now was right at the time that is published, or later.
	c.fresh.Store(max(c.fresh.Load(), s.acknowledged))
	c.stale.Store(r.GetStale())
	s.current = s.current || !r.GetStale()
}

// take takes an answer over, which was right at or after some time.
func (c *cache) take(e *cacheEntry, a *netpoldv1.WatchAnswer, at int64) {
	answer := &cachedAnswer{response: a.GetResponse(), at: at}
	if answer.response == nil {
		err := fromStatus(status.FromProto(a.GetError()))
		answer.err = err
		switch err.Code {
		case codes.NotFound, codes.FailedPrecondition: // stay watched
		case codes.InvalidArgument:
			e.refused = answer
			c.forget(e)
			return
		case codes.ResourceExhausted: // the server watches no more
			c.limit = max(1, min(c.limit, len(c.byID)-1))
			c.forget(e)
			return
		default: // whatever it is, it is not remembered
			c.forget(e)
			return
		}
	}
	e.etag, e.asked = a.GetEtag(), nil
	e.turn++
	e.answer.Store(answer)
	e.settle()
}
