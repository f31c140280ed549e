package engine

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"unique"

	"github.com/netpold/netpold/engine/internal/persist"
)

// findTouched finds the Pods whose roles or addresses may differ otherwise than [RolePair.Carried] says. It
// returns false if Nodes may be touched.
func (p *RolePair) findTouched() bool {
	p.touchChangedPods()
	if !p.touchClaims() {
		return false
	}
	p.touchAddedBlocks()
	p.touchClasses()
	return true
}

// touch touches a Pod; nothing if x is nil.
func (p *RolePair) touch(x *pod) {
	if x != nil {
		p.touched[x.key()] = struct{}{}
	}
}

// touchChangedPods touches the Pods that differ, and all in namespaces whose labels differ.
func (p *RolePair) touchChangedPods() {
	eachUnsharedRecord(&p.Before.s.namespaces, &p.After.s.namespaces, func(was, is **namespace) {
		var none persist.Map[string, *pod]
		old, fresh := &none, &none
		if was != nil {
			old = &(*was).pods
		}
		if is != nil {
			fresh = &(*is).pods
		}
		if was != nil && is != nil && slices.Equal((*was).labels, (*is).labels) {
			eachUnsharedRecord(old, fresh, func(a, b **pod) {
				if a != nil {
					p.touch(*a)
				}
				if b != nil {
					p.touch(*b)
				}
			})
			return
		}
		for _, x := range old.All() {
			p.touch(x)
		}
		for _, x := range fresh.All() {
			p.touch(x)
		}
	})
}

// touchClaims touches the Pods with a claim on an address whose claims differ. It returns false if a Node has
// one.
func (p *RolePair) touchClaims() bool {
	ok := true
	claimed := func(old, fresh *address) {
		for _, a := range [2]*address{old, fresh} {
			if a == nil {
				continue
			}
			p.touch(a.pod)
			if a.claims == nil {
				continue
			}
			for _, c := range a.claims.all {
				p.touch(c.pod)
				ok = ok && c.node == unique.Handle[string]{}
			}
		}
	}
	eachUnsharedRecord(&p.Before.s.ipv4, &p.After.s.ipv4, claimed)
	eachUnsharedRecord(&p.Before.s.ipv6, &p.After.s.ipv6, claimed)
	return ok
}

// touchClasses touches the Pods whose policies differ, and those that peers or port names match which only
// rules of After have.
func (p *RolePair) touchClasses() {
	before, after := p.Before.s, p.After.s
	was, is := map[uint32]bool{}, map[uint32]bool{}
	for _, x := range p.was {
		for id := range before.selectedClasses(before.selectors.At(x.subject)) {
			was[id] = true
		}
	}
	for _, x := range p.is {
		for id := range after.selectedClasses(after.selectors.At(x.subject)) {
			is[id] = true
		}
	}
	for d := range p.added {
		for _, sel := range p.added[d] {
			for id := range after.selectedClasses(sel) {
				is[id] = true
			}
		}
	}
	for id := range after.classPool.next {
		if len(p.addedNames) == 0 {
			break
		}
		if c := after.classes.At(id); c != nil && slices.ContainsFunc(c.ports, func(n NamedPort) bool {
			return p.addedNames[n.Name]
		}) {
			is[id] = true
		}
	}
	before.eachPodOfClasses(was, p.touch)
	after.eachPodOfClasses(is, p.touch)
}

// touchAddedBlocks touches the Pods that have an address in a block that only rules of After have, and all on
// the host network if a Node has. It looks at all addresses if there is such a block.
func (p *RolePair) touchAddedBlocks() {
	if len(p.addedBlocks) == 0 {
		return
	}
	s, ofNodes := p.After.s, false
	look := func(ip netip.Addr, a *address) {
		if !slices.ContainsFunc(p.addedBlocks, func(b *IPBlock) bool { return b.Contains(ip) }) {
			return
		}
		p.touch(a.pod)
		if a.claims != nil {
			for _, c := range a.claims.all {
				p.touch(c.pod)
			}
			ofNodes = ofNodes || a.pod == nil
		}
	}
	for key, a := range s.ipv4.All() {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], key)
		look(netip.AddrFrom4(b), &a)
	}
	for key, a := range s.ipv6.All() {
		look(ipv6Of(key), &a)
	}
	if !ofNodes {
		return
	}
	for _, ns := range s.namespaces.All() {
		for _, x := range ns.pods.All() {
			if x.host {
				p.touch(x)
			}
		}
	}
}

// eachPodOfClasses yields the Pods of classes, which it looks for in their namespaces.
func (s *state) eachPodOfClasses(classes map[uint32]bool, yield func(*pod)) {
	looked := map[string]bool{}
	for id := range classes {
		name := s.classes.At(id).namespace
		if looked[name] || name == nodeScope {
			continue
		}
		looked[name] = true
		ns, _ := s.namespaces.Get(name)
		for _, x := range ns.pods.All() {
			if x.class != noClass && classes[x.class] {
				yield(x)
			}
		}
	}
}

// EachTouched yields the touched Pods that have not finished, in no particular order, as they are in each
// state; nil in one that has it not. A RoleEnd must not be kept.
func (p *RolePair) EachTouched(yield func(before, after *RoleEnd)) {
	for key := range p.touched {
		before, was := p.Before.Pod(key.namespace, key.name)
		after, is := p.After.Pod(key.namespace, key.name)
		switch {
		case was && is:
			yield(&before, &after)
		case was:
			yield(&before, nil)
		case is:
			yield(nil, &after)
		}
	}
}
