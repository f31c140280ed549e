package cache

import (
	"slices"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/netpold/netpold/engine"
)

// mostNumbered is how many snapshots have a number at a time: the present one, and those that slower readers still ask.
const mostNumbered = 4

// numbering gives each snapshot that is asked a number of its own, so that an entry can name one without keeping it in
// memory. A revision would not do: that of another Cluster, or of a snapshot that was never published, may be the same.
//
// A snapshot that has lost its number to newer ones gets another, which costs those who ask it one check of each entry.
type numbering struct {
	recent atomic.Pointer[[]numbered] // newest first; immutable
	mu     sync.Mutex
	last   uint64 // guarded by mu
}

type numbered struct {
	revision uint64
	snapshot weak.Pointer[engine.Snapshot]
	number   uint64
}

// of is the number of a snapshot, 1 or more.
func (n *numbering) of(s *engine.Snapshot) uint64 {
	if known := n.find(s); known != 0 {
		return known
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if known := n.find(s); known != 0 {
		return known
	}
	n.last++
	recent := []numbered{{s.Revision(), weak.Make(s), n.last}}
	if old := n.recent.Load(); old != nil {
		recent = slices.Concat(recent, (*old)[:min(len(*old), mostNumbered-1)])
	}
	n.recent.Store(&recent)
	return n.last
}

// find is 0 for a snapshot that has no number.
func (n *numbering) find(s *engine.Snapshot) uint64 {
	recent, revision := n.recent.Load(), s.Revision()
	if recent == nil {
		return 0
	}
	for i := range *recent {
		// The revision alone tells most of those that are not it, in less time.
		if known := &(*recent)[i]; known.revision == revision && known.snapshot.Value() == s {
			return known.number
		}
	}
	return 0
}
