package cli

import (
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/decisions"
)

// local answers in this process, from a state of its own.
type local struct {
	*decisions.Service
	source mirror.Source
}

func newLocal(source mirror.Source) local {
	return local{decisions.New(source, decisions.Options{}), source}
}

// frozen returns the same from the present state alone, which does not change any more, and that state.
func (l local) frozen() (local, mirror.State) {
	state, _ := l.source.State()
	return newLocal(still{l.source, state}), state
}

// still is a source whose state stays as it is.
type still struct {
	mirror.Source
	state mirror.State
}

// State returns the one state.
func (s still) State() (mirror.State, bool) { return s.state, s.state.Snapshot != nil }
