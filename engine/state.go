package engine

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"unique"

	"github.com/netpold/netpold/engine/internal/persist"
)

// A state is the whole cluster in persistent collections. A copy of the struct is a snapshot, which costs the
// same for every size of cluster. A transaction on the copy leaves the original as it was.
//
//	what is stored           who owns an address     what decides
//	namespaces ─► pods       ipv4, ipv6 ─► claims    classes ◄─ classIndex ─┐
//	nodes                    vips ─► Services          │ tableKeys          │ by label
//	services ─► slices       directV4/V6 ─► class id ruleTables             │
//	policies ─► selectors                            selectors ◄─ selectorIndex
//
// Invariant: everything reachable from a published state is never written again.
type state struct {
	options Options
	counts  Counts

	// The objects, as stored. Records are replaced whole, never changed once published.
	namespaces persist.Map[string, *namespace]
	nodes      persist.Map[string, *node]
	policies   persist.Map[nameKey, *policy]
	// clusterPolicies is empty in a cluster without such policies, which then pays nothing for them (S30).
	clusterPolicies persist.Map[ObjectKey, *policy]
	services        persist.Map[nameKey, *service]
	slices          persist.Map[nameKey, *EndpointSlice]
	workloads       persist.Map[workloadKey, *workload]

	// The owner of each address (S5, S7).
	ipv4 persist.Map[uint32, address]
	ipv6 persist.Map[persist.WideKey, address]
	// directV4 and directV6 are what decisions between addresses read first; see [notDirect].
	directV4 persist.Table
	directV6 persist.WideTable
	// vips has the Services that an address stands for, sorted by name (S24).
	vips persist.Map[netip.Addr, []nameKey]
	// shared counts the addresses that are a Service's and also a Pod's or a Node's. While it is 0, an
	// address with an owner need not be looked up in vips.
	shared int

	// Classes, and the selectors and rule tables that concern them. classes and hotClasses have the same ids.
	classes       persist.Array[*class]
	hotClasses    persist.Records[hotClass]
	classPool     idPool
	classIDs      persist.Map[string, classRef]
	classIndex    index
	selectors     persist.Array[*selector]
	selectorPool  idPool
	selectorIDs   persist.Map[string, uint32]
	selectorIndex index
	ruleTables    persist.Map[string, sharedTable]
	// nodeSelectors counts the selectors of Nodes, nodeClasses the classes of Nodes. nodesClassed reports
	// whether Nodes have classes; bareNodeClass is then the class of a Node without an object (S38).
	nodeSelectors, nodeClasses int
	nodesClassed               bool
	bareNodeClass              uint32
	// tiers has the rules of the cluster-wide policies; nil if there are none.
	tiers *clusterRules
	// policyUID is the uid that was given last. A uid is never reused.
	policyUID uint64
	// keys counts how many requirements of the selectors of a scope mention a label key. Keys with 0 stay for
	// a while, and unusedKeys counts them; see [maxUnusedKeys].
	keys       persist.Map[scopedKey, int]
	unusedKeys int
	// namespacesBy has the names of the namespaces with a label, sorted.
	namespacesBy persist.Map[label, []string]

	aside aside
}

// A nameKey is a namespace and a name in it.
type nameKey struct{ namespace, name string }

// compare orders keys by namespace, then by name.
func (a nameKey) compare(b nameKey) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// A scopedKey is a label key in a namespace, or in all namespaces if scope is empty.
type scopedKey struct{ scope, key string }

// A namespace is a namespace that has an object, Pods or both. It may be written only under the edit that
// owns it.
type namespace struct {
	owner  *persist.Edit
	object *Namespace // nil if only Pods name it
	// labels has kubernetes.io/metadata.name in any case (S18).
	labels []label
	pods   persist.Map[string, *pod]
}

// A node is a Node, as its object and its Pods describe it. It may be written only under the edit that owns
// it, and its hostIPs only after they were cloned.
type node struct {
	owner  *persist.Edit
	handle unique.Handle[string]
	object *Node // nil if only Pods name it
	// class is that of its labels, or noClass; see [nodeScope].
	class uint32
	// hostIPs counts, for each address, the Pods on the Node that report it as the Node's (S5).
	hostIPs map[netip.Addr]int
	// lastHostIPs is the list of the Pod that came last.
	lastHostIPs []netip.Addr
}

// newState returns the state of an empty cluster. Hashes are seeded anew for each process.
func newState(o Options) state {
	hashName := persist.HashOf[nameKey]()
	hashString := persist.HashOf[string]()
	return state{
		options:         o,
		namespaces:      persist.NewMap[string, *namespace](hashString),
		nodes:           persist.NewMap[string, *node](hashString),
		policies:        persist.NewMap[nameKey, *policy](hashName),
		clusterPolicies: persist.NewMap[ObjectKey, *policy](persist.HashOf[ObjectKey]()),
		services:        persist.NewMap[nameKey, *service](hashName),
		slices:          persist.NewMap[nameKey, *EndpointSlice](hashName),
		workloads:       persist.NewMap[workloadKey, *workload](persist.HashOf[workloadKey]()),
		directV4:        persist.NewTable(),
		directV6:        persist.NewWideTable(),
		ipv4:            persist.NewMap[uint32, address](seededMix()),
		ipv6:            persist.NewMap[persist.WideKey, address](persist.NewWideHash()),
		vips:            persist.NewMap[netip.Addr, []nameKey](persist.HashOf[netip.Addr]()),
		classIDs:        persist.NewMap[string, classRef](hashString),
		classIndex:      newIndex(),
		selectorIDs:     persist.NewMap[string, uint32](hashString),
		selectorIndex:   newIndex(),
		ruleTables:      persist.NewMap[string, sharedTable](hashString),
		keys:            persist.NewMap[scopedKey, int](persist.HashOf[scopedKey]()),
		namespacesBy:    persist.NewMap[label, []string](persist.HashOf[label]()),
		aside:           newAside(),
	}
}

// seededMix returns a hash for IPv4 addresses and other small numbers: the finalizer of SplitMix64 over a
// random seed, which makes collisions hard to cause on purpose.
func seededMix() func(uint32) uint64 {
	seed := maphash.Comparable(maphash.MakeSeed(), 0)
	return func(v uint32) uint64 {
		x := (uint64(v) ^ seed) * 0x9E3779B97F4A7C15
		x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
		x = (x ^ x>>27) * 0x94D049BB133111EB
		return x ^ x>>31
	}
}

// labelsOf returns the labels of a namespace, sorted. One without an object has its name as its only label
// (S18). The slice must not be modified.
func (s *state) labelsOf(name string) []label {
	if ns, ok := s.namespaces.Get(name); ok {
		return ns.labels
	}
	return namespaceLabels(name, nil)
}

// pod returns a Pod by name, finished ones too, or nil.
func (s *state) pod(namespace, name string) *pod {
	if ns, ok := s.namespaces.Get(namespace); ok {
		p, _ := ns.pods.Get(name)
		return p
	}
	return nil
}

// A txn is one batch of changes on its way into a state. Objects and selectors are stored one by one, which
// only marks what follows from them:
//
//	Pod, Node ─────► unclassed, unclassedNodes ─┐
//	label keys ────► changedKeys ───────────────┼─► classes anew ─► dirty ─► rebuilt
//	policy, labels ─────────────────────────────┴───────────────────►
//
// The marked work is done at the end, in this order. So the result depends on the state after the batch
// alone, and not on the order of the changes inside it. A txn has one user and ends with apply.
type txn struct {
	*state
	edit *persist.Edit
	// dirty has the ids of the classes to rebuild. Invariant: every class that a change could concern is in
	// it before the batch ends. Too many cost time; too few would be wrong answers.
	dirty map[uint32]struct{}
	// renewed has the ids of the classes whose decisions may differ although nothing in the class does.
	renewed map[uint32]struct{}
	// changedKeys has the label keys that came into or went out of use. The Pods of the scope that have one
	// are classed anew.
	changedKeys map[scopedKey]struct{}
	// unclassed has the Pods that are new or changed.
	unclassed map[nameKey]struct{}
	// clusterChange is what changes in the rules of cluster-wide policies.
	clusterChange clusterChange
	// scratch is room for the result of [txn.relevantLabels].
	scratch []label
	// unclassedNodes has the Nodes that are new or changed.
	unclassedNodes map[string]struct{}
}

// apply makes the changes, in order, and then all that follows from them. A later change to an object wins.
func (t *txn) apply(changes []Change) {
	for _, c := range changes {
		switch o := c.Object.(type) {
		case *Namespace:
			t.applyNamespace(o, c.Delete)
		case *Node:
			t.applyNode(o, c.Delete)
		case *Policy:
			t.applyPolicy(o, c.Delete)
		case *ClusterPolicy:
			t.applyClusterPolicy(o, c.Delete)
		case *Service:
			t.applyService(o, c.Delete)
		case *EndpointSlice:
			t.applySlice(o, c.Delete)
		case *Pod:
			t.applyPod(o, c.Delete)
		}
	}
	t.retireKeys() // before Pods are classed, as it changes keys
	t.reclassify()
	t.classifyNodes()
	t.arrangeClusterPolicies()
	for id := range t.dirty {
		t.rebuild(id)
	}
	for id := range t.renewed {
		if _, ok := t.dirty[id]; !ok {
			t.renew(id)
		}
	}
	t.rearrangeClusterPeers()
	t.renewMemo()
}

// ensureNamespace returns a namespace for writing. It makes one without an object if there is none.
func (t *txn) ensureNamespace(name string) *namespace {
	old, ok := t.namespaces.Get(name)
	switch {
	case !ok:
		old = &namespace{
			owner: t.edit, labels: namespaceLabels(name, nil),
			pods: persist.NewMap[string, *pod](persist.HashOf[string]()),
		}
	case old.owner == t.edit:
		return old
	default:
		fresh := *old
		fresh.owner, old = t.edit, &fresh
	}
	t.namespaces.Set(t.edit, name, old)
	if !ok {
		t.indexNamespace(name, nil, old.labels)
	}
	return old
}

// applyNamespace stores a Namespace, or takes its object away. The Pods stay, with the labels of S18. All
// classes of the namespace become dirty when its labels change.
func (t *txn) applyNamespace(o *Namespace, gone bool) {
	if gone {
		if ns, ok := t.namespaces.Get(o.Name); !ok || ns.object == nil {
			return
		}
	}
	ns := t.ensureNamespace(o.Name)
	if ns.object == nil {
		t.counts.Namespaces++
	}
	ns.object = o
	labels := namespaceLabels(o.Name, o.Labels)
	if gone {
		ns.object, labels = nil, namespaceLabels(o.Name, nil)
		t.counts.Namespaces--
	}
	if !slices.Equal(ns.labels, labels) {
		t.indexNamespace(o.Name, ns.labels, labels)
		ns.labels = labels
		for id := range t.classIndex.ids(posting{kind: anyPod, scope: o.Name}) {
			t.dirty[id] = struct{}{}
		}
	}
	t.forgetNamespace(o.Name, ns)
}

// forgetNamespace deletes a namespace that has neither an object nor Pods.
func (t *txn) forgetNamespace(name string, ns *namespace) {
	if ns.object == nil && ns.pods.Len() == 0 {
		t.indexNamespace(name, ns.labels, nil)
		t.namespaces.Delete(t.edit, name)
	}
}

// indexNamespace moves a namespace in namespacesBy from its old labels to its new ones.
func (t *txn) indexNamespace(name string, old, fresh []label) {
	for _, l := range old {
		if names, _ := t.namespacesBy.Get(l); !slices.Contains(fresh, l) {
			if names = removed(names, name); len(names) == 0 {
				t.namespacesBy.Delete(t.edit, l)
			} else {
				t.namespacesBy.Set(t.edit, l, names)
			}
		}
	}
	for _, l := range fresh {
		if !slices.Contains(old, l) {
			names, _ := t.namespacesBy.Get(l)
			t.namespacesBy.Set(t.edit, l, inserted(names, name))
		}
	}
}

// inserted returns sorted with s in it, once. It does not modify sorted, and returns it if s is there
// already.
func inserted(sorted []string, s string) []string {
	if at, found := slices.BinarySearch(sorted, s); !found {
		return slices.Insert(slices.Clip(slices.Clone(sorted)), at, s)
	}
	return sorted
}

// removed returns sorted without s. It does not modify sorted, and returns it if s is not there.
func removed(sorted []string, s string) []string {
	if at, found := slices.BinarySearch(sorted, s); found {
		return slices.Delete(slices.Clone(sorted), at, at+1)
	}
	return sorted
}

// ensureNode returns a node for writing. It makes one without an object if there is none.
func (t *txn) ensureNode(name string) *node {
	old, ok := t.nodes.Get(name)
	switch {
	case !ok:
		old = &node{owner: t.edit, handle: unique.Make(name), class: noClass}
	case old.owner == t.edit:
		return old
	default:
		fresh := *old
		fresh.owner, old = t.edit, &fresh
	}
	t.nodes.Set(t.edit, name, old)
	return old
}

// applyNode stores a Node, or takes its object away. The claims of its old object go before those of the new
// one come, so that an address in both is never claimed twice.
func (t *txn) applyNode(o *Node, gone bool) {
	old, ok := t.nodes.Get(o.Name)
	if gone && (!ok || old.object == nil) {
		return
	}
	n := t.ensureNode(o.Name)
	t.unclassedNodes[o.Name] = struct{}{}
	if n.object == nil {
		t.counts.Nodes++
	} else {
		t.aside.removeNode(t.edit, n.object)
		for _, ip := range n.object.IPs {
			t.removeClaim(ip, claim{node: n.handle, object: true})
		}
	}
	n.object = o
	if gone {
		n.object = nil
		t.counts.Nodes--
		t.forgetNode(o.Name, n)
		return
	}
	t.aside.addNode(t.edit, o)
	for _, ip := range o.IPs {
		t.addClaim(ip, claim{node: n.handle, object: true})
	}
}

// forgetNode deletes a node that has neither an object nor an address that its Pods report.
func (t *txn) forgetNode(name string, n *node) {
	if n.object == nil && len(n.hostIPs) == 0 {
		if n.class != noClass {
			t.releaseClass(n.class)
		}
		t.nodes.Delete(t.edit, name)
	}
}
