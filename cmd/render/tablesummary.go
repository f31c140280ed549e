package render

import (
	"fmt"
	"slices"
	"strings"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// maxNamed is how many workloads a line of a summary names.
const maxNamed = 5

// staleText says that the state is too old.
const staleText = "stale: the server has not heard of the cluster for too long"

// summaryLines returns what the rows of a table do not say: counts, what no policy isolates, what no policy
// can concern, and what was left out.
func (l *List) summaryLines() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	s := l.summary
	pods, workloads := l.pods()
	add("%s of %s; of %s of Pods, %d %s an open port", counted(pods, "Pod"), counted(workloads, "workload"),
		counted(s.GetPairsTotal(), "ordered pair"), s.GetPairsAllowed(), have(s.GetPairsAllowed()))
	pod := func(g *netpoldv1.Group) bool { return g.GetKind() == netpoldv1.GroupKind_GROUP_KIND_POD }
	host := func(g *netpoldv1.Group) bool { return g.GetKind() == netpoldv1.GroupKind_GROUP_KIND_HOST_NETWORK }
	for _, line := range []struct {
		text string
		has  func(*netpoldv1.Group) bool
	}{
		{"not isolated for ingress", func(g *netpoldv1.Group) bool { return pod(g) && !g.GetIsolatedIngress() }},
		{"not isolated for egress", func(g *netpoldv1.Group) bool { return pod(g) && !g.GetIsolatedEgress() }},
		{"on the host network, whose side no policy concerns", host},
	} {
		if words := l.named(line.has); words != "" {
			add("%s: %s", line.text, words)
		}
	}
	if left := l.leftOut(); left != "" {
		add("left out: %s", left)
	}
	if !l.hasPods() && l.header.GetObjects().GetPods() > 0 {
		add("neither end has a Pod: such connections are not listed; ask for them by netpold check")
	}
	if n := s.GetUnaskableServices(); n > 0 {
		add("%s cannot be asked: without endpoints, or outside the cluster", counted(uint64(n), "Service"))
	}
	if s.GetTruncated() {
		add("this is not all: the list stopped after %s", counted(s.GetConnections(), "connection"))
	}
	if l.header.GetStale() {
		add("%s", staleText)
	}
	return lines
}

func have(n uint64) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

// hasPods reports whether some end of the list is Pods, there or not.
func (l *List) hasPods() bool {
	return slices.ContainsFunc(l.units.list, func(u *unit) bool { return !u.isNode() })
}

// pods returns how many Pods the list has, and of how many workloads. A Pod of none counts as one.
func (l *List) pods() (pods, workloads uint64) {
	for _, u := range l.units.list {
		if !u.isNode() && u.kind() != netpoldv1.GroupKind_GROUP_KIND_HYPOTHETICAL {
			pods += uint64(u.pods)
			workloads++
		}
	}
	return pods, workloads
}

// named returns the first workloads of which some group meets a condition, with a count of the others; "" for
// none.
func (l *List) named(has func(*netpoldv1.Group) bool) string {
	var words []string
	n := 0
	for _, u := range l.units.list {
		pods := 0
		for _, g := range u.groups {
			if has(g) {
				pods += len(g.GetMembers())
			}
		}
		if pods == 0 {
			continue
		}
		if n++; n > maxNamed {
			continue
		}
		word := u.words
		if pods < u.pods {
			word += fmt.Sprintf(" (%d/%d)", pods, u.pods)
		}
		words = append(words, word)
	}
	return firstWords(words, n)
}

// firstWords returns the first of n words, with a count of the others; "" for none. words has at least the
// first.
func firstWords(words []string, n int) string {
	shown := make([]string, 0, maxNamed)
	for _, word := range words[:min(len(words), maxNamed)] {
		shown = append(shown, Clean(word))
	}
	text := strings.Join(shown, ", ")
	if more := n - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// leftOut returns the Nodes and Services that the list leaves out, in words; "" for none.
func (l *List) leftOut() string {
	var parts []string
	objects := l.header.GetObjects()
	if n := objects.GetNodes(); n > 0 && !l.includes(netpoldv1.Include_INCLUDE_NODES) {
		parts = append(parts, counted(uint64(n), "Node")+" (--include nodes)")
	}
	if n := objects.GetServices(); n > 0 && !l.includes(netpoldv1.Include_INCLUDE_SERVICES) {
		parts = append(parts, counted(uint64(n), "Service")+" (--include services)")
	}
	return strings.Join(parts, " and ")
}

func (l *List) includes(what netpoldv1.Include) bool {
	return slices.Contains(l.request.GetInclude(), what)
}
