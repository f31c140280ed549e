// Package decide decides questions one by one, for every door.
package decide

import (
	"context"

	"github.com/netpold/netpold/cache"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/details"
	"github.com/netpold/netpold/server/internal/overload"
	"github.com/netpold/netpold/server/internal/wire"
)

// A Decider decides questions. The decisions of all doors are remembered in one cache, and expensive questions of all
// doors have their turns at one gate. It is safe for concurrent use.
type Decider struct {
	cache *cache.Cache
	gate  *overload.Gate
}

// New returns a decider that remembers decisions in c, or none if c is nil.
func New(c *cache.Cache, gate *overload.Gate) Decider { return Decider{c, gate} }

// Decide answers query from state, as a question of call. req is the same question as it was asked; nil for a question
// by IP. failed returns the failure for an error of the engine, to which detailer adds advice. When ctx has ended, the
// failure says so.
func (d Decider) Decide(
	ctx context.Context, call *Call, state *current.State, detailer *details.Detailer, query engine.Query,
	req *netpoldv1.AllowedRequest, failed func(error) *wire.Failure,
) (engine.Decision, *wire.Failure) {
	decision, fail, err := d.Allowed(ctx, call, state.Snapshot, &query)
	switch {
	case fail != nil:
		return engine.Decision{}, fail
	case err == nil:
		return decision, nil
	case ctx.Err() != nil:
		return engine.Decision{}, current.Ended(ctx)
	}
	return engine.Decision{}, failed(detailer.Advise(query, req, err))
}

// Allowed answers a question of call, as [engine.Snapshot.Allowed] does. The failure says why it was not decided: ctx
// has ended, or too many expensive questions wait.
func (d Decider) Allowed(
	ctx context.Context, call *Call, s *engine.Snapshot, query *engine.Query,
) (engine.Decision, *wire.Failure, error) {
	if !s.FansOut(query) { // decided at once, sooner than looked up
		decision, err := s.Allowed(*query)
		return decision, nil, err
	}
	known, l := d.cache.Look(s, query)
	if l.Hit {
		return known, nil, nil
	}
	goOn, waited, fail := call.admit(ctx, d.gate, s.Cost(query))
	if fail != nil {
		return engine.Decision{}, fail, nil
	}
	if waited { // for an equal question perhaps
		if known, l = d.cache.Look(s, query); l.Hit {
			return known, nil, nil
		}
	}
	decision, err := d.cache.Decide(goOn, &l, s, query)
	return decision, nil, err
}

// Details adds the details to the answer of a question of call, unless ctx ends.
func (d Decider) Details(
	ctx context.Context, call *Call, s *engine.Snapshot, detailer *details.Detailer, r *netpoldv1.AllowedResponse,
	query engine.Query,
) {
	goOn, fail := call.admitDetails(ctx, d.gate, s.Cost(&query))
	if fail == nil {
		detailer.Fill(goOn, r, query)
	}
}
