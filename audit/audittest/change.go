package audittest

import "github.com/netpold/netpold/audit"

// ReadDiff reads a difference as Read does a list.
func ReadDiff(groups []audit.Group, items []audit.DiffItem, byRule bool) *Reading {
	list := make([]audit.Item, len(items))
	changes := map[*audit.Connection]*audit.Change{}
	r := Read(groups, nil, byRule)
	for i, item := range items {
		list[i] = audit.Item{Set: item.Set, Progress: item.Progress}
		if item.Change != nil {
			list[i].Connection = r.connectionOf(item.Change)
			changes[list[i].Connection] = item.Change
		}
	}
	for _, item := range list {
		switch {
		case item.Set != nil:
			r.addSet(item.Set)
		case item.Connection != nil:
			r.addConnection(item.Connection, changes[item.Connection])
		}
	}
	for i := range groups {
		if groups[i].Presence == audit.PresentUnset {
			r.breaks("group %d has no presence", groups[i].ID)
		}
	}
	r.checkOrder()
	r.checkOnce()
	r.checkCIDRs()
	return r
}

// connectionOf returns the connection that a change opens or closes, or its state after, and checks that the
// states are such that the verdict differs.
func (r *Reading) connectionOf(c *audit.Change) *audit.Connection {
	state, none := c.After, audit.ChangeState{}
	right := c.Kind == audit.Opened && c.Before == none && c.After.Allowed
	switch c.Kind {
	case audit.Opened:
	case audit.Closed:
		state, right = c.Before, c.After == none && c.Before.Allowed
	case audit.FamiliesChanged:
		right = c.Before.Allowed && c.After.Allowed && c.Before.Families != c.After.Families &&
			len(c.SrcCIDRs)+len(c.DstCIDRs) == 0
	}
	if !right {
		r.breaks("D1: a change that is none: %+v", *c)
	}
	return &audit.Connection{
		Src: c.Src, SrcCIDRs: c.SrcCIDRs, Dst: c.Dst, DstCIDRs: c.DstCIDRs, Ports: c.Ports,
		Families: state.Families, EgressBy: state.EgressBy, IngressBy: state.IngressBy,
	}
}
