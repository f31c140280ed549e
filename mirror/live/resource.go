package live

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// resource is one mirrored resource: its calls to the API server, its store, and how it does.
type resource struct {
	kind
	index  resourceIndex
	source *Source
	secret secret
	calls  *tracked
	store  *store
	probes chan struct{}

	proof atomic.Int64 // when the last proof of life came, in nanoseconds of the epoch

	mu sync.Mutex
	// Guarded by mu:
	failures  map[verb]error // what fails at present
	told      string         // the failure that was logged last
	truncated int            // how many first lists by watch in a row ended without their end
	listOnly  bool           // first lists by watch never end here
	past      *string        // the cluster that was listed; nil where it is not known
}

func (s *Source) newResource(x resourceIndex, k kind, lw cache.ListerWatcher, secret secret) *resource {
	r := &resource{kind: k, index: x, source: s, secret: secret, failures: map[verb]error{}, probes: make(chan struct{}, 1)}
	r.calls = &tracked{resource: r, inner: cache.ToListerWatcherWithContext(lw), plain: lw}
	r.store = &store{resource: r, feed: s.feed, known: map[name]digest{}, cutter: cutter{encoder{secret: secret}}}
	r.alive()
	return r
}

// run follows the resource until the context ends.
func (r *resource) run(ctx context.Context) {
	logger := klogTo(r.source.log)
	r.store.ended = ctx.Done()
	reflector := cache.NewReflectorWithOptions(r.calls, nil, r.store, cache.ReflectorOptions{
		Logger: &logger, Name: r.resource, TypeDescription: r.resource,
		Clock: endingClock{ctx: ctx},
		// As client-go's, but for the longest pause: six calls of a few replicas are no load, and a mirror should not stay stale.
		Backoff: &wait.Backoff{Duration: 800 * time.Millisecond, Cap: 5 * time.Second, Steps: 100, Factor: 2, Jitter: 1},
	})
	reflector.RunWithContext(klog.NewContext(ctx, logger))
}

// alive notes a proof that the API server still tells of this resource.
func (r *resource) alive() {
	r.proof.Store(time.Now().UnixNano())
	r.source.signOfLife()
}

// age is the time since the last proof of life.
func (r *resource) age() time.Duration {
	return max(0, time.Since(time.Unix(0, r.proof.Load())))
}

// failed notes a failure, and tells of it once.
func (r *resource) failed(v verb, err error) {
	r.mu.Lock()
	r.failures[v] = err
	text := r.failureLocked()
	told := r.told == text
	r.told = text
	r.mu.Unlock()
	if !told {
		r.source.log.Warn("cluster can not be followed", "resource", r.qualified(), "error", text)
	}
}

// recovered notes that calls succeed again.
func (r *resource) recovered(verbs ...verb) {
	r.mu.Lock()
	for _, v := range verbs {
		delete(r.failures, v)
	}
	over := len(r.failures) == 0 && r.told != ""
	if over {
		r.told = ""
	}
	r.mu.Unlock()
	if over {
		r.source.log.Info("cluster is followed again", "resource", r.qualified())
	}
}

// mayStream tells whether the first list may come by watch. It may not where such a list never ends, nor after two in a row
// that were cut off, once.
func (r *resource) mayStream() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.truncated >= 2 {
		r.truncated = 0
		return false
	}
	return !r.listOnly
}

// streamEnded notes how a first list by watch ended.
func (r *resource) streamEnded(how streamEnd) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch how {
	case streamWhole:
		r.truncated = 0
	case streamCut:
		r.truncated++
	case streamEndless:
		if !r.listOnly {
			r.source.log.Warn("the API server never ends a list that it sends by watch; it is asked for plain lists from now on",
				"resource", r.qualified())
		}
		r.listOnly = true
	}
}

// endingClock is the real clock, but for its After: client-go waits on that without looking whether all is over.
type endingClock struct {
	clock.RealClock
	ctx context.Context //nolint:containedctx // client-go's clock has no way to be given one
}

// After sends when d is over, or the context has ended.
func (c endingClock) After(d time.Duration) <-chan time.Time {
	if d <= 0 || c.ctx.Err() != nil {
		d = 0
	}
	over := make(chan time.Time, 1)
	send := func() {
		select {
		case over <- time.Now():
		default:
		}
	}
	stop := context.AfterFunc(c.ctx, send)
	time.AfterFunc(d, func() {
		stop()
		send()
	})
	return over
}

// String names the resource in messages of client-go.
func (r *resource) String() string { return fmt.Sprintf("mirror of %s", r.qualified()) }
