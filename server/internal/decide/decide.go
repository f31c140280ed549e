// Package decide decides questions one by one, for every door.
package decide

import (
	"context"

	"github.com/netpold/netpold/cache"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/wire"
)

// A Decider decides questions. The decisions of all doors are remembered in one cache. It is safe for concurrent
// use.
type Decider struct{ cache.Decider }

// New returns a decider that remembers decisions in c, or none if c is nil.
func New(c *cache.Cache) Decider {
	if c == nil {
		return Decider{cache.Engine{}}
	}
	return Decider{c}
}

// Decide answers query from state. req is the same question as it was asked; nil for a question by IP. failed
// returns the failure for an error of the engine, to which detailer adds advice. When ctx has ended, the failure
// says so.
func (d Decider) Decide(
	ctx context.Context, state *current.State, detailer *details.Detailer, query engine.Query,
	req *netpoldv1.AllowedRequest, failed func(error) *wire.Failure,
) (engine.Decision, *wire.Failure) {
	var done <-chan struct{}
	if state.Snapshot.FansOut(&query) { // others are decided at once, and the channel would cost an allocation
		done = ctx.Done()
	}
	decision, err := d.AllowedUntil(done, state.Snapshot, query)
	switch {
	case err == nil:
		return decision, nil
	case ctx.Err() != nil:
		return engine.Decision{}, current.Ended(ctx)
	}
	return engine.Decision{}, failed(detailer.Advise(query, req, err))
}
