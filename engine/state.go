package engine

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"unique"

	"github.com/netpold/netpold/engine/internal/persist"
)

// state is the whole cluster in persistent collections: copying it is taking a snapshot, and a transaction on the copy
// leaves the original as it was.
type state struct {
	options Options
	counts  Counts

	// What was told.
	namespaces persist.Map[string, *namespace]
	nodes      persist.Map[string, *node]
	policies   persist.Map[nameKey, *policy]
	// clusterPolicies are empty in a cluster that has none, which then pays nothing for them.
	clusterPolicies persist.Map[ObjectKey, *policy]
	services        persist.Map[nameKey, *service]
	slices          persist.Map[nameKey, *EndpointSlice]
	workloads       persist.Map[workloadKey, *workload]

	// Who owns an address.
	ipv4 persist.Map[uint32, address]
	// directV4 is what decisions between IPv4 addresses read first: see [notDirect].
	directV4 persist.Table
	ipv6     persist.Map[[16]byte, address]
	vips     persist.Map[netip.Addr, []nameKey]
	// shared counts the addresses that are a Service's and also a Pod's or a Node's.
	shared int

	// Identities, and what selects them.
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
	// nodeSelectors counts the selectors of Nodes, nodeClasses the classes of Nodes. nodesClassed means that Nodes have
	// classes; bareNodeClass is then that of a Node without object.
	nodeSelectors, nodeClasses int
	nodesClassed               bool
	bareNodeClass              uint32
	policyUID                  uint64
	// keys are the label keys that selectors of a scope mention, with how often; unused ones stay for a while.
	keys       persist.Map[scopedKey, int]
	unusedKeys int
	// namespacesBy finds namespaces by a label, sorted.
	namespacesBy persist.Map[label, []string]

	aside aside
}

// nameKey is a namespace and a name in it.
type nameKey struct{ namespace, name string }

func (a nameKey) compare(b nameKey) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// scopedKey is a label key in a namespace, or in all where scope is empty.
type scopedKey struct{ scope, key string }

// namespace is a namespace that has an object or Pods.
type namespace struct {
	owner  *persist.Edit
	object *Namespace
	// labels are as S18 has them.
	labels []label
	pods   persist.Map[string, *pod]
}

// node is a Node as far as its object and its Pods tell.
type node struct {
	owner  *persist.Edit
	handle unique.Handle[string]
	object *Node
	// class is that of its labels; see [nodeScope].
	class uint32
	// hostIPs counts the Pods on it that report an address as the Node's (S5).
	hostIPs map[netip.Addr]int
}

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
		ipv4:            persist.NewMap[uint32, address](seededMix()),
		ipv6:            persist.NewMap[[16]byte, address](persist.HashOf[[16]byte]()),
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

// seededMix spreads the bits of an IPv4 address (the finalizer of SplitMix64), in another way for each process.
func seededMix() func(uint32) uint64 {
	seed := maphash.Comparable(maphash.MakeSeed(), 0)
	return func(v uint32) uint64 {
		x := (uint64(v) ^ seed) * 0x9E3779B97F4A7C15
		x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
		x = (x ^ x>>27) * 0x94D049BB133111EB
		return x ^ x>>31
	}
}

// labelsOf are a namespace's labels; one without an object has its name alone (S18).
func (s *state) labelsOf(name string) []label {
	if ns, ok := s.namespaces.Get(name); ok {
		return ns.labels
	}
	return namespaceLabels(name, nil)
}

func (s *state) pod(namespace, name string) *pod {
	if ns, ok := s.namespaces.Get(namespace); ok {
		p, _ := ns.pods.Get(name)
		return p
	}
	return nil
}

// txn is one batch of changes on its way into the state. The order in which it works makes its result depend on the state
// after the batch alone: objects first, then selectors, then the Pods' classes, then the classes' decisions.
type txn struct {
	*state
	edit *persist.Edit
	// dirty classes are rebuilt at the end.
	dirty map[uint32]struct{}
	// changedKeys keys came into or went out of use: Pods of the scope that have one get their class anew.
	changedKeys map[scopedKey]struct{}
	// unclassed Pods are new or changed: they get their class at the end.
	unclassed map[nameKey]struct{}
	// scratch is room for [txn.relevant].
	scratch []label
	// unclassedNodes are new or changed.
	unclassedNodes map[string]struct{}
}

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
	t.retireKeys()
	t.reclassify()
	t.classifyNodes()
	for id := range t.dirty {
		t.rebuild(id)
	}
}

// namespace returns the namespace for writing; it is made where there is none.
func (t *txn) ensureNamespace(name string) *namespace {
	old, ok := t.namespaces.Get(name)
	switch {
	case !ok:
		old = &namespace{owner: t.edit, labels: namespaceLabels(name, nil), pods: persist.NewMap[string, *pod](persist.HashOf[string]())}
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

// forgetNamespace drops a namespace of which nothing is left.
func (t *txn) forgetNamespace(name string, ns *namespace) {
	if ns.object == nil && ns.pods.Len() == 0 {
		t.indexNamespace(name, ns.labels, nil)
		t.namespaces.Delete(t.edit, name)
	}
}

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

func inserted(sorted []string, s string) []string {
	if at, found := slices.BinarySearch(sorted, s); !found {
		return slices.Insert(slices.Clip(slices.Clone(sorted)), at, s)
	}
	return sorted
}

func removed(sorted []string, s string) []string {
	if at, found := slices.BinarySearch(sorted, s); found {
		return slices.Delete(slices.Clone(sorted), at, at+1)
	}
	return sorted
}

// node returns the node for writing; it is made where there is none.
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

func (t *txn) forgetNode(name string, n *node) {
	if n.object == nil && len(n.hostIPs) == 0 {
		if n.class != noClass {
			t.releaseClass(n.class)
		}
		t.nodes.Delete(t.edit, name)
	}
}
