package html

import (
	"cmp"
	"maps"
	"math/big"
	"net/netip"
	"slices"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A cell is what is known of one pair of sections.
type cell struct {
	// full counts what is allowed in all families: (source group, destination group, protocol, port). A list
	// says each of them once (L2), so that the sum tells whether nothing is missing.
	full uint64
	// addresses counts the same against the outside, by family: (group, address, protocol, port).
	addresses [2]big.Int
	allowed   []*netpoldv1.PortRange
	// In a difference, by kind of change.
	changed map[netpoldv1.ChangeKind][]*netpoldv1.PortRange
}

// cellLine is a cell as the page reads it.
type cellLine struct {
	Src      int         `json:"src"`
	Dst      int         `json:"dst"`
	State    string      `json:"state,omitempty"` // open or partly; for a list
	Ports    []portRange `json:"ports,omitempty"`
	Opened   []portRange `json:"opened,omitempty"`
	Closed   []portRange `json:"closed,omitempty"`
	Families []portRange `json:"families,omitempty"`
}

// portRange is a PortRange in protojson.
type portRange struct {
	Protocol string `json:"protocol"`
	First    uint32 `json:"first"`
	Last     uint32 `json:"last"`
}

// outside counts what n groups may exchange with addresses.
func (c *cell) outside(cidrs []string, ports []*netpoldv1.PortRange, n int) {
	c.allowed = addRanges(c.allowed, ports)
	each := new(big.Int).SetUint64(countPorts(ports) * uint64(n)) //nolint:gosec // a count
	for _, text := range cidrs {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			continue // Then the cell counts less, and shows as partly open.
		}
		family := 0
		if p.Addr().Is6() {
			family = 1
		}
		size := new(big.Int).Lsh(each, uint(p.Addr().BitLen()-p.Bits())) //nolint:gosec // not negative
		c.addresses[family].Add(&c.addresses[family], size)
	}
}

func (c *cell) change(m *netpoldv1.Change) {
	if c.changed == nil {
		c.changed = make(map[netpoldv1.ChangeKind][]*netpoldv1.PortRange)
	}
	c.changed[m.GetKind()] = addRanges(c.changed[m.GetKind()], m.GetPorts())
}

// lines returns the overview as lines of the page's data: sections first, then cells by source and
// destination, then which pairs were asked about.
func (v *overview) lines() []any {
	sources, destinations := v.askedGroups(0), v.askedGroups(1)
	out := make([]any, 0, len(v.sections)+len(v.cells)+1)
	for i := range v.sections {
		out = append(out, map[string]any{"section": v.sections[i]})
	}
	keys := slices.SortedFunc(maps.Keys(v.cells), func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.src, b.src), cmp.Compare(a.dst, b.dst))
	})
	for _, key := range keys {
		c := v.cells[key]
		line := cellLine{Src: key.src, Dst: key.dst, Ports: rangesJSON(c.allowed)}
		line.Opened = rangesJSON(c.changed[netpoldv1.ChangeKind_CHANGE_KIND_OPENED])
		line.Closed = rangesJSON(c.changed[netpoldv1.ChangeKind_CHANGE_KIND_CLOSED])
		line.Families = rangesJSON(c.changed[netpoldv1.ChangeKind_CHANGE_KIND_FAMILIES])
		if c.changed == nil {
			line.State = "partly"
			if v.isFull(key, c, sources, destinations) {
				line.State = "open"
			}
		}
		out = append(out, map[string]any{"cell": line})
	}
	src, dst := sectionsOf(sources), sectionsOf(destinations)
	if v.asked[0].Outside {
		src = append([]int{0}, src...)
	}
	if v.asked[1].Outside {
		dst = append([]int{0}, dst...)
	}
	if v.services >= 0 {
		dst = append(dst, v.services)
	}
	return append(out, map[string]any{"askedSections": map[string][]int{"src": src, "dst": dst}})
}

// askedGroups returns the groups that the list was asked about at an end.
func (v *overview) askedGroups(end int) []count {
	a := v.asked[end]
	sums := make(map[groupPlace]int)
	if a.All {
		for _, place := range v.place {
			sums[place]++
		}
		return counts(sums)
	}
	ids := maps.Clone(v.seen[end])
	for _, id := range a.Groups {
		ids[id] = true
	}
	for id := range ids {
		if place, ok := v.place[id]; ok {
			sums[place]++
		}
	}
	return counts(sums)
}

func sectionsOf(groups []count) []int {
	out := []int{}
	for _, c := range groups {
		if len(out) == 0 || out[len(out)-1] != c.section {
			out = append(out, c.section)
		}
	}
	return out
}

// isFull reports whether everything is allowed between two sections, as far as it was asked about.
func (v *overview) isFull(key pair, c *cell, sources, destinations []count) bool {
	switch {
	case key.dst == v.services:
		return false
	case key.src == 0:
		return c.fullOutside(key.dst, destinations, v.ports)
	case key.dst == 0:
		return c.fullOutside(key.src, sources, v.ports)
	}
	return c.full == v.ports*uint64(
		sizeOf(key.src, sources),
	)*uint64(
		sizeOf(key.dst, destinations),
	) //nolint:gosec // counts
}

func sizeOf(section int, groups []count) int {
	n := 0
	for _, c := range groups {
		if c.section == section {
			n += c.groups
		}
	}
	return n
}

// fullOutside reports whether all groups of a section may exchange everything with every address of their
// families.
func (c *cell) fullOutside(section int, groups []count, ports uint64) bool {
	var want [2]big.Int
	for _, g := range groups {
		if g.section != section {
			continue
		}
		for family, bits := range [2]uint{32, 128} {
			// A Pod without addresses counts in both families.
			if g.families == 0 || g.families&(1<<family) != 0 {
				n := new(big.Int).SetUint64(ports * uint64(g.groups)) //nolint:gosec // a count
				want[family].Add(&want[family], n.Lsh(n, bits))
			}
		}
	}
	return want[0].Cmp(&c.addresses[0]) == 0 && want[1].Cmp(&c.addresses[1]) == 0
}
