package audit

import (
	"slices"

	"github.com/netpold/netpold/engine"
)

// meant reports whether a connection has a group at either end that meets the condition of the request. src is
// nil for the outside.
func (l *List) meant(src *roleGroups, c *folded) bool {
	if l.request.Only == OnlyAny {
		return true
	}
	meets := func(id uint32) bool { return l.meets(&l.groups[id-1]) }
	if src != nil && slices.ContainsFunc(src.ids, meets) || slices.ContainsFunc(c.singles, meets) {
		return true
	}
	for i := range c.sets {
		if slices.ContainsFunc(l.sets[c.sets[i].Set].ids, func(id uint32) bool {
			_, out := slices.BinarySearch(c.sets[i].Except, l.groups[id-1].destination)
			return !out && meets(id)
		}) {
			return true
		}
	}
	return false
}

// meets reports whether a group meets the condition of the request.
func (l *List) meets(g *listGroup) bool {
	switch l.request.Only {
	case OnlyAny:
		return true
	case OnlyIsolated:
		return g.IsolatedEgress || g.IsolatedIngress
	case OnlyOpen:
		return g.Kind != NodeGroup && (!g.IsolatedEgress || !g.IsolatedIngress)
	case OnlyExposed:
		return g.Kind != NodeGroup && l.isExposed(g.key.destination)
	}
	return false
}

// isExposed reports whether an external address, or any Pod of any namespace, can reach a destination.
func (l *List) isExposed(destination uint32) bool {
	found, ok := l.exposed[destination]
	if !ok {
		found = len(l.roles.OutsideOfDestination(destination)) > 0 ||
			slices.ContainsFunc(l.roles.ExposureOfDestination(destination), func(x engine.RoleExposure) bool {
				return len(x.Namespaces)+len(x.Pods)+len(x.Except) == 0 && len(x.Ports) > 0
			})
		l.exposed[destination] = found
	}
	return found
}
