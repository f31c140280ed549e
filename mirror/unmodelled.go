package mirror

import (
	"cmp"
	"slices"
)

// An UnmodelledKind is a kind of object that decides traffic in the cluster and that netpold does not model.
type UnmodelledKind struct {
	// Kind is the kind. Example: "CiliumNetworkPolicy".
	Kind string
	// Group is the API group. Example: "cilium.io".
	Group string
	// Counted means that Count and Namespaces are known. They are unknown without the right to list the
	// objects.
	Counted bool
	// Count is the number of objects.
	Count int
	// Namespaces are the namespaces of the objects, sorted and without duplicates. If the kind has no
	// namespace it is empty, and the kind concerns all Pods.
	Namespaces []string
}

// Name returns the kind and its group, because several groups may have the same kind. Example:
// "CiliumNetworkPolicy.cilium.io".
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

// LeftOutFiles describes files that were not read for one reason.
type LeftOutFiles struct {
	// Reason says why, without a verb. Example: "the name ends in .yaml.tmpl".
	Reason string
	// Count is the number of files.
	Count int
	// Examples are the first three, in order of name.
	Examples []string
}

// An UnmodelledCount counts unmodelled objects. The zero value has none. It is not safe for concurrent use.
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

// Kinds returns the counts, in order of group and kind. The slice must not be modified.
func (c *UnmodelledCount) Kinds() []UnmodelledKind { return c.kinds }

// compareKinds compares by group, then by kind.
func compareKinds(group, kind, otherGroup, otherKind string) int {
	return cmp.Or(cmp.Compare(group, otherGroup), cmp.Compare(kind, otherKind))
}
