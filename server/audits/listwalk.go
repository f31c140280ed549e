package audits

import (
	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
)

// A listWalk goes through a list, and can be left and gone on with at any place. It is not safe for concurrent
// use.
type listWalk struct {
	list *audit.List
	// groups are those that are still to come.
	groups []audit.Group
	// position is how many groups and results were handed out, connections how many of them were connections.
	position, connections uint64
	// left is a result that was not taken.
	left *audit.Item
	// progress is the last that the list told.
	progress audit.Progress
}

// newListWalk begins a list. Its errors are those of [audit.NewList] and of
// [audit.List.SelectsNothing].
func newListWalk(done <-chan struct{}, s *engine.Snapshot, r *audit.ListRequest) (*listWalk, error) {
	list, err := audit.NewList(done, s, r)
	if err != nil {
		return nil, err
	}
	if err := list.SelectsNothing(); err != nil {
		return nil, err
	}
	return &listWalk{list: list, groups: list.Groups()}, nil
}

// each hands out what is to come, until take returns false: then what it got last is still to come. The
// summary is of all that the list has handed out since its beginning.
func (w *listWalk) each(done <-chan struct{}, take func(*audit.Item) bool) (audit.ListSummary, error) {
	offer := func(item *audit.Item) bool {
		if !take(item) {
			w.left = item
			return false
		}
		w.position++
		if item.Connection != nil {
			w.connections++
		}
		return true
	}
	for len(w.groups) > 0 {
		g := w.groups[0]
		if !take(&audit.Item{Group: &g}) {
			return audit.ListSummary{Truncated: true}, nil
		}
		w.position++
		w.groups = w.groups[1:]
	}
	if left := w.left; left != nil {
		w.left = nil
		if !offer(left) {
			return audit.ListSummary{Truncated: true}, nil
		}
	}
	return w.list.Connections(done, func(item audit.Item) bool {
		if item.Progress != nil {
			w.progress = *item.Progress
			return true
		}
		return offer(&item)
	})
}
