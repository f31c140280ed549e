package mirror

import "slices"

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
