package render

import (
	"strings"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A unit is what tables have a line for: a workload, a Pod of none, a Node, or a Pod that need not exist.
type unit struct {
	// index is its place among the units, in the order of the first groups.
	index     int
	namespace string
	// words are those of check, as far as it has them.
	words  string
	groups []*netpoldv1.Group
	// pods is how many members the groups have.
	pods int
}

// isNode reports whether u is a Node.
func (u *unit) isNode() bool { return u.kind() == netpoldv1.GroupKind_GROUP_KIND_NODE }

func (u *unit) kind() netpoldv1.GroupKind { return u.groups[0].GetKind() }

// A unitIndex has the units in order, and the unit of each group.
type unitIndex struct {
	list    []*unit
	byWords map[string]*unit
	ofGroup []*unit // by group id, from 1
}

// add adds the next group.
func (x *unitIndex) add(g *netpoldv1.Group) {
	words := GroupWords(g)
	// The two kinds of words can be equal: kinds of groups keep a Node and a Pod apart.
	key := words
	if g.GetKind() == netpoldv1.GroupKind_GROUP_KIND_NODE || g.GetKind() == netpoldv1.GroupKind_GROUP_KIND_HYPOTHETICAL {
		key = g.GetKind().String() + " " + words
	}
	u := x.byWords[key]
	if u == nil {
		u = &unit{index: len(x.list), namespace: Clean(g.GetNamespace()), words: words}
		x.list = append(x.list, u)
		if x.byWords == nil {
			x.byWords = map[string]*unit{}
		}
		x.byWords[key] = u
	}
	u.groups = append(u.groups, g)
	u.pods += len(g.GetMembers())
	x.ofGroup = append(x.ofGroup, u)
}

// of returns the unit of a group.
func (x *unitIndex) of(g *netpoldv1.Group) *unit { return x.ofGroup[g.GetId()-1] }

// GroupWords returns the workload of a group in the words of check, or else its one Pod. A Node, for which
// check has no words, is node/NAME.
func GroupWords(g *netpoldv1.Group) string {
	name := ""
	if len(g.GetMembers()) > 0 {
		name = g.GetMembers()[0].GetName()
	}
	switch {
	case g.GetKind() == netpoldv1.GroupKind_GROUP_KIND_NODE:
		return Clean("node/" + name)
	case g.GetWorkload() != nil:
		return WorkloadWords(g.GetWorkload())
	case g.GetKind() == netpoldv1.GroupKind_GROUP_KIND_HYPOTHETICAL:
		if strings.Contains(name, "?") { // in words already
			return Clean(name)
		}
		return Clean(g.GetNamespace() + "?" + name)
	default:
		return Clean(netpold.FormatEndpoint(netpold.Pod(g.GetNamespace(), name)))
	}
}
