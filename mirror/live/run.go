package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/netpold/netpold/mirror"
)

// Run mirrors the cluster until the context ends, and then leaves no goroutine. It never gives up on the API
// server, and the last state stays. It returns an error only if it was called before.
func (s *Source) Run(ctx context.Context) error {
	if s.running.Swap(true) {
		return errors.New("mirror of a cluster: it can run once; make another")
	}
	var all sync.WaitGroup
	for _, r := range s.resources {
		r.markAlive()
		if r.optional == nil {
			all.Go(func() { r.run(ctx, ctx.Done()) })
			all.Go(func() { r.answerProbes(ctx) })
		}
	}
	all.Go(func() { s.runOptional(ctx) })
	all.Go(func() { s.watchStaleness(ctx) })
	all.Go(func() { s.seekUnmodelled(ctx) })
	s.apply(ctx)
	all.Wait()
	if s.client != nil {
		s.client.close()
	}
	return nil
}

// apply applies the changes of the feed to the engine until the context ends.
func (s *Source) apply(ctx context.Context) {
	start := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.feed.wake:
		}
		b, ok := s.feed.drain()
		switch {
		case !ok:
		case !b.publish:
			s.cluster.Apply(b.changes...)
		default:
			first := s.present.Load().Snapshot == nil
			if first {
				<-s.sought // within unmodelledTimeout
			}
			s.publish(b)
			if first {
				close(s.ready)
				objects, absent := s.objectsText()
				s.log.Info("cluster mirrored", "cluster", s.name, "objects", objects, "not_served", absent,
					"took", time.Since(start), "revision", s.present.Load().Snapshot.Revision())
			}
		}
	}
}

// objectsText counts the objects of each resource: "12 pods, 3 namespaces". It returns the absent resources apart.
func (s *Source) objectsText() (objects, absent string) {
	var counted, missing []string
	for _, r := range s.resources {
		if r.optional != nil && r.optional.absent.Load() {
			missing = append(missing, r.Resource)
			continue
		}
		n, _ := s.feed.counts(r.index)
		counted = append(counted, fmt.Sprintf("%d %s", n, r.Resource))
	}
	return strings.Join(counted, ", "), strings.Join(missing, ", ")
}

// publish makes a batch part of the present state. Without changes the snapshot stays and only reaches
// further.
func (s *Source) publish(b batch) {
	was := s.present.Load()
	next := &published{State: was.State, reached: b.reached, next: make(chan struct{})}
	if was.Snapshot == nil || len(b.changes) > 0 {
		next.Snapshot, next.Published = s.cluster.Apply(b.changes...), time.Now()
	}
	if token := b.changed.token(); token != was.Token {
		next.Token = token
	}
	s.present.Store(next)
	close(was.next)
	if was.Snapshot != nil {
		mirror.LogPolicies(s.log, was.Snapshot, b.changes)
	}
}

// State implements [mirror.Source] (S26).
func (s *Source) State() (mirror.State, bool) {
	p := s.present.Load()
	return p.State, p.Snapshot != nil
}

// Changed implements [mirror.Source].
func (s *Source) Changed() <-chan struct{} { return s.present.Load().next }

// Ready implements [mirror.Source].
func (s *Source) Ready() <-chan struct{} { return s.ready }
