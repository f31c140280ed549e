package engine

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
)

// metadataName is the label that every Namespace has, equal to its name (S18).
const metadataName = "kubernetes.io/metadata.name"

// A label is one label of a Pod, a Namespace or a Node. Invariant: lists of labels are sorted by key and have
// each key once.
type label struct{ key, value string }

// sortedLabels returns the labels of m as a list.
func sortedLabels(m map[string]string) []label {
	labels := make([]label, 0, len(m))
	for k, v := range m {
		labels = append(labels, label{k, v})
	}
	slices.SortFunc(labels, func(a, b label) int { return cmp.Compare(a.key, b.key) })
	return labels
}

// namespaceLabels returns the labels of a Namespace. kubernetes.io/metadata.name is always one of them and
// equals the name, whatever m says (S18).
func namespaceLabels(name string, m map[string]string) []label {
	labels := sortedLabels(m)
	at, found := slices.BinarySearchFunc(labels, metadataName, func(l label, k string) int {
		return cmp.Compare(l.key, k)
	})
	if found {
		labels[at].value = name
		return labels
	}
	return slices.Insert(labels, at, label{metadataName, name})
}

// valueOf returns the value of a label, and whether labels has the key. Lists are short, so it does not
// search by halves.
func valueOf(labels []label, key string) (string, bool) {
	for i := range labels {
		if labels[i].key >= key {
			return labels[i].value, labels[i].key == key
		}
	}
	return "", false
}

// A selector is a group of Pods, or of Nodes, that some policy names: as its subject, as a peer, or both
// (S10, S16, S38).
//
// Policies that name equal groups share one selector, so that a class is compared with each group once. Its
// id is what rules and classes carry:
//
//	rule ─► selector ids          class ─► ids of the selectors that select it
//	           └──────── a rule's peer matches if the lists meet ──────┘
//
// It is immutable but for the transaction that made it.
type selector struct {
	id uint32
	// scope is the one namespace that it looks into, or nodeScope; empty for all namespaces that match
	// namespaces.
	scope      string
	namespaces Selector // nil if scope is set
	pods       Selector
	// canonical is the group's identity. It is equal for requirements that differ only in order or
	// repetition.
	canonical string
	// peers counts the peers of rules of NetworkPolicies that name it, clusterPeers those of cluster-wide rules.
	peers, clusterPeers int
	// subjects are the policies whose subject it is, in no particular order.
	subjects []*policy
	// postings are where the selector is filed in the index.
	postings []posting
}

// newSelector returns the canonical selector of a group. If scope is not empty the group is in that namespace
// alone, and namespaces is not looked at. Asking for a namespace by its name alone is the same as that scope.
func newSelector(scope string, namespaces, pods Selector) *selector {
	s := &selector{scope: scope, pods: canonical(pods)}
	if scope == "" {
		s.namespaces = canonical(namespaces)
		if r := s.namespaces; len(r) == 1 && r[0].Key == metadataName && r[0].Operator == In &&
			len(r[0].Values) == 1 && r[0].Values[0] != "" {
			s.scope, s.namespaces = r[0].Values[0], nil
		}
	}
	name := appendString(nil, s.scope)
	name = appendSelector(name, s.namespaces)
	s.canonical = string(appendSelector(name, s.pods))
	return s
}

// canonical returns s with the requirements and their values sorted, each once. It does not modify s.
func canonical(s Selector) Selector {
	out := make(Selector, 0, len(s))
	for _, r := range s {
		c := Requirement{Key: r.Key, Operator: r.Operator}
		if r.Operator == In || r.Operator == NotIn {
			c.Values = slices.Clone(r.Values)
			slices.Sort(c.Values)
			c.Values = slices.Compact(c.Values)
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Requirement) int {
		return cmp.Or(
			cmp.Compare(a.Key, b.Key),
			cmp.Compare(a.Operator, b.Operator),
			slices.Compare(a.Values, b.Values),
		)
	})
	return slices.CompactFunc(out, func(a, b Requirement) bool {
		return a.Key == b.Key && a.Operator == b.Operator && slices.Equal(a.Values, b.Values)
	})
}

// appendString appends s with its length before it, so that different lists of strings never look alike.
func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendSelector appends a canonical selector, so that different selectors never look alike.
func appendSelector(b []byte, s Selector) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	for _, r := range s {
		b = append(appendString(b, r.Key), byte(r.Operator))
		b = binary.AppendUvarint(b, uint64(len(r.Values)))
		for _, v := range r.Values {
			b = appendString(b, v)
		}
	}
	return b
}

// matches reports whether all requirements hold (S17). Values must be sorted, as [canonical] leaves them.
func (s Selector) matches(labels []label) bool {
	for i := range s {
		if !s[i].matches(labels) {
			return false
		}
	}
	return true
}

// matches reports whether one requirement holds (S17).
func (r *Requirement) matches(labels []label) bool {
	v, has := valueOf(labels, r.Key)
	switch r.Operator {
	case In:
		return has && containsSorted(r.Values, v)
	case NotIn:
		return !has || !containsSorted(r.Values, v)
	case Exists:
		return has
	case DoesNotExist:
		return !has
	}
	return false // an unknown operator matches nothing (S23)
}

// containsSorted reports whether sorted values contain v.
func containsSorted(values []string, v string) bool {
	if len(values) == 1 {
		return values[0] == v
	}
	i := sort.SearchStrings(values, v)
	return i < len(values) && values[i] == v
}

// selects reports whether a Pod with these labels in this namespace belongs to the group. For a Node, the
// namespace is nodeScope.
func (s *selector) selects(namespace string, namespaceLabels, podLabels []label) bool {
	if s.scope != "" {
		return s.scope == namespace && s.pods.matches(podLabels)
	}
	return s.namespaces.matches(namespaceLabels) && s.pods.matches(podLabels)
}
