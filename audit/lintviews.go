package audit

import (
	"net/netip"

	"github.com/netpold/netpold/engine"
)

// A view is an end as the rules of the other side match it in one question: by its groups, and by its
// addresses of the family that is decided (S9).
type view struct {
	groups    []engine.SelectorID
	addrs     []netip.Addr
	ports     []engine.NamedPort
	inCluster bool
	// number is that of all views that cluster-wide rules match alike; see [lintTiers.numberOf].
	number uint32
}

// A form is a way to ask for an end: by its name, or by one of its addresses.
type form struct {
	byIP bool
	// has reports whether it has addresses of each family.
	has [2]bool
	// seen is what the other side's rules match without a family, and in each; see [form.seenIn].
	seen [3]view
}

// newForm returns a way to ask for an end, by addresses of its own.
func (e *lintEnd) newForm(byIP bool, addrs []netip.Addr) form {
	f := form{byIP: byIP}
	for i := range f.seen {
		f.seen[i] = view{groups: e.groups, ports: e.ports(), inCluster: true}
	}
	for i, a := range addrs {
		family := familyIndex(a)
		f.has[family] = true
		seen := f.seenIn(family)
		if len(addrs) == 1 {
			seen.addrs = addrs[i : i+1]
		} else {
			seen.addrs = append(seen.addrs, a)
		}
	}
	return f
}

// forms returns all ways to ask for an end.
func (e *lintEnd) forms() []form {
	if e.asked != nil {
		return e.asked
	}
	list := []form{e.newForm(e.byIP, e.addrs)}
	if e.class != nil { // the addresses of host-network Pods are ends of their own
		for i := range e.addrs {
			list = append(list, e.newForm(true, e.addrs[i:i+1]))
		}
	}
	e.asked = list
	return list
}

// familyIndex returns 0 for IPv4 and 1 for IPv6.
func familyIndex(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// noFamily is the index of no family: no block matches.
const noFamily = -1

// seenIn returns the form as the other side's rules match it in a family.
func (f *form) seenIn(family int) *view { return &f.seen[family-noFamily] }

// familyLists has the indexes of families by whether there is IPv4, at 1, and IPv6, at 2.
var familyLists = [4][]int{{noFamily}, {0}, {1}, {0, 1}}

// decided returns the families in which a question between two forms is decided (S9).
func decided(a, b *form) []int {
	in, other := a.has, b.has
	var none [2]bool
	switch {
	case a.byIP && b.byIP:
	case b.byIP, in == none:
		in = other
	case a.byIP, other == none:
		other = in
	}
	at := 0
	for f := range in {
		if in[f] && other[f] {
			at |= 1 << f
		}
	}
	return familyLists[at]
}

// isPlain reports whether all questions between two ends are decided alike: both have one address, of one
// family.
func isPlain(a, b *lintEnd) bool {
	return len(a.addrs) == 1 && len(b.addrs) == 1 && familyIndex(a.addrs[0]) == familyIndex(b.addrs[0])
}

// eachQuestion yields how a and b are seen by the other's rules, for all ways to ask about them, until yield
// returns false.
func eachQuestion(a, b *lintEnd, yield func(seenA, seenB *view) bool) {
	if isPlain(a, b) {
		family := familyIndex(a.addrs[0])
		yield(a.forms()[0].seenIn(family), b.forms()[0].seenIn(family))
		return
	}
	for i := range a.forms() {
		for j := range b.forms() {
			f, g := &a.forms()[i], &b.forms()[j]
			for _, family := range decided(f, g) {
				if !yield(f.seenIn(family), g.seenIn(family)) {
					return
				}
			}
		}
	}
}
