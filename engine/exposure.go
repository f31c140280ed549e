package engine

import (
	"cmp"
	"slices"
)

// PodSelection is Pods, there or not: those in the namespaces that Namespaces selects whose labels Pods
// selects. The zero PodSelection is all Pods.
type PodSelection struct{ Namespaces, Pods Selector }

// RoleExposure says which Pods that need not exist one side allows, on what.
type RoleExposure struct {
	PodSelection
	// Except are Pods that are not meant, because a cluster-wide policy denies them.
	Except []PodSelection
	Ports  PortSet
	// Named are ports that the other Pod names, for egress alone.
	Named []Port
	// By are the rules that allow; none if no policy restricts the side, or no tier decides.
	By []DecidingRule
}

// ExposureOfSource returns which Pods that need not exist a source's side allows. A Pod without addresses that
// none of the results has on a port is denied there. No two results have the same Pods.
//
// Of a rule that denies, what is denied by address or by port name is left out: it concerns some Pods of those
// labels, and not others.
func (r *Roles) ExposureOfSource(source uint32) []RoleExposure {
	return r.exposure(r.roles[asSource][source].subject)
}

// ExposureOfDestination returns which Pods that need not exist a destination's side allows.
func (r *Roles) ExposureOfDestination(destination uint32) []RoleExposure {
	return r.exposure(r.roles[asDestination][destination].subject)
}

// An exposed is Pods and ports that reach a tier: all earlier ones leave them to it.
type exposed struct {
	PodSelection
	except []PodSelection
	ports  PortSet
}

// An exposing collects exposures.
type exposing struct {
	roles *Roles
	at    map[string]int
	found []RoleExposure
}

// exposure walks the tiers in order, with the Pods that reach each.
func (r *Roles) exposure(s *roleSubject) []RoleExposure {
	x := exposing{roles: r, at: map[string]int{}}
	reaching := []exposed{{ports: everyPort}}
	if s != nil {
		for i := range s.tiers {
			if s.tiers[i].tier == NetworkPolicies {
				x.addRules(s.tiers[i].rules, reaching)
				return x.sorted()
			}
			reaching = x.passTier(s.tiers[i].rules, reaching)
		}
	}
	for _, e := range reaching { // no tier decides
		x.add(e, e.ports, nil, nil)
	}
	return x.sorted()
}

// addRules adds what rules of NetworkPolicies allow of the Pods that reach them.
func (x *exposing) addRules(rules []*roleRule, reaching []exposed) {
	for i := range rules {
		u := rules[i]
		for _, p := range x.roles.peersOf(u) {
			for _, e := range reaching {
				x.add(e.and(p), u.fixed.Intersect(e.ports), u.names, u)
			}
		}
	}
}

// passTier adds what the rules of a tier of cluster-wide policies allow of the Pods that reach it, and returns
// the Pods that reach the next one.
func (x *exposing) passTier(rules []*roleRule, reaching []exposed) []exposed {
	var next []exposed
	for _, e := range reaching {
		for i := range rules {
			if u := rules[i]; u.action == Allow && len(u.names) > 0 {
				for _, p := range x.roles.peersOf(u) {
					x.add(e.and(p), nil, u.names, u)
				}
			}
		}
		for _, ports := range atoms(rules, e.ports) {
			atom := e
			atom.ports = ports
			next = append(next, x.passAtom(rules, atom)...)
		}
	}
	return joinExposed(next)
}

// passAtom does what passTier does, for ports that no rule tells apart.
func (x *exposing) passAtom(rules []*roleRule, e exposed) (next []exposed) {
	var passed []PodSelection // which later rules of the tier do not meet
	for i := range rules {
		u := rules[i]
		peers := x.roles.peersOf(u)
		if len(u.fixed.Intersect(e.ports)) == 0 {
			continue
		}
		for _, p := range peers {
			switch u.action {
			case Allow:
				allowed := e.and(p)
				allowed.except = slices.Concat(e.except, passed)
				x.add(allowed, e.ports, nil, u)
			case Pass:
				next = append(next, e.and(p))
			case Deny:
			}
		}
		if slices.ContainsFunc(peers, func(p PodSelection) bool { return len(p.Namespaces)+len(p.Pods) == 0 }) {
			return dropContained(next, e) // nothing is left
		}
		switch u.action {
		case Deny:
			e.except = slices.Concat(e.except, peers)
		case Pass:
			passed = slices.Concat(passed, peers)
		case Allow:
		}
	}
	return dropContained(append(next, e), e)
}

// dropContained drops those of list that others of it contain: fewer Pods than those of e, with equal
// exceptions.
func dropContained(list []exposed, e exposed) []exposed {
	whole := map[int]bool{} // by the number of exceptions, which only grow
	for _, o := range list {
		if o.compare(e.PodSelection) == 0 {
			whole[len(o.except)] = true
		}
	}
	return slices.DeleteFunc(list, func(o exposed) bool {
		return whole[len(o.except)] && o.compare(e.PodSelection) != 0
	})
}

// and returns those Pods of e that are in p too.
func (e exposed) and(p PodSelection) exposed {
	e.PodSelection = PodSelection{both(e.Namespaces, p.Namespaces), both(e.Pods, p.Pods)}
	return e
}

// both returns the requirements of two selectors, but for those that everything meets.
func both(a, b Selector) Selector {
	return slices.DeleteFunc(canonical(slices.Concat(a, b)), func(r Requirement) bool {
		return r.Operator == NotIn && len(r.Values) == 0
	})
}

// peersOf returns the Pods that the selectors of a rule can match: all for a rule without peers.
func (r *Roles) peersOf(u *roleRule) []PodSelection {
	if u.anyPeer {
		return []PodSelection{{}}
	}
	var list []PodSelection
	for _, id := range u.selectors {
		sel := r.s.selectors.At(id)
		if sel.scope == nodeScope || sel.pods.matchesNothing() || sel.namespaces.matchesNothing() {
			continue
		}
		p := PodSelection{both(sel.namespaces, nil), both(sel.pods, nil)}
		if sel.scope != "" {
			p.Namespaces = Selector{{Key: metadataName, Operator: In, Values: []string{sel.scope}}}
		}
		list = append(list, p)
	}
	return list
}

// matchesNothing reports whether a requirement cannot be met: an unknown operator, or In without values (S17,
// S23).
func (s Selector) matchesNothing() bool {
	return s.hasUnknownOperator() || slices.ContainsFunc(s, func(r Requirement) bool {
		return r.Operator == In && len(r.Values) == 0
	})
}

// atoms divides ports so that each rule has all of a part or none. Parts that the same rules have are one.
func atoms(rules []*roleRule, ports PortSet) []PortSet {
	parts := []PortSet{ports}
	for i := range rules {
		var next []PortSet
		for _, p := range parts {
			in := p.Intersect(rules[i].fixed)
			if len(in) > 0 {
				next = append(next, in)
			}
			if out := p.Minus(in); len(out) > 0 {
				next = append(next, out)
			}
		}
		parts = next
	}
	return parts
}

// joinExposed joins the ports of those that have the same Pods.
func joinExposed(list []exposed) []exposed {
	at := map[string]int{}
	var out []exposed
	for _, e := range list {
		e.except = sortSelections(e.except)
		key := string(appendSelections(nil, append([]PodSelection{e.PodSelection}, e.except...)))
		if i, ok := at[key]; ok {
			out[i].ports = out[i].ports.Union(e.ports)
			continue
		}
		at[key] = len(out)
		out = append(out, e)
	}
	return out
}

// add adds what a rule, nil for none, allows. Ports by name are added for Pods that need not exist.
func (x *exposing) add(e exposed, ports PortSet, names []Port, u *roleRule) {
	if len(ports)+len(names) == 0 {
		return
	}
	except := sortSelections(e.except)
	key := string(appendSelections(nil, append([]PodSelection{e.PodSelection}, except...)))
	i, ok := x.at[key]
	if !ok {
		i = len(x.found)
		x.at[key] = i
		x.found = append(x.found, RoleExposure{PodSelection: e.PodSelection, Except: except})
	}
	f := &x.found[i]
	f.Ports = f.Ports.Union(ports)
	for _, n := range names {
		if !slices.Contains(f.Named, n) {
			f.Named = append(f.Named, n)
		}
	}
	if u == nil {
		return
	}
	by := DecidingRule{Policy: u.policy.source, ClusterPolicy: u.policy.cluster, Index: u.index}
	if !slices.Contains(f.By, by) {
		f.By = append(f.By, by)
	}
}

// sorted returns the results in a fixed order.
func (x *exposing) sorted() []RoleExposure {
	for i := range x.found {
		slices.SortFunc(x.found[i].Named, func(a, b Port) int {
			return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Name, b.Name))
		})
	}
	return x.found
}

// sortSelections returns list sorted, each once. It does not modify list.
func sortSelections(list []PodSelection) []PodSelection {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.SortFunc(list, PodSelection.compare)
	return slices.CompactFunc(list, func(a, b PodSelection) bool { return a.compare(b) == 0 })
}

// compare orders selections by their requirements.
func (p PodSelection) compare(o PodSelection) int {
	return cmp.Compare(
		string(appendSelections(nil, []PodSelection{p})), string(appendSelections(nil, []PodSelection{o})),
	)
}

// appendSelections appends selections, so that different lists never look alike.
func appendSelections(b []byte, list []PodSelection) []byte {
	for _, p := range list {
		b = appendSelector(appendSelector(b, p.Namespaces), p.Pods)
	}
	return b
}
