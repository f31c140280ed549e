package audit

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A lintEnd is Pods of one class, or Nodes, whose addresses all blocks match alike.
type lintEnd struct {
	class  *lintClass // nil if no policy can apply
	groups []engine.SelectorID
	// addrs are those of one of them. byIP reports whether it is asked by its address alone, as a Node is.
	addrs []netip.Addr
	byIP  bool
	pods  []engine.PodState
	// asked are the ways to ask for it; see [lintEnd.forms].
	asked []form
}

// An addressKind is the ends with an address that the same blocks match.
type addressKind struct {
	number int
	addr   netip.Addr
	ends   []*lintEnd
}

// An endKey is all that rules see of an end. Ends of equal keys are one.
type endKey struct {
	class *lintClass // nil if no policy can apply
	byIP  bool
	// groups are the groups of an end that has no class.
	groups string
	// kinds are the longest prefixes of its addresses, sorted and each once: the first two, and more.
	kinds [2]netip.Prefix
	more  string
}

// addHost adds a host-network Pod: as an end by name and by address, and to the groups that its labels match.
func (v *survey) addHost(p *engine.PodState) {
	v.addEnd(&lintEnd{groups: p.NodePeers, addrs: p.IPs})
	for _, ip := range p.IPs {
		v.addEnd(&lintEnd{groups: p.NodePeers, addrs: []netip.Addr{ip}, byIP: true})
	}
	by := v.snapshot.SelectionByLabels(p.Namespace, p.Name)
	for _, id := range by.Peers {
		if g := v.groups[id]; g != nil {
			g.hosts++
		}
	}
	for _, o := range by.ClusterPolicies {
		v.byObject[o].hosts = append(v.byObject[o].hosts, p.Namespace+"/"+p.Name)
	}
	for _, o := range by.Policies {
		v.byObject[o].hosts = append(v.byObject[o].hosts, p.Namespace+"/"+p.Name)
	}
}

// addEnd returns the end that is treated as e is, which it adds if there is none.
func (v *survey) addEnd(e *lintEnd) *lintEnd {
	key, kinds := v.keyOf(e)
	if old := v.found[key]; old != nil {
		return old
	}
	v.found[key] = e
	v.ends = append(v.ends, e)
	for i, p := range kinds {
		if v.kinds[p] == nil {
			v.kinds[p] = &addressKind{number: len(v.kinds), addr: e.addrs[i]}
		}
		if k := v.kinds[p]; !slices.Contains(k.ends, e) {
			k.ends = append(k.ends, e)
		}
	}
	if e.class != nil {
		e.class.ends = append(e.class.ends, e)
	} else {
		for _, id := range e.groups {
			if g := v.groups[id]; g != nil {
				g.nodes = append(g.nodes, e)
			}
		}
	}
	return e
}

// keyOf returns the key of an end, and the kind of each of its addresses: the longest prefix that contains it,
// or all addresses of its family.
func (v *survey) keyOf(e *lintEnd) (endKey, []netip.Prefix) {
	key := endKey{class: e.class, byIP: e.byIP}
	if e.class == nil {
		var text []byte
		for _, id := range e.groups {
			text = binary.AppendUvarint(text, uint64(id))
		}
		key.groups = string(text)
	}
	kinds := make([]netip.Prefix, len(e.addrs))
	for i, a := range e.addrs {
		kinds[i], _ = v.prefixes.Lookup(a)
		if !kinds[i].IsValid() {
			kinds[i], _ = a.Prefix(0)
		}
	}
	sorted := kinds
	if len(kinds) > 1 {
		sorted = slices.Compact(slices.SortedFunc(slices.Values(kinds), netip.Prefix.Compare))
	}
	if n := copy(key.kinds[:], sorted); n < len(sorted) {
		key.more = fmt.Sprint(sorted[n:])
	}
	return key, kinds
}

// ports returns the named ports of an end.
func (e *lintEnd) ports() []engine.NamedPort {
	if e.class == nil {
		return nil
	}
	return e.class.Ports
}

// matchedEnds returns the ends that a block matches. What S19 hides it does not leave out.
func (v *survey) matchedEnds(b *engine.IPBlock) []*lintEnd {
	var list []*lintEnd
	for _, k := range v.kinds {
		if b.Contains(k.addr) {
			list = append(list, k.ends...)
		}
	}
	return list
}
