package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A rectangle is groups of a source and groups of a destination: each of the one reaches each of the other.
type rectangle struct{ src, dst []*netpoldv1.Group }

// joined returns as few rectangles as joining two of them at a time leads to: those with the same
// destinations, or with the same sources.
func joined(list []rectangle) []rectangle {
	for {
		before := len(list)
		list = joinBy(list, func(r *rectangle) (same, others *[]*netpoldv1.Group) { return &r.dst, &r.src })
		list = joinBy(list, func(r *rectangle) (same, others *[]*netpoldv1.Group) { return &r.src, &r.dst })
		if len(list) == before {
			return list
		}
	}
}

func joinBy(list []rectangle, sides func(*rectangle) (same, others *[]*netpoldv1.Group)) []rectangle {
	byText := map[string]int{}
	var out []rectangle
	for _, r := range list {
		same, others := sides(&r)
		key := groupsText(*same)
		at, ok := byText[key]
		if !ok {
			byText[key] = len(out)
			out = append(out, r)
			continue
		}
		_, into := sides(&out[at])
		*into = union(*into, *others)
	}
	return out
}

// union returns the groups of both lists, by id. It may reuse the memory of neither.
func union(a, b []*netpoldv1.Group) []*netpoldv1.Group {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b *netpoldv1.Group) int { return cmp.Compare(a.GetId(), b.GetId()) })
	return slices.Compact(all)
}

// groupsText returns the ids of groups.
func groupsText(groups []*netpoldv1.Group) string {
	var b strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&b, "%d,", g.GetId())
	}
	return b.String()
}

// groupsIn returns the groups of u whose ids are in the text of [groupsText].
func groupsIn(u *unit, text string) []*netpoldv1.Group {
	var groups []*netpoldv1.Group
	for _, g := range u.groups {
		if strings.Contains(","+text, fmt.Sprintf(",%d,", g.GetId())) {
			groups = append(groups, g)
		}
	}
	return groups
}

// byFamilies returns groups parted by their families.
func byFamilies(groups []*netpoldv1.Group) [][]*netpoldv1.Group {
	var parts [][]*netpoldv1.Group
next:
	for _, g := range groups {
		for i, part := range parts {
			if slices.Equal(part[0].GetFamilies(), g.GetFamilies()) {
				parts[i] = append(part, g)
				continue next
			}
		}
		parts = append(parts, []*netpoldv1.Group{g})
	}
	return parts
}

// shared returns the families in which two ends are asked by name (A3).
func shared(a, b *netpoldv1.Group) []netpoldv1.IpFamily {
	switch {
	case len(a.GetFamilies()) == 0:
		return b.GetFamilies()
	case len(b.GetFamilies()) == 0:
		return a.GetFamilies()
	}
	var both []netpoldv1.IpFamily
	for _, f := range a.GetFamilies() {
		if slices.Contains(b.GetFamilies(), f) {
			both = append(both, f)
		}
	}
	return both
}
