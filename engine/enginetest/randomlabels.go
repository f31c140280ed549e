package enginetest

import "github.com/netpold/netpold/engine"

// LabelledPod returns a Pod that need not exist, without an address.
func (r *Random) LabelledPod() *engine.LabelledPod {
	return &engine.LabelledPod{Namespace: r.namespace(), Labels: r.labels(), Ports: some(r, 2, r.namedPort)}
}

// NamespaceLabels returns the labels of a namespace (S18).
func (o *Oracle) NamespaceLabels(name string) map[string]string { return o.namespaceLabels(name) }

// Matches reports whether labels match a selector (S17).
func Matches(s engine.Selector, labels map[string]string) bool { return matchSelector(s, labels) }

// Selector returns a random selector.
func (r *Random) Selector() engine.Selector { return r.selector() }
