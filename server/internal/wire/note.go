package wire

import (
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/notes"
)

// Notes returns notes in the form of a response.
func Notes(of []notes.Note) []*netpoldv1.Note {
	if len(of) == 0 {
		return nil
	}
	slab, out := make([]netpoldv1.Note, len(of)), make([]*netpoldv1.Note, len(of))
	for i, n := range of {
		slab[i].Code, slab[i].Message = n.Code, n.Message
		out[i] = &slab[i]
	}
	return out
}
