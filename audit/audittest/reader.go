// Package audittest reads lists as the contract describes them, and says where one breaks its rules. It
// shares nothing with the code that makes lists but the types.
package audittest

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
)

// Reading is a list with its sets opened.
type Reading struct {
	Groups      []audit.Group
	Connections []Opened
	Exposures   []*audit.Exposure
	// ByRule reports whether connections have rules (INCLUDE_POLICIES).
	ByRule bool
	// Broken has the rules that the list breaks, in words.
	Broken []string

	sets  map[uint32][]uint32
	pairs map[[2]uint32][]*Opened
	long  map[string]bool
}

// Opened is a connection with its sets opened: ids of groups, ascending. A change is read as the connection
// that one state has and the other has not, or has in other families.
type Opened struct {
	*audit.Connection
	Src, Dst []uint32
	// Change is what Connection was read from; nil in a list.
	Change *audit.Change
}

// rules tells apart what a connection rests on.
func (o *Opened) rules() string {
	if c := o.Change; c != nil {
		return fmt.Sprint(c.Kind, c.Before.EgressBy, c.Before.IngressBy, c.After.EgressBy, c.After.IngressBy)
	}
	return fmt.Sprint(o.EgressBy, o.IngressBy)
}

// value tells apart what is said of the ports of a connection.
func (o *Opened) value() string {
	if c := o.Change; c != nil {
		return fmt.Sprint(o.rules(), c.Before.Allowed, c.Before.Families, c.After.Allowed, c.After.Families)
	}
	return fmt.Sprint(o.rules(), o.Families)
}

// Read reads a list, and checks all that can be seen from it alone: the order of groups, L2, L3, L5, L6 and
// the shape of every item.
func Read(groups []audit.Group, items []audit.Item, byRule bool) *Reading {
	r := &Reading{
		Groups: groups, ByRule: byRule, sets: map[uint32][]uint32{}, pairs: map[[2]uint32][]*Opened{},
		long: map[string]bool{},
	}
	for i := range groups {
		r.checkGroup(i)
	}
	for _, item := range items {
		switch {
		case item.Set != nil:
			r.addSet(item.Set)
		case item.Connection != nil:
			if len(r.Exposures) > 0 {
				r.breaks("a connection after an exposure")
			}
			r.addConnection(item.Connection, nil)
		case item.Exposure != nil:
			r.Exposures = append(r.Exposures, item.Exposure)
		}
	}
	r.checkOrder()
	r.checkOnce()
	r.checkCIDRs()
	r.checkExposures()
	return r
}

// breaks records a broken rule.
func (r *Reading) breaks(format string, args ...any) {
	r.Broken = append(r.Broken, fmt.Sprintf(format, args...))
}

// checkGroup checks the place of a group and its members.
func (r *Reading) checkGroup(i int) {
	g := &r.Groups[i]
	if g.ID != uint32(i+1) {
		r.breaks("group %d has id %d", i+1, g.ID)
	}
	if len(g.Members) == 0 {
		r.breaks("group %d has no members", g.ID)
		return
	}
	if !slices.IsSortedFunc(g.Members, func(a, b audit.Member) int { return cmp.Compare(a.Name, b.Name) }) {
		r.breaks("group %d: members are not by name", g.ID)
	}
	if i > 0 && compareGroups(&r.Groups[i-1], g) > 0 {
		r.breaks("groups %d and %d are not in order", i, i+1)
	}
}

// addSet adds a set (L5).
func (r *Reading) addSet(s *audit.Set) {
	if _, ok := r.sets[s.ID]; ok {
		r.breaks("L5: set %d is sent twice", s.ID)
	}
	r.checkAscending("set", s.Groups)
	r.checkLong(s.Groups)
	r.sets[s.ID] = s.Groups
}

// checkLong checks that no long list is sent twice (L5).
func (r *Reading) checkLong(ids []uint32) {
	if len(ids) <= 64 {
		return
	}
	key := fmt.Sprint(ids)
	if r.long[key] {
		r.breaks("L5: a list of %d groups is sent twice", len(ids))
	}
	r.long[key] = true
}

// checkAscending checks that ids are known, ascend and are there once.
func (r *Reading) checkAscending(what string, ids []uint32) {
	for i, id := range ids {
		if i > 0 && ids[i-1] >= id {
			r.breaks("L6: %s: groups %v do not ascend", what, ids)
		}
		if id == 0 || int(id) > len(r.Groups) {
			r.breaks("%s: there is no group %d", what, id)
		}
	}
}

// open returns all groups of a list.
func (r *Reading) open(l audit.GroupList) []uint32 {
	r.checkAscending("connection", l.Groups)
	r.checkLong(l.Groups)
	all := slices.Clone(l.Groups)
	for i, id := range l.Sets {
		if i > 0 && l.Sets[i-1] >= id {
			r.breaks("sets %v do not ascend", l.Sets)
		}
		s, ok := r.sets[id]
		if !ok {
			r.breaks("L5: set %d is not sent before it is named", id)
		}
		all = append(all, s...)
	}
	slices.Sort(all)
	if n := len(all); len(slices.Compact(slices.Clone(all))) != n {
		r.breaks("a group is twice in one list: %+v", l)
	}
	return all
}

// addConnection opens a connection, of a change unless that is nil, and checks its shape.
func (r *Reading) addConnection(c *audit.Connection, change *audit.Change) {
	o := Opened{Connection: c, Src: r.open(c.Src), Dst: r.open(c.Dst), Change: change}
	ends := func(lists ...int) (n int) {
		for _, l := range lists {
			n += min(l, 1)
		}
		return n
	}
	if ends(len(o.Src), len(c.SrcCIDRs)) != 1 || ends(len(o.Dst), len(c.DstCIDRs), len(c.DstServices)) != 1 ||
		len(c.SrcCIDRs) > 0 && len(o.Dst) == 0 {
		r.breaks("connection %+v: ends of several kinds, or of none", c)
	}
	if (len(c.Ports) == 0) != (len(c.DstServices) > 0) {
		r.breaks("connection %+v: ports", c)
	}
	for i, p := range c.Ports {
		if p.First == 0 || p.First > p.Last || p.Protocol > engine.SCTP {
			r.breaks("port range %+v", p)
		}
		if i == 0 {
			continue
		}
		before := c.Ports[i-1]
		if before.Protocol > p.Protocol ||
			before.Protocol == p.Protocol && int(before.Last)+1 >= int(p.First) {
			r.breaks("ports %v: not in order, or touching", c.Ports)
		}
	}
	if !r.ByRule && (c.EgressBy != (audit.Rule{}) || c.IngressBy != (audit.Rule{})) {
		r.breaks("a rule is told that was not asked for")
	}
	r.Connections = append(r.Connections, o)
	kept := &r.Connections[len(r.Connections)-1]
	for _, s := range o.Src {
		for _, d := range o.Dst {
			r.pairs[[2]uint32{s, d}] = append(r.pairs[[2]uint32{s, d}], kept)
		}
	}
}

// checkOnce checks L2 for pairs of groups.
func (r *Reading) checkOnce() {
	for pair, list := range r.pairs {
		for i, a := range list {
			for _, b := range list[:i] {
				if overlap(a.Ports, b.Ports) {
					r.breaks("L2: %v: ports are in two connections: %v, %v", pair, a.Ports, b.Ports)
				}
				if a.value() == b.value() {
					r.breaks("L2: %v: two connections of families %d", pair, a.Families)
				}
			}
		}
	}
}

// overlap reports whether two lists have a port in common.
func overlap(a, b []audit.PortRange) bool {
	return slices.ContainsFunc(a, func(x audit.PortRange) bool {
		return slices.ContainsFunc(b, func(y audit.PortRange) bool {
			return x.Protocol == y.Protocol && x.First <= y.Last && y.First <= x.Last
		})
	})
}

// checkCIDRs checks L2 and L3 for addresses.
func (r *Reading) checkCIDRs() {
	type key struct {
		group uint32
		src   bool
		what  string
	}
	cidrs, results := map[key][]*Opened{}, map[string]int{}
	for i := range r.Connections {
		o := &r.Connections[i]
		list, groups := o.DstCIDRs, o.Src
		if len(o.SrcCIDRs) > 0 {
			list, groups = o.SrcCIDRs, o.Dst
			what := fmt.Sprint(list, o.Ports, o.rules())
			if results[what]++; results[what] > 1 {
				r.breaks("L3: destinations with the same CIDRs and ports share no connection: %s", what)
			}
		}
		if len(list) == 0 {
			continue
		}
		r.checkFewest(list, o.Families)
		for _, g := range groups {
			k := key{g, len(o.SrcCIDRs) > 0, ""}
			for _, before := range cidrs[k] {
				r.checkApart(g, before, o)
			}
			cidrs[k] = append(cidrs[k], o)
		}
	}
}

// checkApart checks two connections of one group and the outside in one direction (L2, L3).
func (r *Reading) checkApart(group uint32, a, b *Opened) {
	sameRule := a.rules() == b.rules()
	if sameRule && slices.Equal(a.Ports, b.Ports) {
		r.breaks("L3: group %d: two connections with CIDRs have ports %v", group, a.Ports)
	}
	meet := slices.ContainsFunc(slices.Concat(a.SrcCIDRs, a.DstCIDRs), func(p netip.Prefix) bool {
		return slices.ContainsFunc(slices.Concat(b.SrcCIDRs, b.DstCIDRs), p.Overlaps)
	})
	if meet && (sameRule || overlap(a.Ports, b.Ports)) {
		r.breaks("L2: group %d: an address is in two connections: %+v, %+v", group, a, b)
	}
}

// checkFewest checks that CIDRs are in order, apart, and the fewest: no two are the halves of one (L3).
func (r *Reading) checkFewest(list []netip.Prefix, families engine.Families) {
	var have engine.Families
	for i, p := range list {
		if p.Addr().Is4() {
			have |= engine.IPv4
		} else {
			have |= engine.IPv6
		}
		if p != p.Masked() {
			r.breaks("L3: %v has host bits", p)
		}
		if i == 0 {
			continue
		}
		before := list[i-1]
		if before.Addr().Compare(p.Addr()) >= 0 || before.Overlaps(p) {
			r.breaks("L3: %v and %v are not in order", before, p)
		}
		if before.Bits() == p.Bits() && before.Addr().Is4() == p.Addr().Is4() &&
			netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked().Addr() == before.Addr() {
			r.breaks("L3: %v and %v are halves of one", before, p)
		}
	}
	if have != families {
		r.breaks("families %d of %v", families, list)
	}
}
