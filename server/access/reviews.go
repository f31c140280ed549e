package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/netpold/netpold/server/internal/metrics"
)

const (
	// maxReviews bounds the answers that are remembered of each kind, with those that are waited for (P37).
	maxReviews = 4096
	// maxUnderWay bounds the reviews that the API server is asked for at once, of both kinds together.
	maxUnderWay = 16
	// reviewTimeout is how long the API server may take.
	reviewTimeout = 10 * time.Second
)

var errTooManyReviews = errors.New("too many reviews are under way")

// asking is what reviews of both kinds share.
type asking struct {
	ttl     time.Duration
	now     func() time.Time
	slots   chan struct{}
	metrics *metrics.Metrics
	// ctx ends when the server stops. running has the reviews under way.
	ctx     context.Context //nolint:containedctx // that of the server, not of a call
	running sync.WaitGroup
}

// reviews remembers the answers of one kind, each for a while (P37). Equal askers share one review. A failure to ask
// is never remembered. It is safe for concurrent use.
type reviews[K comparable, V any] struct {
	*asking
	kind string
	// good reports whether an answer lets the caller go on.
	good func(V) bool

	// mu guards the rest.
	mu    sync.Mutex
	known map[K]*review[V]
	// order has the finished ones, in the order in which they expire.
	order []finished[K, V]
}

// A review is an answer, or is waited for until done is closed. Afterwards answer and err do not change.
type review[V any] struct {
	done   chan struct{}
	answer V
	err    error
	// expires is the zero time until there is an answer. askers wait for it, and cancel gives it up. All three are
	// guarded by reviews.mu.
	expires time.Time
	askers  int
	cancel  context.CancelFunc
}

type finished[K comparable, V any] struct {
	key    K
	review *review[V]
}

func newReviews[K comparable, V any](a *asking, kind string, good func(V) bool) *reviews[K, V] {
	return &reviews[K, V]{asking: a, kind: kind, good: good, known: map[K]*review[V]{}}
}

// peek returns a remembered answer.
func (r *reviews[K, V]) peek(key K) (answer V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.known[key]; found != nil && r.now().Before(found.expires) {
		return found.answer, true
	}
	return answer, false
}

// get returns the remembered answer, or asks. It waits for the answer until ctx ends; the review goes on as long as
// anybody waits for it.
func (r *reviews[K, V]) get(ctx context.Context, key K, ask func(context.Context) (V, error)) (V, error) {
	r.mu.Lock()
	found := r.known[key]
	if found != nil && !found.expires.IsZero() && !r.now().Before(found.expires) {
		found = nil
	}
	if found == nil {
		if !r.makeRoom() {
			r.mu.Unlock()
			var none V
			return none, errTooManyReviews
		}
		found = r.start(key, ask)
	}
	found.askers++
	r.mu.Unlock()
	defer r.leave(key, found)
	select {
	case <-found.done:
		return found.answer, found.err
	case <-ctx.Done():
		var none V             // the answer may be written just now
		return none, ctx.Err() //nolint:wrapcheck // the caller's own context
	}
}

// leave gives a review up that nobody waits for any more.
func (r *reviews[K, V]) leave(key K, left *review[V]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left.askers--
	select {
	case <-left.done:
		return
	default:
	}
	if left.askers == 0 {
		left.cancel()
		if r.known[key] == left {
			delete(r.known, key)
		}
	}
}

// start begins a review. r.mu is held.
func (r *reviews[K, V]) start(key K, ask func(context.Context) (V, error)) *review[V] {
	begun := &review[V]{done: make(chan struct{})}
	var ctx context.Context
	ctx, begun.cancel = context.WithTimeout(r.ctx, reviewTimeout)
	r.known[key] = begun
	r.running.Go(func() {
		defer begun.cancel()
		answer, err := r.ask(ctx, ask)
		r.mu.Lock()
		defer r.mu.Unlock()
		if begun.answer, begun.err = answer, err; err == nil {
			begun.expires = r.now().Add(r.ttl)
			r.order = append(r.order, finished[K, V]{key, begun})
		} else if r.known[key] == begun {
			delete(r.known, key)
		}
		close(begun.done)
	})
	return begun
}

// ask asks when there is a slot. A panic fails this review alone.
func (r *reviews[K, V]) ask(ctx context.Context, ask func(context.Context) (V, error)) (answer V, err error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return answer, ctx.Err() //nolint:wrapcheck // read by nobody but us
	}
	defer func() { <-r.slots }()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a panic while asking: %v", p)
		}
		if ctx.Err() == nil || err == nil {
			r.metrics.Reviewed(r.kind, err == nil && r.good(answer), err)
		}
	}()
	return ask(ctx)
}

// makeRoom forgets answers that have expired, and more if there is no room for another. It reports whether there is.
// r.mu is held.
func (r *reviews[K, V]) makeRoom() bool {
	gone := 0
	for gone < len(r.order) && (!r.now().Before(r.order[gone].review.expires) || len(r.known) >= maxReviews) {
		old := r.order[gone]
		if r.known[old.key] == old.review {
			delete(r.known, old.key)
		}
		gone++
	}
	if gone > 0 {
		r.order = append(r.order[:0], r.order[gone:]...)
	}
	return len(r.known) < maxReviews
}
