package engine

import (
	"slices"

	"github.com/netpold/netpold/engine/internal/persist"
)

// compileCluster turns the rules of a cluster-wide policy into their compiled form; intern makes a selector known and gives
// its id.
func compileCluster(src *ClusterPolicy, intern func(*selector) uint32) *policy {
	p := &policy{cluster: src, tier: src.Tier}
	for d, rules := range [directions][]ClusterRule{src.Egress, src.Ingress} {
		p.isolates[d] = len(rules) > 0 // S32
		p.rules[d] = make([]rule, 0, len(rules))
		for i := range rules {
			p.rules[d] = append(p.rules[d], compileRule(&rules[i].Rule, rules[i].Action, clusterSelectorOf, intern))
		}
	}
	return p
}

// clusterSelectorOf returns the group of Pods or Nodes that a peer of a cluster-wide policy names (S37, S38), or nil if the
// peer is a block or invalid.
func clusterSelectorOf(p *Peer) *selector {
	var namespaces, pods Selector
	switch {
	case namesNodes(p):
		return newSelector(nodeScope, nil, *p.Nodes)
	case !namesPods(p) || p.Nodes != nil:
		return nil
	}
	if p.Namespaces != nil {
		namespaces = *p.Namespaces
	}
	if p.Pods != nil {
		pods = *p.Pods
	}
	return newSelector("", namespaces, pods)
}

// namesNodes reports whether a peer names a group of Nodes and nothing else.
func namesNodes(p *Peer) bool {
	return p.Nodes != nil && p.Block == nil && p.Namespaces == nil && p.Pods == nil
}

// A clusterChange says what a transaction changes in the rules of cluster-wide policies.
type clusterChange struct {
	// any reports whether a policy came, changed or went.
	any bool
	// selectors are those that such a policy names as peers, before or after.
	selectors bitset
	// everyPeer reports whether one has a rule that matches every peer, networks whether one has networks.
	everyPeer, networks bool
	// names are the port names that came into or went out of use.
	names map[string]struct{}
}

// add adds a policy, before or after its change.
func (c *clusterChange) add(p *policy) {
	c.any = true
	p.eachPeerSelector(func(id uint32) { c.selectors = c.selectors.with(id) })
	for _, rules := range p.rules {
		for i := range rules {
			c.everyPeer = c.everyPeer || rules[i].anyPeer
			c.networks = c.networks || len(rules[i].blocks) > 0
		}
	}
}

// concerns reports whether the rules that a peer matches may have changed.
func (c *clusterChange) concerns(p *clusterPeer) bool {
	return c.everyPeer || len(c.names) > 0 || slices.ContainsFunc(p.selectors, c.selectors.has)
}

// ensureTiers returns the rules of cluster-wide policies for writing. It makes them if there are none.
func (t *txn) ensureTiers() *clusterRules {
	switch {
	case t.tiers == nil:
		t.tiers = &clusterRules{
			owner: t.edit, names: persist.NewMap[string, portName](persist.HashOf[string]()),
			subjects: newRegistry[*clusterSubject](), peers: newRegistry[*clusterPeer](),
		}
		t.tiers.slots.allocate()
		t.acquireClusterPeer(nil, nil) // number 0, for as long as there are policies
	case t.tiers.owner != t.edit:
		fresh := *t.tiers
		fresh.owner, t.tiers = t.edit, &fresh
	}
	return t.tiers
}

// applyClusterPolicy replaces a cluster-wide policy. It touches the classes that the old and the new subject
// select, and those whose peers come into or go out of use. With the same subject it renews the classes, and a
// policy that only moves is not compiled again.
func (t *txn) applyClusterPolicy(o *ClusterPolicy, gone bool) {
	key := KeyOf(o)
	old, ok := t.clusterPolicies.Get(key)
	if gone && !ok {
		return
	}
	if ok && !gone && movesOnly(old.cluster, o) {
		t.moveClusterPolicy(old, o)
		return
	}
	x, replaced := t.ensureTiers(), false
	if !gone {
		p := compileCluster(o, t.acquireClusterSelector)
		if ok {
			p.slot = old.slot
		} else {
			p.slot = x.slots.allocate()
			t.counts.ClusterPolicies[o.Kind]++
		}
		subject := newSelector("", o.Subject.Namespaces, o.Subject.Pods)
		if replaced = ok && t.selectsAlike(old, p, subject); replaced {
			t.replaceSubject(old, p)
		} else {
			p.subject = t.acquireSubject(subject, p)
		}
		p.eachPortName(t.acquirePortName)
		t.clusterPolicies.Set(t.edit, key, p)
		t.clusterChange.add(p)
	}
	if !ok {
		return
	}
	t.clusterChange.add(old)
	if !replaced {
		t.releaseSubject(old)
	}
	old.eachPeerSelector(t.releaseClusterSelector)
	old.eachPortName(t.releasePortName)
	if gone {
		t.clusterPolicies.Delete(t.edit, key)
		x.slots.release(t.edit, old.slot)
		t.counts.ClusterPolicies[o.Kind]--
	}
}

// acquireClusterSelector returns the id of the selector that equals s, for one more peer of a cluster-wide
// rule.
func (t *txn) acquireClusterSelector(s *selector) uint32 {
	s = t.acquireSelector(s)
	return t.countPeer(s, &s.clusterPeers, 1)
}

// releaseClusterSelector undoes one acquireClusterSelector.
func (t *txn) releaseClusterSelector(id uint32) {
	s := *t.selectors.At(id)
	t.countPeer(&s, &s.clusterPeers, -1)
}

// eachPort yields the ports of all rules.
func (p *policy) eachPort(yield func(*Port)) {
	for _, rules := range p.rules {
		for i := range rules {
			for j := range rules[i].ports {
				yield(&rules[i].ports[j])
			}
		}
	}
}

// eachPortName yields the names of all ports of the rules, as often as they mention them.
func (p *policy) eachPortName(yield func(string)) {
	p.eachPort(func(port *Port) {
		if port.Name != "" {
			yield(port.Name)
		}
	})
}

// acquirePortName notes that one more port of a rule mentions a name.
func (t *txn) acquirePortName(name string) {
	x := t.tiers
	n, ok := x.names.Get(name)
	if !ok {
		n.id = x.nameIDs.allocate()
		t.clusterChange.noteName(name)
	}
	n.rules++
	x.names.Set(t.edit, name, n)
}

// releasePortName undoes one acquirePortName.
func (t *txn) releasePortName(name string) {
	x := t.tiers
	n, _ := x.names.Get(name)
	if n.rules--; n.rules > 0 {
		x.names.Set(t.edit, name, n)
		return
	}
	x.names.Delete(t.edit, name)
	x.nameIDs.release(t.edit, n.id)
	t.clusterChange.noteName(name)
}

// noteName notes that a port name came into or went out of use.
func (c *clusterChange) noteName(name string) {
	if c.names == nil {
		c.names = map[string]struct{}{}
	}
	c.names[name] = struct{}{}
}

// arrangeClusterPolicies puts the policies in order, before classes are rebuilt. Classes with a port whose
// name came into or went out of use become dirty: to find them, it looks at every class.
func (t *txn) arrangeClusterPolicies() {
	if !t.clusterChange.any {
		return
	}
	x := t.ensureTiers()
	x.inOrder, x.bySlot, x.place = nil, make([]*policy, x.slots.next), make([]uint32, x.slots.next)
	for _, p := range t.clusterPolicies.All() {
		x.inOrder = append(x.inOrder, p)
		x.bySlot[p.slot] = p
	}
	slices.SortFunc(x.inOrder, comparePolicies)
	for i, p := range x.inOrder {
		x.place[p.slot] = uint32(i)
	}
	x.arrangePorts()
	if t.clusterChange.networks || len(t.clusterChange.names) > 0 {
		x.arrangeNetworks()
	}
	if len(t.clusterChange.names) == 0 {
		return
	}
	changed := func(p NamedPort) bool {
		_, ok := t.clusterChange.names[p.Name]
		return ok
	}
	for id := range t.classPool.next {
		if c := t.classes.At(id); c != nil && slices.ContainsFunc(c.ports, changed) {
			t.dirty[id] = struct{}{}
		}
	}
}

// rearrangeClusterPeers lays out anew the rules of the peers that a change concerns, after classes were
// rebuilt.
func (t *txn) rearrangeClusterPeers() {
	if !t.clusterChange.any {
		return
	}
	if t.clusterPolicies.Len() == 0 {
		t.tiers = nil // no class has a number any more
		return
	}
	x := t.ensureTiers()
	for number := range x.peers.pool.next {
		p := x.peers.at(number)
		if number == 0 || p != nil && p.owner != t.edit && t.clusterChange.concerns(p) {
			x.peers.replace(t.edit, number, x.newPeer(t.edit, p.key, p.selectors, p.ports))
		}
	}
}
