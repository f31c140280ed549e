package current

import (
	"context"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/internal/overload"
	"github.com/netpold/netpold/server/internal/wire"
)

// State is the state that one call answers from.
type State struct {
	mirror.State
	// Stale means that the state may be older than the limit. The answers say so.
	Stale bool
}

// Options configure a [Reader]. The zero value answers from stale states and never drains.
type Options struct {
	// RefuseStale refuses calls while the state is stale.
	RefuseStale bool
	// UntilDrain returns a context that also ends when the server drains, and a function that releases it.
	// Default: the context itself.
	UntilDrain func(context.Context) (context.Context, func())
	// Gate limits the calls that wait. Default: they may all.
	Gate *overload.Gate
}

// Reader reads the states of a source. It is safe for concurrent use.
type Reader struct {
	source     mirror.Source
	stale      *staleness
	options    Options
	untilDrain func(context.Context) (context.Context, func())
}

// NewReader returns a reader of source.
func NewReader(source mirror.Source, options Options) *Reader {
	r := &Reader{source: source, stale: newStaleness(source), options: options, untilDrain: options.UntilDrain}
	if r.untilDrain == nil {
		r.untilDrain = func(ctx context.Context) (context.Context, func()) { return ctx, func() {} }
	}
	return r
}

// Present returns the present state, or why nothing is answered.
func (r *Reader) Present() (State, *wire.Failure) {
	state, ok := r.source.State()
	if !ok {
		return State{}, notSynced()
	}
	return r.accept(state)
}

// Changed returns channels that are closed when Present may return another state, and when it may be stale or
// no longer so. Either is nil if that never happens. Taken before a call of Present, they miss nothing.
func (r *Reader) Changed() (state, stale <-chan struct{}) {
	r.stale.now()
	return r.source.Changed(), r.stale.last.Load().changed
}

// accept returns state for answering from, unless it is stale and stale states are refused.
func (r *Reader) accept(state mirror.State) (State, *wire.Failure) {
	stale := r.stale.now()
	if stale && r.options.RefuseStale {
		return State{}, refuseStale(r.source.Status().Resources)
	}
	return State{State: state, Stale: stale}, nil
}

// UntilDrain returns a context that also ends when the server drains, and a function that releases it.
func (r *Reader) UntilDrain(ctx context.Context) (context.Context, func()) { return r.untilDrain(ctx) }
