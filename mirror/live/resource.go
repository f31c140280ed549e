package live

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/netpold/netpold/mirror/convert"
)

// A resource is one mirrored resource: its calls to the API server, its store and its failures.
type resource struct {
	*convert.Kind
	index resourceIndex
	// namespace is the one mirrored namespace; empty for all.
	namespace string
	source    *Source
	secret    secret
	calls     *tracked
	store     *store
	probes    chan struct{}
	// limited is set while rights in one namespace do not include the resource.
	limited atomic.Bool
	// optional is nil for a resource that every cluster serves.
	optional *optional

	proof atomic.Int64 // time of the last proof of life, in nanoseconds since the source was made

	mu sync.Mutex
	// Guarded by mu:
	failures  map[verb]error // present failures
	logged    []string       // failures logged since the last success, without their digits
	truncated int            // lists by watch in a row that were cut off
	endless   int            // lists by watch in a row that never ended
	plainOnce bool           // the next list must not be by watch
	past      *string        // the cluster that was listed; nil if unknown
}

// newResource returns a resource that does not run yet. of returns the calls for a version of it.
func (s *Source) newResource(x resourceIndex, k *convert.Kind,
	of func(*convert.Version) (cache.ListerWatcher, error), secret secret) (*resource, error) {
	r := &resource{Kind: k, index: x, namespace: s.namespace, source: s, secret: secret,
		failures: map[verb]error{}, probes: make(chan struct{}, 1)}
	if k.Optional {
		r.optional = &optional{listerWatcher: of}
	} else {
		lw, err := of(&k.Versions[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.Resource, err)
		}
		r.callBy(lw)
	}
	r.store = &store{resource: r, feed: s.feed, known: map[name]digest{},
		trimmer: trimmer{k, encoder{secret: secret}}}
	r.markAlive()
	return r, nil
}

// callBy sets the calls to the API server. The resource must not run.
func (r *resource) callBy(lw cache.ListerWatcher) {
	// An optional resource that may not be read is a failure, with one namespace too: without its Deny rules answers
	// would be open (S31).
	if r.source.namespace != "" && !r.Namespaced && !r.Optional {
		lw = r.source.limit(r, lw)
	}
	r.calls = &tracked{resource: r, inner: cache.ToListerWatcherWithContext(lw), plain: lw}
}

// run mirrors the resource until the context ends. Every event that the store has learned by then reaches the
// feed, unless over is closed.
func (r *resource) run(ctx context.Context, over <-chan struct{}) {
	logger := klogTo(r.source.log)
	r.store.ended = over
	reflector := cache.NewReflectorWithOptions(r.calls, nil, r.store, cache.ReflectorOptions{
		Logger: &logger, Name: r.Resource, TypeDescription: r.Resource,
		Clock: endingClock{ctx: ctx},
		// The backoff is client-go's with a shorter longest pause. Six calls of a few replicas are no load,
		// and a mirror should not stay stale.
		Backoff: &wait.Backoff{Duration: 800 * time.Millisecond, Cap: 5 * time.Second, Steps: 100, Factor: 2,
			Jitter: 1},
	})
	reflector.RunWithContext(klog.NewContext(ctx, logger))
}

// markAlive records a proof that the API server still sends changes of this resource.
func (r *resource) markAlive() {
	r.proof.Store(int64(time.Since(r.source.made)))
	r.source.signalLife()
}

// age returns the time since the last proof of life. It does not depend on the wall clock. An optional
// resource is also as old as the last answer of discovery, and only that while it is absent.
func (r *resource) age() time.Duration {
	now := time.Since(r.source.made)
	age := now - time.Duration(r.proof.Load())
	if r.optional == nil {
		return age
	}
	discovered := now - time.Duration(r.optional.discovered.Load())
	if r.optional.absent.Load() {
		return discovered
	}
	return max(age, discovered)
}

// maxLogged is how many different failures in a row are logged. Each is logged once, even if they alternate.
const maxLogged = 16

// recordFailure stores a failure, and logs it once until all calls succeed again.
func (r *resource) recordFailure(v verb, err error) {
	r.mu.Lock()
	r.failures[v] = err
	r.mu.Unlock()
	if r.optional != nil && v != verbDiscover && apierrors.IsNotFound(err) { // perhaps it is absent now
		r.source.discoverSoon()
		return
	}
	r.logFailures()
}

// logFailures logs the present failures once until all calls succeed again.
func (r *resource) logFailures() {
	r.mu.Lock()
	text := r.failureLocked()
	kind := withoutNumbers(text)
	isNew := text != "" && len(r.logged) < maxLogged && !slices.Contains(r.logged, kind)
	if isNew {
		r.logged = append(r.logged, kind)
	}
	r.mu.Unlock()
	if isNew {
		r.source.log.Warn("cannot follow the cluster", "resource", r.Qualified(), "error", text)
	}
}

// recordSuccess removes the failures of verbs. It logs when none is left.
func (r *resource) recordSuccess(verbs ...verb) {
	r.mu.Lock()
	for _, v := range verbs {
		delete(r.failures, v)
	}
	over := len(r.failures) == 0 && len(r.logged) > 0
	if over {
		r.logged = nil
	}
	r.mu.Unlock()
	if over {
		r.source.log.Info("following the cluster again", "resource", r.Qualified())
	}
}

// dropFailures removes the failures of verbs that are not called any more.
func (r *resource) dropFailures(verbs ...verb) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range verbs {
		delete(r.failures, v)
	}
	if len(r.failures) == 0 {
		r.logged = nil
	}
}

// logRelist logs a lost history. It is no failure: the next list is applied by its differences.
func (r *resource) logRelist(err error) {
	r.source.log.Info("listing the cluster again: its history is lost", "resource", r.Qualified(), "reason", err)
}

// maxEndless is how many lists by watch in a row may go silent without an end before plain lists replace
// them. A single one may mean that the API server hung.
const maxEndless = 2

// mayStream reports whether the next list may be by watch. It returns false if such lists never end, and once
// after two in a row were cut off.
func (r *resource) mayStream() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	plain := r.plainOnce || r.endless >= maxEndless
	r.plainOnce = false
	return !plain
}

// streamEnded records how a list by watch ended.
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
	case streamEndless: // client-go falls back to a plain list by itself
		if r.endless++; r.endless == maxEndless {
			r.source.log.Warn("the API server never ends lists by watch; using plain lists from now on",
				"resource", r.Qualified())
		}
	}
}

// An endingClock is the real clock, except that After ends with the context: client-go waits on it without
// looking at its context.
type endingClock struct {
	clock.RealClock
	ctx context.Context //nolint:containedctx // client-go's clock cannot be passed a context
}

// After returns a channel that receives when d has passed or the context has ended.
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

// String returns the name of the resource in messages of client-go.
func (r *resource) String() string { return fmt.Sprintf("mirror of %s", r.Qualified()) }
