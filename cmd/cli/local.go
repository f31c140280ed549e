package cli

import (
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/decisions"
)

// A local answers in this process, from its own state.
type local struct {
	*decisions.Service
	source mirror.Source
}

func newLocal(source mirror.Source) local {
	return local{decisions.New(source, decisions.Options{}), source}
}

// frozen returns an asker that answers from the present state for ever, and that state.
func (l local) frozen() (local, mirror.State) {
	state, _ := l.source.State()
	return newLocal(still{l.source, state}), state
}

// A still is a source whose state never changes.
type still struct {
	mirror.Source
	state mirror.State
}

// Changed implements [mirror.Source].
func (s still) Changed() <-chan struct{} { return nil }

// State implements [mirror.Source].
func (s still) State() (mirror.State, bool) { return s.state, s.state.Snapshot != nil }
