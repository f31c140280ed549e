package engine

import (
	"cmp"
	"slices"

	"github.com/netpold/netpold/engine/internal/persist"
)

// A class stands for all Pods of one namespace that no policy tells apart, except by their addresses: they
// have the same values of every label that a live selector mentions, and the same named ports.
//
// Decisions are made per class, so that a thousand replicas cost as much as one. Its hot part lies in a cache
// line of its own:
//
//	Pod ─► class id ─► hotClass (64 bytes) ─► rule tables
//	                      └─► class: namespace, labels, ports, and selector ids if they are many
//
// Nodes have classes too while some rule asks for their labels; see [nodeScope]. A class is immutable once
// the transaction that made it ends. When what selects it changes, another class takes over its id.
type class struct {
	// hot is what the state's hotClasses have a copy of.
	hot hotClass
	// manyPeers has the ids of hot.peers if they do not fit there, sorted; nil if they do.
	manyPeers []uint32
	// ports are the named ports of its Pods, sorted (S21).
	ports []NamedPort

	namespace string
	// labels are those that its Pods have of the keys in use, sorted by key.
	labels []label
	// key is the class's identity; see [classKey]. tableKeys has those of its rule tables of NetworkPolicies,
	// empty for none.
	key       string
	tableKeys [directions]string
	// tiers has what comes of cluster-wide policies; nil if they say nothing of the class.
	tiers *classTiers
}

// A classTiers holds the parts of a class that exist only because of cluster-wide policies.
type classTiers struct {
	// selectors has the ids, sorted, of the selectors that select the class and that some rule of a
	// cluster-wide policy names as a peer.
	selectors []uint32
	// subjectKey and peerKey are those of its [clusterSubject], empty for none, and its [clusterPeer].
	subjectKey, peerKey string
	// own has both for a class that is part of no snapshot; otherwise nil.
	own *ownTiers
}

// An ownTiers holds what only one class has.
type ownTiers struct {
	subject *clusterSubject
	peer    *clusterPeer
}

// newClass returns a class that nothing selects yet. It keeps labels and ports.
func newClass(namespace string, labels []label, ports []NamedPort, key string) *class {
	c := &class{namespace: namespace, labels: labels, ports: ports, key: key}
	c.hot.cold = c
	return c
}

// hasNamedPort reports whether the Pods of c give this port this name (S21).
func (c *class) hasNamedPort(name string, protocol Protocol, port uint16) bool {
	for i := range c.ports {
		if p := &c.ports[i]; p.Port == port && p.Protocol == protocol && p.Name == name {
			return true
		}
	}
	return false
}

// restricted reports whether any policy, of whatever tier, restricts direction d. c may be nil.
func (c *class) restricted(d direction) bool {
	return c != nil && (c.hot.tables[d] != nil || c.hot.tiered(d))
}

// asksAddress reports whether any rule of direction d of a class has a block, so that the address of the peer
// takes part. c may be nil.
func (s *state) asksAddress(c *class, d direction) bool {
	switch {
	case c == nil:
		return false
	case c.hot.tables[d] != nil && c.hot.tables[d].usesBlocks:
		return true
	}
	return c.hot.tiered(d) && s.tiers.networkPolicies[d].meets(s.tiers.subjectOf(&c.hot).policies)
}

// A classRef is the id of a class and how many Pods, or Nodes, have it. The class goes with the last of them.
type classRef struct {
	id   uint32
	pods int
}

// sortedPorts returns a copy of ports, sorted, each once.
func sortedPorts(ports []NamedPort) []NamedPort {
	sorted := slices.Clone(ports)
	slices.SortFunc(sorted, func(a, b NamedPort) int {
		return cmp.Or(
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port),
		)
	})
	return slices.Compact(sorted)
}

// classKey returns the identity of a class: all that it is made of, written so that different classes have
// different keys. A new input of decisions that Pods of one class could differ in belongs here.
func classKey(namespace string, labels []label, ports []NamedPort) string {
	b := make([]byte, 0, 128)
	b = appendString(b, namespace)
	for _, l := range labels {
		b = appendString(appendString(append(b, 1), l.key), l.value)
	}
	return string(appendPorts(append(b, 0), ports))
}

// A selection is what selects a class.
type selection struct {
	// peers and clusterPeers have the ids of the selectors that rules of NetworkPolicies and of cluster-wide
	// policies name as peers, sorted.
	peers, clusterPeers []uint32
	// policies are the NetworkPolicies whose subject it is, in the order in which they count (S34).
	// clusterPolicies are the cluster-wide ones, in no particular order.
	policies, clusterPolicies []*policy
}

// selectionOf returns what selects a Pod with these labels. No policy does if policies are ignored by option.
func (s *state) selectionOf(namespace string, podLabels []label) selection {
	found := s.selecting(namespace, podLabels)
	if s.options.IgnorePolicies {
		found.policies, found.clusterPolicies = nil, nil
	}
	return found
}

// selecting does what selectionOf does, whatever the options. It looks only at the selectors that the index
// files under a label of the Pod or of its namespace, so that its cost does not grow with the number of
// others.
func (s *state) selecting(namespace string, podLabels []label) selection {
	namespaceLabels := s.labelsOf(namespace)
	var found selection
	candidatePostings(namespace, namespaceLabels, podLabels, func(p posting) {
		for id := range s.selectorIndex.ids(p) {
			sel := s.selectors.At(id)
			if !sel.selects(namespace, namespaceLabels, podLabels) {
				continue
			}
			if sel.peers > 0 {
				found.peers = append(found.peers, id)
			}
			if sel.clusterPeers > 0 {
				found.clusterPeers = append(found.clusterPeers, id)
			}
			for _, p := range sel.subjects {
				if p.cluster != nil {
					found.clusterPolicies = append(found.clusterPolicies, p)
				} else {
					found.policies = append(found.policies, p)
				}
			}
		}
	})
	slices.Sort(found.peers)
	slices.Sort(found.clusterPeers)
	slices.SortFunc(found.policies, comparePolicies)
	return found
}

// restricting returns those of policies that are of a tier and restrict direction d (S11, S12, S32).
func restricting(policies []*policy, tier Tier, d direction) []*policy {
	var list []*policy
	for _, p := range policies {
		if p.tier == tier && p.isolates[d] {
			list = append(list, p)
		}
	}
	return list
}

// hypotheticalClass returns the class that a Pod like p would have. It is part of no snapshot, and has all
// labels of p: those that no selector mentions match nothing.
func (s *state) hypotheticalClass(p *LabelledPod) *class {
	c := newClass(p.Namespace, sortedLabels(p.Labels), sortedPorts(p.Ports), "")
	found := s.selectionOf(c.namespace, c.labels)
	if s.tiers != nil {
		c.tiers = &classTiers{selectors: found.clusterPeers, own: &ownTiers{
			subject: &clusterSubject{policies: slotsOf(found.clusterPolicies)},
			peer:    s.tiers.newPeer(nil, "", found.clusterPeers, s.tiers.mentioned(c.ports)),
		}}
		c.hot.setNumbers(ownNumber, ownNumber, found.clusterPolicies)
	}
	c.hot.setPeers(found.peers)
	for d := range directions {
		list := restricting(found.policies, NetworkPolicies, d)
		if len(list) == 0 {
			continue
		}
		shared, ok := s.ruleTables.Get(ruleTableKey(d, list, c.ports))
		if !ok { // no class has a table of these policies and ports
			shared.table = newRuleTable(d, list, c.ports)
		}
		c.hot.setTable(d, shared.table)
	}
	return c
}

// A sharedTable is a rule table, its key, and how many classes have it.
type sharedTable struct {
	table   *ruleTable
	key     string
	classes int
}

// rebuild replaces a class, under its id, by one with the rule tables and selector ids of what selects it
// now.
func (t *txn) rebuild(id uint32) {
	old := t.classes.At(id)
	if old == nil {
		return // its last Pod went in this transaction
	}
	found := t.selectionOf(old.namespace, old.labels)
	c := newClass(old.namespace, old.labels, old.ports, old.key)
	t.numberClass(c, &found)
	c.hot.setPeers(found.peers)
	for d := range directions {
		if list := restricting(found.policies, NetworkPolicies, d); len(list) > 0 {
			key, table := t.acquireTable(ruleTableKey(d, list, c.ports), d, list, c.ports)
			c.tableKeys[d] = key
			c.hot.setTable(d, table)
		}
	}
	t.releaseShared(old) // after the new is acquired, so that what stays is not built again
	t.classes.Set(t.edit, id, c)
	t.hotClasses.Set(t.edit, id, c.hot)
}

// acquireTable returns the rule table of a key, for one more class. It builds the table for the first class,
// whose key it returns to all, so that they share its memory.
func (t *txn) acquireTable(
	key string, d direction, policies []*policy, ports []NamedPort,
) (string, *ruleTable) {
	shared, ok := t.ruleTables.Get(key)
	if !ok {
		shared.key, shared.table = key, newRuleTable(d, policies, ports)
	}
	shared.classes++
	t.ruleTables.Set(t.edit, shared.key, shared)
	return shared.key, shared.table
}

// releaseShared lets go of all that a class shares with others.
func (t *txn) releaseShared(c *class) {
	for d := range directions {
		t.releaseTable(c.tableKeys[d])
	}
	t.releaseNumbers(c)
}

// releaseTable undoes one acquireTable. The table goes with its last class. An empty key stands for no table.
func (t *txn) releaseTable(key string) {
	if key == "" {
		return
	}
	shared, _ := t.ruleTables.Get(key)
	if shared.classes--; shared.classes == 0 {
		t.ruleTables.Delete(t.edit, key)
		return
	}
	t.ruleTables.Set(t.edit, key, shared)
}

// acquireClass returns the id of a class, for one more Pod. It makes the class for the first Pod, and marks
// it dirty, so that it gets its rule tables at the end of the batch. labels and ports are sorted; it does not
// keep labels.
func (t *txn) acquireClass(namespace string, labels []label, ports []NamedPort) uint32 {
	key := classKey(namespace, labels, ports)
	ref, ok := t.classIDs.Get(key)
	if !ok {
		ref.id, labels = t.classPool.allocate(), slices.Clone(labels)
		t.classes.Set(t.edit, ref.id, newClass(namespace, labels, ports, key))
		classPostings(namespace, labels, func(p posting) { t.classIndex.add(t.edit, p, ref.id) })
		t.dirty[ref.id] = struct{}{}
		if namespace == nodeScope {
			t.nodeClasses++
		}
	}
	ref.pods++
	t.classIDs.Set(t.edit, key, ref)
	return ref.id
}

// releaseClass undoes one acquireClass. The class goes with its last Pod, and its id is free for another at
// once: older snapshots have their own tables.
func (t *txn) releaseClass(id uint32) {
	c := t.classes.At(id)
	ref, _ := t.classIDs.Get(c.key)
	if ref.pods--; ref.pods > 0 {
		t.classIDs.Set(t.edit, c.key, ref)
		return
	}
	t.classIDs.Delete(t.edit, c.key)
	if c.namespace == nodeScope {
		t.nodeClasses--
	}
	classPostings(c.namespace, c.labels, func(p posting) { t.classIndex.remove(t.edit, p, id) })
	t.releaseShared(c)
	var none *class
	t.classes.Set(t.edit, id, none)
	t.hotClasses.Set(t.edit, id, hotClass{}) // so that it keeps nothing of the class in memory
	t.classPool.release(t.edit, id)
}

// An idPool allocates ids, reusing released ones first so that arrays indexed by id stay dense. A plain copy
// is a snapshot.
type idPool struct {
	next uint32 // the lowest id that was never allocated
	// released is a stack of count ids. What lies above them is old.
	released persist.Array[uint32]
	count    uint32
}

// allocate returns an id that is not in use.
func (f *idPool) allocate() uint32 {
	if f.count > 0 {
		f.count--
		return f.released.At(f.count)
	}
	f.next++
	return f.next - 1
}

// release makes an id free for reuse.
func (f *idPool) release(e *persist.Edit, id uint32) {
	f.released.Set(e, f.count, id)
	f.count++
}
