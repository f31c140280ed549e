package html

import (
	"slices"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// asked says which groups a list was asked about at one end. The page draws a pair that was not asked about
// as blank: "closed" would be a claim that the list does not make.
type asked struct {
	// All reports whether every group was asked about; then Groups is empty.
	All bool `json:"all,omitempty"`
	// Groups are the ids asked about, ascending.
	Groups []uint32 `json:"groups,omitempty"`
	// Seen reports whether more may have been asked about, which cannot be told from the groups: by a selector
	// or by labels. Of those the page takes the groups that have a connection.
	Seen bool `json:"seen,omitempty"`
	// Outside reports whether outside addresses were asked about.
	Outside bool `json:"outside,omitempty"`
}

// askedOf returns which groups ends names. nil is all of them.
func askedOf(ends *netpoldv1.Ends, groups []*netpoldv1.Group) asked {
	cluster := ends.GetScope() != netpoldv1.Scope_SCOPE_EXTERNAL
	outside := ends.GetScope() != netpoldv1.Scope_SCOPE_CLUSTER
	selectors := ends.GetPodSelector() != "" || ends.GetNamespaceSelector() != ""
	if len(ends.GetEndpoints()) == 0 && len(ends.GetNamespaces()) == 0 && !selectors {
		return asked{All: cluster, Outside: outside}
	}
	a := asked{Seen: selectors}
	for _, g := range groups {
		if slices.Contains(ends.GetNamespaces(), g.GetNamespace()) && g.GetNamespace() != "" ||
			slices.ContainsFunc(
				ends.GetEndpoints(),
				func(e *netpoldv1.Endpoint) bool { return names(e, g) },
			) {
			a.Groups = append(a.Groups, g.GetId())
		}
	}
	for _, e := range ends.GetEndpoints() {
		a.Seen = a.Seen || e.GetLabels() != nil
		owned := slices.ContainsFunc(groups, func(g *netpoldv1.Group) bool { return names(e, g) })
		a.Outside = a.Outside || e.GetIp() != "" && !owned && outside
	}
	return a
}

// names reports whether e names a member of g. Labels name none: see asked.Seen.
func names(e *netpoldv1.Endpoint, g *netpoldv1.Group) bool {
	switch e := e.GetEndpoint().(type) {
	case *netpoldv1.Endpoint_Pod:
		return g.GetNamespace() == e.Pod.GetNamespace() &&
			slices.ContainsFunc(g.GetMembers(), func(m *netpoldv1.Member) bool {
				return m.GetName() == e.Pod.GetName()
			})
	case *netpoldv1.Endpoint_Workload:
		w := g.GetWorkload()
		return w.GetNamespace() == e.Workload.GetNamespace() && w.GetKind() == e.Workload.GetKind() &&
			w.GetName() == e.Workload.GetName()
	case *netpoldv1.Endpoint_Ip:
		return slices.ContainsFunc(g.GetMembers(), func(m *netpoldv1.Member) bool {
			return slices.Contains(m.GetIps(), e.Ip)
		})
	default:
		return false
	}
}
