package current

import (
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/wire"
)

// Fill writes a decision and the state that it was computed from (S25) into answer, and returns the response in
// it.
func (s *State) Fill(answer *wire.Answer, decision *engine.Decision) *netpoldv1.AllowedResponse {
	r := answer.Fill(decision)
	r.Revision, r.Token, r.Stale = s.Snapshot.Revision(), s.Token, s.Stale
	return r
}
