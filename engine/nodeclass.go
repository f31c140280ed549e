package engine

import (
	"slices"
	"unique"
)

// nodeScope is the scope of selectors of Nodes, and the namespace of classes of Nodes: a name that no namespace has. Nodes are
// classed as Pods are, by the labels that some rule asks for, so that a rule finds a Node as it finds a Pod (S38). As long as
// no rule has peers `nodes`, no Node has a class.
const nodeScope = "\x00nodes"

// nodeClassAt returns the class of a Node by its name, nil if no rule has peers `nodes` or there is no name. A Node without an
// object has the class without labels.
func (s *state) nodeClassAt(name unique.Handle[string]) *hotClass {
	if s.nodeSelectors == 0 || name == (unique.Handle[string]{}) {
		return nil
	}
	if n, ok := s.nodes.Get(name.Value()); ok && n.class != noClass {
		return s.hotClasses.At(n.class)
	}
	return s.hotClasses.At(s.bareNodeClass)
}

// classAt returns the class of an address as peers match it: the Pod's, which is given, or else the Node's.
func (s *state) classAt(pod *hotClass, a *address) *hotClass {
	if pod != nil || a == nil {
		return pod
	}
	return s.nodeClassAt(a.node())
}

// classifyNodes gives Nodes their classes after the selectors of a transaction are known: all of them if such selectors came
// into use, went, or ask for other labels, and otherwise those that changed.
func (t *txn) classifyNodes() {
	inUse := t.nodeSelectors > 0
	all := inUse != t.nodesClassed
	for key := range t.changedKeys {
		all = all || inUse && key.scope == nodeScope
	}
	if all {
		for name := range t.nodes.All() {
			t.unclassedNodes[name] = struct{}{}
		}
	}
	if inUse && !t.nodesClassed {
		t.bareNodeClass = t.acquireClass(nodeScope, nil, nil)
	}
	if inUse || all {
		for name := range t.unclassedNodes {
			t.classifyNode(name, inUse)
		}
	}
	if !inUse && t.nodesClassed {
		t.releaseClass(t.bareNodeClass)
	}
	t.nodesClassed = inUse
}

// classifyNode gives one Node its class, or takes it away.
func (t *txn) classifyNode(name string, inUse bool) {
	if _, ok := t.nodes.Get(name); !ok {
		return
	}
	n := t.ensureNode(name)
	old := n.class
	n.class = noClass
	if inUse && n.object != nil {
		labels := slices.DeleteFunc(sortedLabels(n.object.Labels), func(l label) bool {
			return t.keys.Find(scopedKey{nodeScope, l.key}) == nil
		})
		n.class = t.acquireClass(nodeScope, labels, nil)
	}
	if old != noClass {
		t.releaseClass(old)
	}
}
