package live

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/netpold/netpold/mirror/convert"
)

// resource is one mirrored resource: its calls to the API server, its store, and how it does.
type resource struct {
	*convert.Kind
	index resourceIndex
	// namespace is the one that is mirrored; empty for all.
	namespace string
	source    *Source
	secret    secret
	calls     *tracked
	store     *store
	probes    chan struct{}
	// limited is set while the rights in one namespace do not reach the resource.
	limited atomic.Bool

	proof atomic.Int64 // when the last proof of life came, in nanoseconds since the source was made

	mu sync.Mutex
	// Guarded by mu:
	failures  map[verb]error // what fails at present
	told      []string       // the failures that were logged since the last success, without their numbers
	truncated int            // how many lists by watch in a row were cut off
	endless   int            // how many lists by watch in a row never ended
	plainOnce bool           // the next list is not to come by watch
	past      *string        // the cluster that was listed; nil where it is not known
}

func (s *Source) newResource(x resourceIndex, k *convert.Kind, lw cache.ListerWatcher, secret secret) *resource {
	r := &resource{Kind: k, index: x, namespace: s.namespace, source: s, secret: secret, failures: map[verb]error{}, probes: make(chan struct{}, 1)}
	if s.namespace != "" && !k.Namespaced {
		lw = s.limit(r, lw)
	}
	r.calls = &tracked{resource: r, inner: cache.ToListerWatcherWithContext(lw), plain: lw}
	r.store = &store{resource: r, feed: s.feed, known: map[name]digest{}, cutter: cutter{k, encoder{secret: secret}}}
	r.alive()
	return r
}

// run follows the resource until the context ends.
func (r *resource) run(ctx context.Context) {
	logger := klogTo(r.source.log)
	r.store.ended = ctx.Done()
	reflector := cache.NewReflectorWithOptions(r.calls, nil, r.store, cache.ReflectorOptions{
		Logger: &logger, Name: r.Resource, TypeDescription: r.Resource,
		Clock: endingClock{ctx: ctx},
		// As client-go's, but for the longest pause: six calls of a few replicas are no load, and a mirror should not stay stale.
		Backoff: &wait.Backoff{Duration: 800 * time.Millisecond, Cap: 5 * time.Second, Steps: 100, Factor: 2, Jitter: 1},
	})
	reflector.RunWithContext(klog.NewContext(ctx, logger))
}

// alive notes a proof that the API server still tells of this resource.
func (r *resource) alive() {
	r.proof.Store(int64(time.Since(r.source.made)))
	r.source.signOfLife()
}

// age is the time since the last proof of life. It does not depend on what the time of day is set to.
func (r *resource) age() time.Duration {
	return time.Since(r.source.made) - time.Duration(r.proof.Load())
}

// maxTold is how many kinds of failures in a row are logged. A failure that comes back in turns with others is logged once.
const maxTold = 16

// failed notes a failure, and tells of it once, until all is well again.
func (r *resource) failed(v verb, err error) {
	r.mu.Lock()
	r.failures[v] = err
	text := r.failureLocked()
	kind := withoutNumbers(text)
	tell := len(r.told) < maxTold && !slices.Contains(r.told, kind)
	if tell {
		r.told = append(r.told, kind)
	}
	r.mu.Unlock()
	if tell {
		r.source.log.Warn("cluster can not be followed", "resource", r.Qualified(), "error", text)
	}
}

// recovered notes that calls succeed again.
func (r *resource) recovered(verbs ...verb) {
	r.mu.Lock()
	for _, v := range verbs {
		delete(r.failures, v)
	}
	over := len(r.failures) == 0 && len(r.told) > 0
	if over {
		r.told = nil
	}
	r.mu.Unlock()
	if over {
		r.source.log.Info("cluster is followed again", "resource", r.Qualified())
	}
}

// listsAnew tells of a lost history. It is no failure: what follows is a list, which is taken by its differences.
func (r *resource) listsAnew(err error) {
	r.source.log.Info("cluster is listed anew: what happened since is not known", "resource", r.Qualified(), "reason", err)
}

// maxEndless is how many lists by watch in a row may rest without an end before none is asked for any more. One may have been an
// API server that hung.
const maxEndless = 2

// mayStream tells whether a list may come by watch. It may not where such lists never end, nor after two in a row that were cut
// off, once.
func (r *resource) mayStream() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	plain := r.plainOnce || r.endless >= maxEndless
	r.plainOnce = false
	return !plain
}

// streamEnded notes how a list by watch ended.
func (r *resource) streamEnded(how streamEnd) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch how {
	case streamWhole:
		r.truncated, r.endless = 0, 0
	case streamCut:
		if r.truncated++; r.truncated >= 2 {
			r.truncated, r.plainOnce = 0, true
		}
	case streamEndless: // client-go lists plainly by itself
		if r.endless++; r.endless == maxEndless {
			r.source.log.Warn("the API server never ends a list that it sends by watch; it is asked for plain lists from now on",
				"resource", r.Qualified())
		}
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
func (r *resource) String() string { return fmt.Sprintf("mirror of %s", r.Qualified()) }
