package live

import (
	"context"
	"slices"
	"time"

	"github.com/netpold/netpold/mirror"
)

// probeAfter is how long a caller waits before the API server is asked whether anything changed. Most events
// arrive before.
const probeAfter = 250 * time.Millisecond

// Wait implements [mirror.Source]. It blocks until every resource has reached token. If ctx ends first, the
// error is a [mirror.LagError].
//
// When nothing changes, only a bookmark every minute proves it. So Wait asks for one earlier.
func (s *Source) Wait(ctx context.Context, token string) (mirror.State, error) {
	want, err := parseToken(token)
	if err != nil {
		return mirror.State{}, err
	}
	ask := time.NewTimer(probeAfter)
	defer ask.Stop()
	for {
		p := s.present.Load()
		lagging := slices.DeleteFunc(want.ahead(p.reached), func(r resourceIndex) bool {
			return int(r) >= len(s.resources) || s.resources[r].limited.Load() // never mirrored
		})
		if p.Snapshot != nil && len(lagging) == 0 {
			return p.State, nil
		}
		select {
		case <-p.next:
		case <-ask.C:
			if p.Snapshot != nil {
				s.probe(lagging)
			}
			ask.Reset(4 * probeAfter)
		case <-ctx.Done():
			return mirror.State{}, &mirror.LagError{Resources: s.lagging(p, lagging), Cause: ctx.Err()}
		}
	}
}

// lagging returns the names of the resources in behind. Before the first state it returns those without a
// list.
func (s *Source) lagging(p *published, behind []resourceIndex) []string {
	var names []string
	if p.Snapshot == nil {
		behind = nil
		for _, r := range s.resources {
			if !s.feed.synced(r.index) {
				behind = append(behind, r.index)
			}
		}
	}
	for _, r := range behind {
		names = append(names, s.resources[r].Resource)
	}
	return names
}

// probe makes each resource in list ask the API server whether anything changed. It does not block.
func (s *Source) probe(list []resourceIndex) {
	for _, r := range list {
		if s.resources[r].optional != nil {
			s.discoverSoon()
		}
		select {
		case s.resources[r].probes <- struct{}{}:
		default:
		}
	}
}
