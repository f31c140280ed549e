package audit

import "slices"

// meant reports whether a connection has a group at either end that meets the condition of the request.
func (l *List) meant(c *Connection) bool {
	if l.request.Only == OnlyAny {
		return true
	}
	meets := func(id uint32) bool { return l.meets(&l.groups[id-1]) }
	return slices.ContainsFunc(c.Src.Groups, meets) || slices.ContainsFunc(c.Dst.Groups, meets)
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
		return g.Kind != NodeGroup && len(l.roles.OutsideOfDestination(g.key.destination)) > 0
	}
	return false
}
