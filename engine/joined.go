package engine

import "slices"

// joinDirections allows a side that NetworkPolicies deny if a rule for the other direction matches, of a policy
// that selects both ends and isolates both directions ([Options.JoinDirections]). No rule of the side's own
// direction allowed it, so it names none. toDst and toSrc are the ends as rules match them.
//
// It looks at policies one by one, outside the merged tables. Only denials of a Cluster with the option get here.
func (s *state) joinDirections(from, to *hotClass, protocol Protocol, port uint16, toDst, toSrc *peer, d *Decision) {
	if from == nil || to == nil || from.tables[egress] == nil || to.tables[ingress] == nil {
		return
	}
	both := to.tables[ingress].policies
	for _, p := range from.tables[egress].policies {
		if !slices.Contains(both, p) {
			continue
		}
		compiled, _ := s.policies.Get(nameKey{p.Namespace, p.Name})
		matches := func(other direction, seen *peer) bool {
			return slices.ContainsFunc(compiled.rules[other], func(r rule) bool {
				return r.hasPeer(seen) && r.hasPort(to.cold, protocol, port)
			})
		}
		if d.Egress.deniedByPolicies() {
			d.Egress.Allowed = matches(ingress, toSrc)
		}
		if d.Ingress.deniedByPolicies() {
			d.Ingress.Allowed = matches(egress, toDst)
		}
	}
}

// deniedByPolicies reports whether NetworkPolicies deny the side.
func (s *Side) deniedByPolicies() bool { return !s.Allowed && s.Tier == NetworkPolicies }
