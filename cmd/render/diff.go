package render

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A Diff collects the messages of one Simulate, but for answers to questions, and opens them row by row when it
// is written.
type Diff struct {
	// list has each change as a connection.
	list    *List
	summary *netpoldv1.SimulateSummary
	// index has the place in list.changed of each.
	index map[RowChange]int
}

// A RowChange says how what a [Row] says differs.
type RowChange struct {
	Kind netpoldv1.ChangeKind
	// Before and After are the rules that allow in the two states, if the difference has them.
	Before, After RowRules
	// families are the address families before and after, in words, where they are all that differs.
	families string
}

// RowRules are the rules that allow; "" for none.
type RowRules struct{ Egress, Ingress string }

// NewDiff returns a Diff for the answer to request.
func NewDiff(request *netpoldv1.SimulateRequest) *Diff {
	list := NewList(&netpoldv1.ListConnectionsRequest{
		Src: request.GetSrc(), Dst: request.GetDst(), Protocol: request.GetProtocol(), Ports: request.GetPorts(),
		Include: request.GetInclude(),
	})
	list.changeOf = map[*netpoldv1.Connection]int{}
	return &Diff{list: list, index: map[RowChange]int{}}
}

// Add adds the next message, and keeps parts of m. It returns an error if m names what no message before it had.
func (d *Diff) Add(m *netpoldv1.SimulateResponse) error {
	switch item := m.GetItem().(type) {
	case *netpoldv1.SimulateResponse_Header:
		d.list.header = item.Header
	case *netpoldv1.SimulateResponse_Group:
		return d.list.addGroup(item.Group)
	case *netpoldv1.SimulateResponse_Set:
		return d.list.addSet(item.Set)
	case *netpoldv1.SimulateResponse_Change:
		return d.addChange(item.Change)
	case *netpoldv1.SimulateResponse_Summary:
		d.summary = item.Summary
	}
	return nil
}

// Complete reports whether the difference has reached its end.
func (d *Diff) Complete() bool { return d.summary != nil }

// addChange adds a change as the connection that it opens, closes or changes.
func (d *Diff) addChange(c *netpoldv1.Change) error {
	connection := &netpoldv1.Connection{
		SrcGroups: c.GetSrcGroups(), SrcSets: c.GetSrcSets(), SrcCidrs: c.GetSrcCidrs(),
		DstGroups: c.GetDstGroups(), DstSets: c.GetDstSets(), DstCidrs: c.GetDstCidrs(),
		Ports: c.GetPorts(), Families: c.GetAfter().GetFamilies(),
	}
	said := RowChange{Kind: c.GetKind(), Before: rowRules(c.GetBeforeBy()), After: rowRules(c.GetAfterBy())}
	switch c.GetKind() {
	case netpoldv1.ChangeKind_CHANGE_KIND_CLOSED:
		connection.Families = c.GetBefore().GetFamilies()
	case netpoldv1.ChangeKind_CHANGE_KIND_FAMILIES:
		said.families = cmp.Or(Families(c.GetBefore().GetFamilies()), noFamilies) + " to " +
			cmp.Or(Families(c.GetAfter().GetFamilies()), noFamilies)
	default:
	}
	at, ok := d.index[said]
	if !ok {
		d.list.changed = append(d.list.changed, said)
		at = len(d.list.changed)
		d.index[said] = at
	}
	d.list.changeOf[connection] = at
	return d.list.addConnection(connection)
}

func rowRules(by *netpoldv1.ChangeRules) RowRules {
	return RowRules{Egress: Rule(by.GetEgress()), Ingress: Rule(by.GetIngress())}
}

// Word returns how it differs, in a word.
func (c *RowChange) Word() string {
	switch c.Kind {
	case netpoldv1.ChangeKind_CHANGE_KIND_OPENED:
		return "opened"
	case netpoldv1.ChangeKind_CHANGE_KIND_CLOSED:
		return "closed"
	default:
		return "changed"
	}
}

// Rows yields a row for each change of each pair of workloads, and of each workload and CIDR, ordered as those
// of a list.
func (d *Diff) Rows() iter.Seq[*Row] { return d.list.Rows() }

// Verdict returns how many connections are opened, closed and changed, in words: "opens 3 connections, closes
// 1". A connection is a pair of workloads, or a workload and the outside.
func (d *Diff) Verdict() string {
	type pair struct{ src, dst *unit }
	seen := map[string]map[pair]bool{"opened": {}, "closed": {}, "changed": {}}
	for r := range d.Rows() {
		seen[r.Change.Word()][pair{r.Src.unit, r.Dst.unit}] = true
	}
	var parts []string
	for _, part := range []struct{ verb, word string }{
		{"opens", "opened"}, {"closes", "closed"}, {"changes the families of", "changed"},
	} {
		switch n := len(seen[part.word]); {
		case n == 0:
		case len(parts) == 0:
			parts = append(parts, part.verb+" "+counted(uint64(n), "connection"))
		default:
			parts = append(parts, fmt.Sprintf("%s %d", part.verb, n))
		}
	}
	if len(parts) == 0 {
		parts = []string{"opens and closes no connection"}
	}
	text := strings.Join(parts, ", ")
	if d.filtered() {
		text += ", of those asked for"
	}
	if d.summary.GetTruncated() {
		text += ", and there is more"
	}
	return text
}

// filtered reports whether the difference is of a part of all connections.
func (d *Diff) filtered() bool {
	r := d.list.request
	return !everything(r.GetSrc()) || !everything(r.GetDst()) || r.GetSrc().GetScope() > netpoldv1.Scope_SCOPE_ALL ||
		r.GetDst().GetScope() > netpoldv1.Scope_SCOPE_ALL || r.GetProtocol() != 0 || len(r.GetPorts()) > 0
}

// A nameList is names that one state has and the other has not, or that differ.
type nameList struct {
	title string
	names []string
}

// names returns what differs beside verdicts, without empty lists.
func (d *Diff) names() []nameList {
	s := d.summary
	return slices.DeleteFunc([]nameList{
		{"policies added", s.GetPoliciesAdded()}, {"policies changed", s.GetPoliciesChanged()},
		{"policies removed", s.GetPoliciesRemoved()}, {"workloads added", s.GetWorkloadsAdded()},
		{"workloads removed", s.GetWorkloadsRemoved()},
	}, func(l nameList) bool { return len(l.names) == 0 })
}

// truncatedText says that the server stopped before the end; "" if it did not.
func (d *Diff) truncatedText() string {
	if !d.summary.GetTruncated() {
		return ""
	}
	return fmt.Sprintf("this is not all: the server stopped after %s, its --max-connections",
		counted(uint64(len(d.list.connections)), "change"))
}
