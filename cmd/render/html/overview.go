package html

import (
	"cmp"
	"slices"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A section is a namespace, or all that is in none: the outside, Nodes, Services.
type section struct {
	Kind      string `json:"kind"` // outside, namespace, nodes or services
	Name      string `json:"name,omitempty"`
	Workloads int    `json:"workloads,omitempty"`
	Pods      int    `json:"pods,omitempty"`
	// How many workloads have Pods that are not isolated for the direction.
	OpenEgress  int `json:"openEgress,omitempty"`
	OpenIngress int `json:"openIngress,omitempty"`
}

// An overview sums up a list, or a difference, by pairs of sections. It holds nothing of the connections
// themselves, so its size is that of the namespaces and sets.
type overview struct {
	sections []section
	place    map[uint32]groupPlace // by group id
	sets     map[uint32][]count    // by set id
	setIDs   map[uint32][]uint32   // the groups of each set, for seen
	cells    map[pair]*cell
	asked    [2]asked // of sources, of destinations
	seen     [2]map[uint32]bool
	ports    uint64 // how many pairs of protocol and port were asked about
	services int    // the section of Services, -1 before there is one
}

// groupPlace is where a group counts.
type groupPlace struct {
	section  int
	families families
}

// count is how many groups of a section have the same families.
type count struct {
	groupPlace
	groups int
}

// pair is two sections.
type pair struct{ src, dst int }

func newOverview(groups []*netpoldv1.Group, o *Options, src, dst asked) *overview {
	v := &overview{
		sections: []section{{Kind: "outside"}},
		place:    make(map[uint32]groupPlace, len(groups)),
		sets:     make(map[uint32][]count),
		setIDs:   make(map[uint32][]uint32),
		cells:    make(map[pair]*cell),
		asked:    [2]asked{src, dst},
		seen:     [2]map[uint32]bool{make(map[uint32]bool), make(map[uint32]bool)},
		ports:    portsAsked(o.Request),
		services: -1,
	}
	byName := make(map[section]int)
	open := make(map[party][2]bool)
	for _, g := range groups {
		name := section{Kind: "namespace", Name: g.GetNamespace()}
		if g.GetKind() == netpoldv1.GroupKind_GROUP_KIND_NODE {
			name = section{Kind: "nodes"}
		}
		i, ok := byName[name]
		if !ok {
			i = len(v.sections)
			byName[name] = i
			v.sections = append(v.sections, name)
		}
		v.place[g.GetId()] = groupPlace{i, familiesOf(g.GetFamilies())}
		s := &v.sections[i]
		s.Pods += len(g.GetMembers())
		p := partyOf(g)
		was, known := open[p]
		if !known {
			s.Workloads++
		}
		pods := g.GetKind() != netpoldv1.GroupKind_GROUP_KIND_NODE
		if pods && !g.GetIsolatedEgress() && !was[0] {
			s.OpenEgress, was[0] = s.OpenEgress+1, true
		}
		if pods && !g.GetIsolatedIngress() && !was[1] {
			s.OpenIngress, was[1] = s.OpenIngress+1, true
		}
		open[p] = was
	}
	return v
}

// A party is a workload, a Pod of none, or a Node.
type party struct{ namespace, kind, name string }

func partyOf(g *netpoldv1.Group) party {
	if w := g.GetWorkload(); w != nil {
		return party{w.GetNamespace(), w.GetKind(), w.GetName()}
	}
	p := party{namespace: g.GetNamespace(), kind: g.GetKind().String()}
	if members := g.GetMembers(); len(members) > 0 {
		p.name = members[0].GetName()
	}
	return p
}

func countWorkloads(groups []*netpoldv1.Group) int {
	parties := make(map[party]struct{}, len(groups))
	for _, g := range groups {
		parties[partyOf(g)] = struct{}{}
	}
	return len(parties)
}

func (v *overview) set(s *netpoldv1.Set) {
	v.sets[s.GetId()] = v.count(s.GetGroups())
	v.setIDs[s.GetId()] = s.GetGroups()
}

// count sums groups up by section and families.
func (v *overview) count(groups []uint32) []count {
	sums := make(map[groupPlace]int)
	for _, id := range groups {
		if place, ok := v.place[id]; ok {
			sums[place]++
		}
	}
	return counts(sums)
}

func counts(sums map[groupPlace]int) []count {
	out := make([]count, 0, len(sums))
	for place, n := range sums {
		out = append(out, count{place, n})
	}
	slices.SortFunc(out, func(a, b count) int {
		return cmp.Or(cmp.Compare(a.section, b.section), cmp.Compare(a.families, b.families))
	})
	return out
}

// gather sums up one end of a connection, groups and sets.
func (v *overview) gather(end int, groups, sets []uint32) []count {
	sums := make(map[groupPlace]int)
	for _, c := range v.count(groups) {
		sums[c.groupPlace] += c.groups
	}
	v.see(end, groups)
	for _, id := range sets {
		for _, c := range v.sets[id] {
			sums[c.groupPlace] += c.groups
		}
		v.see(end, v.setIDs[id])
	}
	return counts(sums)
}

// see notes that an end has connections, when that decides what was asked about.
func (v *overview) see(end int, groups []uint32) {
	if !v.asked[end].Seen {
		return
	}
	for _, id := range groups {
		v.seen[end][id] = true
	}
}

func (v *overview) connection(c *netpoldv1.Connection) {
	src, dst := v.gather(0, c.GetSrcGroups(), c.GetSrcSets()), v.gather(1, c.GetDstGroups(), c.GetDstSets())
	f, ports := familiesOf(c.GetFamilies()), countPorts(c.GetPorts())
	for _, s := range src {
		for _, d := range dst {
			cell := v.cell(s.section, d.section)
			cell.allowed = addRanges(cell.allowed, c.GetPorts())
			if shared(s.families, d.families) == f {
				cell.full += ports * uint64(s.groups) * uint64(d.groups) //nolint:gosec // counts
			}
		}
		if len(c.GetDstCidrs()) > 0 {
			v.cell(s.section, 0).outside(c.GetDstCidrs(), c.GetPorts(), s.groups)
		}
		if len(c.GetDstServices()) > 0 {
			v.service(s.section, c.GetDstServices())
		}
	}
	if len(c.GetSrcCidrs()) > 0 {
		for _, d := range dst {
			v.cell(0, d.section).outside(c.GetSrcCidrs(), c.GetPorts(), d.groups)
		}
	}
}

// service notes Services that src may reach. They carry their own ports.
func (v *overview) service(src int, services []*netpoldv1.ServicePort) {
	if v.services < 0 {
		v.services = len(v.sections)
		v.sections = append(v.sections, section{Kind: "services"})
	}
	cell := v.cell(src, v.services)
	for _, s := range services {
		cell.allowed = addRanges(cell.allowed, []*netpoldv1.PortRange{
			{Protocol: s.GetProtocol(), First: s.GetPort(), Last: s.GetPort()},
		})
	}
}

func (v *overview) change(c *netpoldv1.Change) {
	src, dst := v.gather(0, c.GetSrcGroups(), c.GetSrcSets()), v.gather(1, c.GetDstGroups(), c.GetDstSets())
	if len(c.GetSrcCidrs()) > 0 {
		src = append(src, count{groups: 1})
	}
	if len(c.GetDstCidrs()) > 0 {
		dst = append(dst, count{groups: 1})
	}
	for _, s := range src {
		for _, d := range dst {
			v.cell(s.section, d.section).change(c)
		}
	}
}

func (v *overview) cell(src, dst int) *cell {
	p := pair{src, dst}
	c := v.cells[p]
	if c == nil {
		c = &cell{}
		v.cells[p] = c
	}
	return c
}
