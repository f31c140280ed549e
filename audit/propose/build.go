package propose

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// Build makes a proposal of the flows so far. Directions in skip get no rules and are not isolated.
func (o *Observed) Build(skip map[Skip]bool) *Proposal {
	p := &Proposal{Mode: o.options.Mode, Counts: o.counts, units: o.unitOf}
	sides := map[*Unit]*[directions][]*pair{}
	side := func(u *Unit, d Direction, of *pair) {
		if u == nil {
			return
		}
		if sides[u] == nil {
			sides[u] = &[directions][]*pair{}
		}
		sides[u][d] = append(sides[u][d], of)
	}
	for _, of := range slices.SortedFunc(maps.Values(o.pairs), comparePairs) {
		p.Counts.Denied += of.deniedFirst
		if !of.counts() {
			p.Counts.Denied += of.first
			continue
		}
		p.Counts.Admitted += of.first
		p.Span.Join(of.Span)
		p.pairs = append(p.pairs, of)
		side(of.Src.Unit, Egress, of)
		side(of.Dst.Unit, Ingress, of)
	}
	units := make([]*Unit, 0, len(sides))
	for u := range sides {
		units = append(units, u)
	}
	slices.SortFunc(units, compareUnits)
	taken := map[[2]string]bool{}
	for _, u := range units {
		if u.Selector == nil {
			if p.wanted(u, sides[u]) {
				p.Without = append(p.Without, u)
			}
			continue
		}
		if policy, ok := p.policyOf(u, sides[u], skip); ok {
			policy.Name = o.freeName(u, taken)
			p.Policies = append(p.Policies, policy)
		}
	}
	return p
}

// wanted reports whether a unit would get a policy.
func (p *Proposal) wanted(u *Unit, flows *[directions][]*pair) bool {
	for d := range directions {
		if p.Mode == DefaultDeny && !u.IsolatedToday(d) ||
			slices.ContainsFunc(flows[d], func(of *pair) bool { return of.needs(d, p.rulesFor()...) }) {
			return true
		}
	}
	return false
}

// rulesFor returns the needs that get rules.
func (p *Proposal) rulesFor() []need {
	if p.Mode == Missing {
		return []need{needsRule}
	}
	return []need{needsRule, needsIfIsolated, needsBaseline}
}

// policyOf returns the policy of a unit, and false if it needs none.
func (p *Proposal) policyOf(u *Unit, flows *[directions][]*pair, skip map[Skip]bool) (Policy, bool) {
	policy := Policy{Namespace: u.Namespace, Unit: u}
	for d := range directions {
		today := u.IsolatedToday(d)
		policy.Today[d] = today
		wanted := slices.DeleteFunc(slices.Clone(flows[d]), func(of *pair) bool { return !of.needs(d, p.rulesFor()...) })
		if skip[Skip{u, d}] {
			policy.Open = append(policy.Open, Open{Direction: d})
			continue
		}
		if !today && p.Mode == Missing {
			if len(wanted) > 0 {
				policy.Open = append(policy.Open, Open{Direction: d, Mixed: true})
			}
			continue
		}
		peers := slices.DeleteFunc(slices.Clone(wanted), func(of *pair) bool {
			return of.peer(d).Named()
		})
		if len(peers) > 0 {
			policy.Open = append(policy.Open, opens(peers, d)...)
			if !today {
				continue
			}
			wanted = slices.DeleteFunc(wanted, func(of *pair) bool { return slices.Contains(peers, of) })
		}
		policy.Rules[d] = rulesOf(wanted, d)
		policy.Isolates[d] = !today || len(wanted) > 0
		for i := range policy.Rules[d] {
			p.name(u, d, &policy.Rules[d][i])
		}
	}
	return policy, policy.Isolates != [directions]bool{} || len(policy.Open) > 0
}

// opens returns why a direction stays open, each peer once.
func opens(peers []*pair, d Direction) (list []Open) {
	seen := map[endKey]bool{}
	for _, of := range peers { // in order
		if end := of.peer(d); !seen[end.key()] {
			seen[end.key()] = true
			list = append(list, Open{Direction: d, Peer: end})
		}
	}
	return list
}

// name remembers what a rule admits, for the check.
func (p *Proposal) name(u *Unit, d Direction, r *Rule) {
	for _, peer := range r.Units {
		p.named = append(p.named, namedRule{u, d, peer, nil, r.Ports})
	}
	if len(r.CIDRs) > 0 {
		p.named = append(p.named, namedRule{u, d, nil, r.CIDRs, r.Ports})
	}
}

// peer returns the other end, as seen from the end that a direction is of.
func (p *pair) peer(d Direction) *End {
	if d == Egress {
		return &p.Dst
	}
	return &p.Src
}

// An admitted is all that a peer needs.
type admitted struct {
	end    End
	ports  engine.PortSet
	behind Behind
}

// rulesOf returns the rules of pairs: one for each set of peers with the same ports.
func rulesOf(pairs []*pair, d Direction) []Rule {
	peers := map[endKey]*admitted{}
	for _, of := range pairs {
		end := of.peer(d)
		a := peers[end.key()]
		if a == nil {
			a = &admitted{end: *end}
			peers[end.key()] = a
		}
		a.ports = a.ports.Union(engine.NewPortSet(engine.PortRange{Protocol: of.Protocol, First: of.Port, Last: of.Port}))
		a.behind.Flows += of.records
		a.behind.Span.Join(of.Span)
	}
	rules := map[string]*Rule{}
	outside := map[string]*Behind{}
	for _, a := range peers {
		key := fmt.Sprint(a.ports)
		r := rules[key]
		if r == nil {
			r = &Rule{Ports: a.ports}
			rules[key] = r
		}
		if a.end.Unit != nil {
			a.behind.Unit = a.end.Unit
			r.Units, r.Behind = append(r.Units, a.end.Unit), append(r.Behind, a.behind)
			continue
		}
		r.CIDRs = append(r.CIDRs, a.end.CIDRs...)
		b := outside[key]
		if b == nil {
			b = new(Behind)
			outside[key] = b
		}
		b.Flows += a.behind.Flows
		b.Span.Join(a.behind.Span)
		if a.end.Node != "" && !slices.Contains(b.Nodes, a.end.Node) {
			b.Nodes = append(b.Nodes, a.end.Node)
		}
	}
	list := make([]Rule, 0, len(rules))
	for key, r := range rules {
		slices.SortFunc(r.Units, compareUnits)
		slices.SortFunc(r.Behind, func(a, b Behind) int { return compareUnits(a.Unit, b.Unit) })
		r.CIDRs = engine.JoinCIDRs(r.CIDRs)
		if b := outside[key]; b != nil {
			b.CIDRs = r.CIDRs
			slices.Sort(b.Nodes)
			r.Behind = append(r.Behind, *b)
		}
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b Rule) int {
		return cmp.Or(
			slices.CompareFunc(a.Units, b.Units, compareUnits), slices.CompareFunc(a.CIDRs, b.CIDRs, comparePrefixes),
			a.Ports.Compare(b.Ports),
		)
	})
	// Peers by labels come before mere addresses.
	slices.SortStableFunc(list, func(a, b Rule) int { return cmp.Compare(mereAddresses(&a), mereAddresses(&b)) })
	return list
}

func mereAddresses(r *Rule) int {
	if len(r.Units) == 0 {
		return 1
	}
	return 0
}

// compareUnits orders units by namespace, name and kind.
func compareUnits(a, b *Unit) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name(), b.Name()),
		cmp.Compare(a.Workload.Kind, b.Workload.Kind))
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// comparePairs orders pairs by their ends and port. Units come before addresses.
func comparePairs(a, b *pair) int {
	ends := func(a, b *End) int {
		switch {
		case a.Unit != nil && b.Unit != nil:
			return compareUnits(a.Unit, b.Unit)
		case a.Unit != nil:
			return -1
		case b.Unit != nil:
			return 1
		}
		return slices.CompareFunc(a.CIDRs, b.CIDRs, comparePrefixes)
	}
	return cmp.Or(ends(&a.Src, &b.Src), ends(&a.Dst, &b.Dst), cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.Port, b.Port))
}

// maxName is how long the name of a policy may be.
const maxName = 253

// freeName returns a name for the policy of a unit that nothing in its namespace has.
func (o *Observed) freeName(u *Unit, taken map[[2]string]bool) string {
	base := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, u.Name())
	const spare = len("netpold--99999")
	base = "netpold-" + strings.Trim(base[:min(len(base), maxName-spare)], "-")
	base = strings.TrimSuffix(base, "-")
	for n := 1; ; n++ {
		name := base
		if n > 1 {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		if _, there := o.snapshot.Policy(u.Namespace, name); !there && !taken[[2]string{u.Namespace, name}] {
			taken[[2]string{u.Namespace, name}] = true
			return name
		}
	}
}
