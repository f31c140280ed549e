package live

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/cache"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// A cluster need not serve an optional resource (S31). Discovery says whether it does, and in which versions.
// A resource that is not served has no objects. If discovery fails, nothing is known: the first state waits for
// it, and a later one keeps the objects until the resource is stale.

const (
	// lookInterval is the longest time between two calls of discovery.
	lookInterval = 10 * time.Second
	// lookTimeout bounds one look.
	lookTimeout = 10 * time.Second
	// versionTimeout bounds the part of a look that can fail without harm.
	versionTimeout = 2 * time.Second
	// lookPause is the shortest time between two looks, however many callers wait for one.
	lookPause = time.Second
	// confirmPause is the time between the look that misses a mirrored resource and the one that has to
	// confirm it. Of several API servers behind one address, one may not know a resource yet that others serve.
	confirmPause = 5 * time.Second
)

// An optional holds what only an optional resource has. The fields that are not atomic belong to the goroutine
// of [Source.runOptional].
type optional struct {
	// listerWatcher returns the calls for a version.
	listerWatcher func(*convert.Version) (cache.ListerWatcher, error)
	// version is the mirrored version, and stop ends its reflector. Both are nil while none is mirrored.
	version *convert.Version
	stop    func()
	// missed is set if the last look did not find the resource, which is mirrored.
	missed bool
	// discovered is when discovery last answered, in nanoseconds since the source was made.
	discovered atomic.Int64
	// served is the name of version; nil while none is mirrored.
	served atomic.Pointer[string]
	// absent is set while discovery says that the resource is not served.
	absent atomic.Bool
	// listed is set after the first list since the resource is served.
	listed atomic.Bool
	// unread is the state to show while the resource is served and cannot be mirrored:
	// [mirror.StateUnsupported], or empty if the calls cannot be made; nil otherwise.
	unread atomic.Pointer[string]
}

// optionalResources returns the mirrored resources that are optional.
func (s *Source) optionalResources() []*resource {
	return s.resources[min(convert.RequiredCount, len(s.resources)):]
}

// runOptional mirrors the optional resources that discovery finds, until ctx ends.
func (s *Source) runOptional(ctx context.Context) {
	resources := s.optionalResources()
	if len(resources) == 0 {
		return
	}
	defer func() {
		for _, r := range resources {
			r.stop()
		}
	}()
	ticker := time.NewTicker(s.lookEvery())
	defer ticker.Stop()
	for {
		pause, doubtful := lookPause, s.look(ctx, resources)
		if doubtful {
			pause = confirmPause
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if doubtful {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.wantsLook:
		}
	}
}

// lookEvery returns the time between two looks. The age of an optional resource grows between them.
func (s *Source) lookEvery() time.Duration {
	if s.maxStaleness == 0 {
		return lookInterval
	}
	return min(lookInterval, max(s.maxStaleness/3, lookPause))
}

// discoverSoon makes the next look come soon. It does not block.
func (s *Source) discoverSoon() {
	select {
	case s.wantsLook <- struct{}{}:
	default:
	}
}

// look calls discovery once, and applies the answer to each optional resource. It reports whether a second
// look has to confirm the answer.
func (s *Source) look(ctx context.Context, resources []*resource) (doubtful bool) {
	// It is read before discovery: the absence of a resource is then not older.
	short, cancelShort := context.WithTimeout(ctx, versionTimeout)
	version := s.presentVersion(short)
	cancelShort()
	bounded, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found := s.discovery.find(bounded, convert.OptionalKinds())
	if ctx.Err() != nil {
		return false
	}
	for i, r := range resources {
		if err := found[i].err; err != nil {
			r.failLook(err)
			continue
		}
		doubtful = r.apply(ctx, found[i].version, version) || doubtful
	}
	return doubtful
}

// failLook records that a look did not tell whether, or how, the resource can be read.
func (r *resource) failLook(err error) {
	r.optional.missed = false
	if _, ok := errors.AsType[*unknownVersionsError](err); ok {
		r.optional.unread.Store(new(mirror.StateUnsupported))
	}
	r.recordFailure(verbDiscover, err)
}

// presentVersion returns the API server's present resource version; empty if it is not known.
func (s *Source) presentVersion(ctx context.Context) string {
	_, policies, _ := kindOf("networkpolicies")
	version, err := latestVersion(ctx, s.resources[policies].calls.inner)
	if err != nil { // the resource itself reports it
		return ""
	}
	return version
}

// apply mirrors the resource in the version that is served. If that is nil, the resource is absent, and version
// is a resource version of the API server that is not newer. apply reports whether a second look has to
// confirm the absence.
func (r *resource) apply(ctx context.Context, served *convert.Version, version string) (doubtful bool) {
	o := r.optional
	switch now := o.version; {
	case served == nil && now != nil && !o.missed:
		o.missed = true
		r.source.log.Debug("discovery does not find the resource any more: it is asked again",
			"resource", r.Qualified())
		return true
	case served == nil:
		r.setAbsent(version)
	case now == nil:
		if !r.start(ctx, served) {
			return false
		}
		r.source.log.Info("the cluster serves the resource", "resource", r.Qualified(), "version", served.Version)
	case now.Version != served.Version:
		if !r.start(ctx, served) {
			return false
		}
		r.source.log.Info("reading the resource in another version", "resource", r.Qualified(),
			"version", served.Version, "before", now.Version)
	default:
		r.logFailures()
	}
	o.missed = false
	o.unread.Store(nil)
	o.discovered.Store(int64(time.Since(r.source.made)))
	r.source.signalLife()
	r.recordSuccess(verbDiscover)
	return false
}

// start mirrors the resource in a version, in place of the one before. If that fails, it returns false and
// leaves everything as it is: the resource ages, and is stale in the end.
func (r *resource) start(ctx context.Context, version *convert.Version) bool {
	o := r.optional
	lw, err := o.listerWatcher(version)
	if err != nil {
		o.unread.Store(new(string))
		r.recordFailure(verbList, err)
		return false
	}
	if o.version == nil { // it was absent until now
		r.markAlive()
	}
	r.stop()
	r.dropFailures(verbList)
	r.callBy(lw)
	o.version = version
	o.served.Store(&version.Version)
	o.absent.Store(false)
	running, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { r.run(running, ctx.Done()) })
	all.Go(func() { r.answerProbes(running) })
	o.stop = func() {
		cancel()
		all.Wait()
	}
	return true
}

// stop undoes start. The objects stay.
func (r *resource) stop() {
	o := r.optional
	if o.stop == nil {
		return
	}
	o.stop()
	o.stop, o.version = nil, nil
	o.served.Store(nil)
	r.dropFailures(verbList, verbWatch)
}

// setAbsent removes all objects of the resource at once.
func (r *resource) setAbsent(version string) {
	o := r.optional
	mirrored, wasAbsent := o.version != nil, o.absent.Load()
	r.stop()
	o.absent.Store(true)
	o.listed.Store(false)
	objects := r.store.removeAll(version)
	switch {
	case mirrored:
		r.source.log.Info("the cluster no longer serves the resource: its objects are removed",
			"resource", r.Qualified(), "objects", objects)
	case !wasAbsent: // "cluster mirrored" names all of them
		r.source.log.Debug("the cluster does not serve the resource", "resource", r.Qualified())
	}
}
