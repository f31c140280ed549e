package netpold

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A CacheConfig configures [WithCache]. The zero value is good for most.
type CacheConfig struct {
	// Size is the most questions that are remembered. The one that was not asked for the longest goes first. A
	// server watches at most 10,000 for each client, unless its --max-watched says otherwise. Default: 10,000.
	Size int
	// MaxAge is how old an answer may be: it was right at some moment not longer ago. It must be at least twice
	// Heartbeat. Default: 3 s.
	MaxAge time.Duration
	// Idle is how long a question that nobody asks is remembered. Default: 10 minutes.
	Idle time.Duration
	// Heartbeat is how often the client asks whether its answers are current, 0.1 s to 30 s. Default: 1 s.
	Heartbeat time.Duration
}

// A CacheStats says what a cache did and how it is.
type CacheStats struct {
	// Hits were answered locally, Misses not. Questions that are never remembered count in neither.
	Hits, Misses uint64
	// Evictions counts questions that made room for others or were idle.
	Evictions uint64
	// Entries is the number of questions that are remembered.
	Entries int
	// Connected reports whether there is a stream on which a server answers.
	Connected bool
	// Age is the age of the answers now; 0 if there were none yet.
	Age time.Duration
}

// WithCache makes [Client.Allowed] remember questions. A server is asked to watch them, and sends each answer
// again whenever it changes, so a question that was asked before is answered locally, in less than a microsecond.
//
//   - A local answer was right at some moment not more than MaxAge before it is returned. That is true when the
//     process was paused, too.
//   - The response is shared by all who ask: do not change it. So is an error.
//   - The answer to a question is never older than an earlier one to the same question, whichever replica it
//     came from. Answers to different questions may rest on different snapshots. For one snapshot, use
//     [Client.BatchAllowed], which is never answered locally.
//   - Without a stream that keeps answers fresh the question is asked of a server, as without a cache. See
//     [WithFailureMode] for when that fails, too.
//
// Not remembered are questions with at_least, those about [Labels], and calls with options.
func WithCache(config CacheConfig) Option { return func(s *settings) { s.cache = &config } }

// CacheStats returns what the cache of [WithCache] did. It is zero without one.
func (c *Client) CacheStats() CacheStats {
	if c.cache == nil {
		return CacheStats{}
	}
	return c.cache.stats()
}

// The bounds of [CacheConfig.Heartbeat] are those of the server.
const (
	minHeartbeat = 100 * time.Millisecond
	maxHeartbeat = 30 * time.Second
)

// complete sets what is left to its default, and returns an error with a remedy for what is wrong.
func (c *CacheConfig) complete() error {
	size := time.Duration(c.Size)
	for _, f := range []struct {
		value     *time.Duration
		byDefault time.Duration
		name      string
	}{
		{&size, 10_000, "Size"}, {&c.MaxAge, 3 * time.Second, "MaxAge"}, {&c.Idle, 10 * time.Minute, "Idle"},
		{&c.Heartbeat, time.Second, "Heartbeat"},
	} {
		if *f.value < 0 {
			return fmt.Errorf("WithCache: %s is negative: leave it out for the default", f.name)
		} else if *f.value == 0 {
			*f.value = f.byDefault
		}
	}
	c.Size = int(size)
	switch {
	case c.Size > math.MaxInt32:
		return fmt.Errorf("WithCache: Size %d is too large: give at most %d", c.Size, math.MaxInt32)
	case c.Heartbeat < minHeartbeat || c.Heartbeat > maxHeartbeat:
		return fmt.Errorf("WithCache: Heartbeat %v is out of range: give %v to %v", c.Heartbeat, minHeartbeat,
			maxHeartbeat)
	case c.MaxAge < 2*c.Heartbeat:
		return fmt.Errorf("WithCache: MaxAge %v is below twice the heartbeat: give at least %v, or a Heartbeat of "+
			"at most %v", c.MaxAge, 2*c.Heartbeat, c.MaxAge/2)
	default:
		return nil
	}
}

// A cache remembers answers that a watch keeps right. It is safe for concurrent use.
//
//	Allowed ─► hit: table ─► answer, if the watch is fresh
//	        └► miss ─► first question: the watch answers ─┐
//	                   no fresh watch: Allowed of a server ┴► failure mode
type cache struct {
	client *Client
	config CacheConfig
	base   time.Time // all times are nanoseconds since then, on the monotonic clock
	table  cacheTable

	// fresh is a time at or after which all answers in the table were right; never before there is one. stale
	// reports whether the server says that its state is stale.
	fresh atomic.Int64
	stale atomic.Bool

	hits              stripes
	misses, evictions atomic.Uint64

	ctx     context.Context //nolint:containedctx // that of the goroutines of the watch
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu sync.Mutex // guards what follows, and the table against other writers
	// byID has all entries. nextID is never used twice, so that a late answer cannot be mistaken.
	byID   map[uint64]*cacheEntry
	nextID uint64
	// limit is the most entries: Size, or fewer while the server does not watch so many.
	limit int
	// session is the present stream; nil between two. follows reports whether a goroutine opens them.
	session *session
	follows bool
	closed  bool
	// token is that of the last response of a stream. owed are tokens of answers that Allowed gave meanwhile:
	// the stream must reach them before it answers the same questions.
	token string
	owed  []string
	// batch is the most questions of one request to the server.
	batch int
}

// never is a time before all others. No age overflows.
const never = math.MinInt64 / 2

// A cachedAnswer is an answer of the watch. It never changes.
type cachedAnswer struct {
	response *netpoldv1.AllowedResponse
	err      error
	// at is a time at or after which it was right.
	at int64
	// marked is the response with Stale set, made when it is first needed.
	marked atomic.Pointer[netpoldv1.AllowedResponse]
}

// get returns the answer, marked as stale if it is.
func (a *cachedAnswer) get(stale bool) (*netpoldv1.AllowedResponse, error) {
	if !stale || a.response == nil {
		return a.response, a.err
	}
	marked := a.marked.Load()
	if marked == nil {
		marked = markStale(a.response)
		a.marked.Store(marked)
	}
	return marked, nil
}

// markStale returns a copy of a response with Stale set.
func markStale(r *netpoldv1.AllowedResponse) *netpoldv1.AllowedResponse {
	r = proto.CloneOf(r)
	r.Stale = true
	return r
}

func newCache(client *Client, config CacheConfig) *cache {
	c := &cache{
		client: client, config: config, base: time.Now(), table: newCacheTable(config.Size),
		byID: map[uint64]*cacheEntry{}, batch: maxWatchAdd,
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.fresh.Store(never)
	return c
}

// now returns the present time.
func (c *cache) now() int64 { return int64(time.Since(c.base)) }

// allowed answers a question that may be remembered.
func (c *cache) allowed(
	ctx context.Context, asked *netpoldv1.AllowedRequest, q *cachedQuestion,
) (*netpoldv1.AllowedResponse, error) {
	if ctx.Err() == nil {
		if a := c.hit(q); a != nil {
			return a.get(c.stale.Load())
		}
	}
	return c.miss(ctx, asked, *q)
}

// hit returns a fresh answer; nil if there is none.
//
// The order counts: fresh is loaded before the answer, since whoever publishes a later time has stored the
// answers before. The clock is read last, so that the age includes all of that.
func (c *cache) hit(q *cachedQuestion) *cachedAnswer {
	e := c.table.find(q)
	if e == nil {
		return nil
	}
	fresh := c.fresh.Load()
	a := e.answer.Load()
	now := c.now()
	if a == nil || now-max(fresh, a.at) > int64(c.config.MaxAge) {
		return nil
	}
	e.touch(now)
	c.hits.add()
	return a
}

// miss answers a question that has no fresh answer.
func (c *cache) miss(
	ctx context.Context, asked *netpoldv1.AllowedRequest, q cachedQuestion,
) (*netpoldv1.AllowedResponse, error) {
	c.misses.Add(1)
	e, s := c.attend(q)
	if s != nil {
		if a := c.await(ctx, e, s); a != nil {
			return a.get(c.stale.Load())
		}
	}
	return c.askServer(ctx, asked, e)
}

// await waits for the first answer to a question. It returns nil if the stream does not answer: a server may.
func (c *cache) await(ctx context.Context, e *cacheEntry, s *session) *cachedAnswer {
	patience := c.config.Heartbeat
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)/2)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-e.settled:
		if e.refused != nil { // whoever settles an entry has written it before
			return e.refused
		}
		// As of any answer, the process may have been paused since it came.
		if a := e.answer.Load(); a != nil && c.now()-a.at <= int64(c.config.MaxAge) {
			return a
		}
	case <-s.ended:
	case <-ctx.Done():
	case <-timer.C:
		s.stalled.Store(true)
	}
	return nil
}

// stats returns what the cache did.
func (c *cache) stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := CacheStats{
		Hits: c.hits.sum(), Misses: c.misses.Load(), Evictions: c.evictions.Load(), Entries: len(c.byID),
		Connected: c.session != nil && c.session.heard,
	}
	if fresh := c.fresh.Load(); fresh != never {
		s.Age = time.Duration(c.now() - fresh)
	}
	return s
}

// close ends the watch. Nothing is answered locally any more.
func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	for _, e := range c.byID {
		c.forget(e)
	}
	c.mu.Unlock()
	c.cancel()
	c.running.Wait()
}

// Stripes are a counter that many cores add to at once.
type stripes [16]struct {
	atomic.Uint64
	_ [56]byte // so that each has a cache line of its own
}

func (s *stripes) add() { s[rand.Uint32()%uint32(len(s))].Add(1) } //nolint:gosec // any stripe will do

func (s *stripes) sum() (n uint64) {
	for i := range s {
		n += s[i].Load()
	}
	return n
}
