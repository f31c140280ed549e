package mirror

import (
	"cmp"
	"slices"
)

// UnmodelledKind is a kind of object that decides traffic in the cluster and that netpold does not model.
type UnmodelledKind struct {
	// Kind is as objects have it. Example: "CiliumNetworkPolicy".
	Kind string
	// Group is the API group. Example: "cilium.io".
	Group string
	// Counted means that Count and Namespaces are known. Without the right to list the objects, only their kind is.
	Counted bool
	// Count is how many objects there are.
	Count int
	// Namespaces are those of the objects, sorted and each once. Empty if the kind has no namespace: then it concerns all Pods.
	Namespaces []string
}

// Name returns the kind and its group: "CiliumNetworkPolicy.cilium.io". The same kind occurs in several groups.
func (k *UnmodelledKind) Name() string {
	if k.Group == "" {
		return k.Kind
	}
	return k.Kind + "." + k.Group
}

// Concerns reports whether objects of the kind may decide about Pods of a namespace.
func (k *UnmodelledKind) Concerns(namespace string) bool {
	if !k.Counted || len(k.Namespaces) == 0 {
		return true
	}
	_, found := slices.BinarySearch(k.Namespaces, namespace)
	return found
}

// LeftOutFiles are files that were not read, for one reason.
type LeftOutFiles struct {
	// Reason says why, without a verb. Example: "the name ends in .yaml.tmpl".
	Reason string
	// Count is how many files there are.
	Count int
	// Examples are the first three, in order of name.
	Examples []string
}

// UnmodelledCount counts unmodelled objects as they are met. The zero UnmodelledCount has none. It is not safe for
// concurrent use.
type UnmodelledCount struct{ kinds []UnmodelledKind }

// Add counts one object of an unmodelled resource; namespace is empty if it has none.
func (c *UnmodelledCount) Add(of UnmodelledResource, namespace string) {
	at, found := slices.BinarySearchFunc(c.kinds, of, func(k UnmodelledKind, r UnmodelledResource) int {
		return compareKinds(k.Group, k.Kind, r.Group, r.Kind)
	})
	if !found {
		c.kinds = slices.Insert(c.kinds, at, UnmodelledKind{Kind: of.Kind, Group: of.Group, Counted: true})
	}
	k := &c.kinds[at]
	k.Count++
	if !of.Namespaced {
		return
	}
	if in, known := slices.BinarySearch(k.Namespaces, namespace); !known {
		k.Namespaces = slices.Insert(k.Namespaces, in, namespace)
	}
}

// Kinds returns what was counted, in order of group and kind. It must not be modified.
func (c *UnmodelledCount) Kinds() []UnmodelledKind { return c.kinds }

// compareKinds orders by group, then kind.
func compareKinds(group, kind, otherGroup, otherKind string) int {
	return cmp.Or(cmp.Compare(group, otherGroup), cmp.Compare(kind, otherKind))
}
