package live

import (
	"context"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/netpold/netpold/mirror"
)

// Status implements [mirror.Source].
func (s *Source) Status() mirror.Status {
	status := mirror.Status{
		Source: "cluster " + s.name, Ready: s.present.Load().Snapshot != nil, Problems: s.feed.allProblems(),
		OnlyNamespace: s.namespace, Meaning: s.meaning, Unmodelled: slices.Clone(*s.unmodelled.Load()),
	}
	for _, r := range s.resources {
		objects, listed := s.feed.counts(r.index)
		age := r.age()
		r.mu.Lock()
		failure := r.failureLocked()
		unauthorized, forbidden := r.refusedLocked()
		listForbidden := apierrors.IsForbidden(r.failures[verbList])
		r.mu.Unlock()
		status.Resources = append(status.Resources, r.shown(mirror.Resource{
			Name: r.Resource, Synced: listed, Objects: objects, Age: age, Stale: s.tooOld(age), Error: failure,
			Unauthorized: unauthorized || forbidden, Forbidden: forbidden,
			ListForbidden: listForbidden,
		}))
	}
	return status
}

// shown adds to a resource's status what is told of those that a cluster need not serve.
func (r *resource) shown(status mirror.Resource) mirror.Resource {
	o := r.optional
	if o == nil {
		return status
	}
	if served := o.served.Load(); served != nil {
		status.Version = *served
	}
	switch unread := o.unread.Load(); {
	case unread != nil: // answers are those of before
		status.State, status.Synced = *unread, false
	case o.absent.Load():
		status.State = mirror.StateAbsent
	case status.Synced && o.listed.Load():
		status.State = mirror.StateSynced
	default: // answers are those of before
		status.Synced = false
	}
	return status
}

func (s *Source) tooOld(age time.Duration) bool { return s.maxStaleness > 0 && age > s.maxStaleness }

// Stale implements [mirror.Source]. The state is stale if any resource is.
func (s *Source) Stale() (stale bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stale, s.staleChanged
}

// watchStaleness updates the result of Stale until the context ends.
func (s *Source) watchStaleness(ctx context.Context) {
	if s.maxStaleness == 0 {
		return
	}
	timer := time.NewTimer(s.maxStaleness)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.lifeSign:
		}
		// The hint is set before ages are read, so that no sign of life is lost in between.
		s.staleHint.Store(true)
		var oldest time.Duration
		for _, r := range s.resources {
			oldest = max(oldest, r.age())
		}
		stale := s.tooOld(oldest)
		s.setStale(stale)
		if !stale {
			s.staleHint.Store(false)
			timer.Reset(s.maxStaleness - oldest + time.Millisecond)
		}
	}
}

func (s *Source) setStale(stale bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale == stale {
		return
	}
	s.stale = stale
	close(s.staleChanged)
	s.staleChanged = make(chan struct{})
	if !stale {
		s.log.Info("cluster mirror is current again")
		return
	}
	for _, r := range s.resources {
		if age := r.age(); s.tooOld(age) {
			s.log.Warn("cluster mirror is stale: the API server has gone silent", "resource", r.Qualified(),
				"age", age, "limit", s.maxStaleness)
		}
	}
}

// signalLife wakes watchStaleness if the mirror is stale.
func (s *Source) signalLife() {
	if !s.staleHint.Load() {
		return
	}
	select {
	case s.lifeSign <- struct{}{}:
	default:
	}
}
