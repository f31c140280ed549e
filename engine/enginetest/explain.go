package enginetest

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// DiffExplanation returns how an explanation of q differs from what the rules say, read aloud entry by entry;
// empty if it does not. The pair is taken from the explanation itself: other tests prove which one it is.
func (o *Oracle) DiffExplanation(q Question, e *engine.Explanation) string {
	src, dst := o.explained(q.Src, &e.Src), o.explained(q.Dst, &e.Dst)
	c := connection{
		src: src.inFamily(e.Family), dst: dst.inFamily(e.Family), port: e.Port, protocol: e.Protocol,
		viaService: e.Service != nil && !e.Service.Headless,
	}
	var d differences
	d.explainedSide("Egress", o, &e.Egress, e.Decision.Egress, c, true)
	d.explainedSide("Ingress", o, &e.Ingress, e.Decision.Ingress, c, false)
	return d.text()
}

// explained returns the party that an end of an explanation is.
func (o *Oracle) explained(asked Endpoint, end *engine.ExplainedEnd) party {
	for _, p := range o.running() {
		if p.Namespace == end.Namespace && p.Name == end.Name {
			e := o.podParty(p)
			if asked.IP.IsValid() || end.Service != nil && !p.HostNetwork {
				e.addrs = end.IPs
			}
			return e
		}
	}
	if asked.Labels != nil {
		g, _ := o.resolve(asked, false)
		return g.parties[0]
	}
	return o.partyAt(end.IPs[0])
}

// explainedSide adds how the explanation of a side differs.
func (d *differences) explainedSide(
	name string, o *Oracle, e *engine.SideExplanation, side engine.Side, c connection, egress bool,
) {
	subject, peer := c.dst, c.src
	if egress {
		subject, peer = c.src, c.dst
	}
	d.note(name+".Applies", e.Applies, subject.subject)
	d.note(name+".Allowed", e.Allowed, side.Allowed)
	if !e.Applies {
		d.note(name+".Tiers", len(e.Tiers), 0)
		return
	}
	exempt := o.exempt(c, egress) != notExempt || o.exempt(c, !egress) != notExempt
	want := engine.NotExempt
	switch {
	case exempt && isSelf(c) && c.viaService:
		want = engine.ExemptHairpin
	case exempt && isSelf(c):
		want = engine.ExemptSelf
	case exempt:
		want = engine.ExemptLocalNode
	}
	d.note(name+".Exempt", e.Exempt, want)
	for i, tier := range []engine.Tier{engine.Admin, engine.NetworkPolicies, engine.Baseline} {
		d.note(name+".Tier", e.Tiers[i].Tier, tier)
		d.explainedTier(fmt.Sprint(name, ".", tier), o, &e.Tiers[i], side, c, subject, peer, egress)
	}
}

// explainedTier adds how the explanation of a tier differs.
func (d *differences) explainedTier(
	name string, o *Oracle, e *engine.TierExplanation, side engine.Side, c connection,
	subject, peer party, egress bool,
) {
	d.note(name+".Decided", e.Decided, side.Tier == e.Tier)
	policies := o.explainedPolicies(e.Tier, subject, egress)
	d.note(name+".Policies", len(e.Policies), len(policies))
	if len(e.Policies) != len(policies) {
		return
	}
	verdict, spoken := engine.Pass, false
	if e.Tier == engine.NetworkPolicies {
		verdict = engine.Deny
	}
	for i, p := range policies {
		var text string
		var rules []engine.ClusterRule
		switch p := p.(type) {
		case *engine.Policy:
			text, rules = p.Namespace+"/"+p.Name, policyRules(p, egress)
			d.note(name, policyText(e.Policies[i].Policy), policyText(p))
		case *engine.ClusterPolicy:
			text, rules = p.Name, p.Ingress
			if egress {
				rules = p.Egress
			}
			got := e.Policies[i].ClusterPolicy
			if got == nil || got.Kind != p.Kind || got.Name != p.Name {
				d.note(name, got, p)
			}
		}
		d.note(name+" "+text+".Rules", len(e.Policies[i].Rules), len(rules))
		for j := range min(len(rules), len(e.Policies[i].Rules)) {
			got := &e.Policies[i].Rules[j]
			d.note(fmt.Sprint(name, text, j, ".Reached"), got.Reached,
				e.Tier == engine.NetworkPolicies || !spoken)
			matched := d.explainedRule(fmt.Sprint(name, text, j), o, got, p, rules[j], c, peer)
			if matched && !spoken {
				verdict, spoken = rules[j].Action, true
			}
			decides := side.Tier == e.Tier && side.Rule == j &&
				(side.Policy != nil && side.Policy == e.Policies[i].Policy ||
					side.ClusterPolicy != nil && side.ClusterPolicy == e.Policies[i].ClusterPolicy)
			d.note(fmt.Sprint(name, text, j, ".Decided"), got.Decided, decides)
		}
	}
	if e.Tier == engine.NetworkPolicies && o.exempt(c, egress) == exemptInTier {
		verdict = engine.Allow // S44
	}
	if o.Options.JoinDirections && side.Tier == e.Tier && side.Allowed {
		verdict = engine.Allow
	}
	if len(policies) > 0 {
		d.note(name+".Verdict", e.Verdict, verdict)
	}
}

// policyRules returns the rules of a NetworkPolicy for a direction, in the shape of cluster-wide ones.
func policyRules(p *engine.Policy, egress bool) []engine.ClusterRule {
	rules := p.Ingress
	if egress {
		rules = p.Egress
	}
	list := make([]engine.ClusterRule, len(rules))
	for i := range rules {
		list[i] = engine.ClusterRule{Action: engine.Allow, Rule: rules[i]}
	}
	return list
}

// explainedPolicies returns the policies of a tier that select subject and have a say for the direction, in
// the order in which they count (S10, S12, S32, S34, S36).
func (o *Oracle) explainedPolicies(tier engine.Tier, subject party, egress bool) []engine.Object {
	var list []engine.Object
	if o.Options.IgnorePolicies {
		return nil
	}
	if tier == engine.NetworkPolicies {
		for _, p := range sorted[*engine.Policy](o, func(p *engine.Policy) string { return p.Name }) {
			isolates := egress && p.IsolatesEgress || !egress && p.IsolatesIngress
			if isolates && p.Namespace == subject.namespace && matchSelector(p.Subject, subject.labels) {
				list = append(list, p)
			}
		}
		return list
	}
	policies := objectsOf[*engine.ClusterPolicy](o)
	slices.SortFunc(policies, before)
	for _, p := range policies {
		says := egress && len(p.Egress) > 0 || !egress && len(p.Ingress) > 0
		if p.Tier == tier && says &&
			matchSelector(p.Subject.Namespaces, o.namespaceLabels(subject.namespace)) &&
			matchSelector(p.Subject.Pods, subject.labels) {
			list = append(list, p)
		}
	}
	return list
}

// explainedRule adds how the explanation of a rule differs, and reports whether the rule matches.
func (d *differences) explainedRule(
	name string, o *Oracle, e *engine.RuleExplanation, of engine.Object, r engine.ClusterRule, c connection,
	peer party,
) bool {
	d.note(name+".Action", e.Action, r.Action)
	d.note(name+".Name", e.Name, r.Name)
	d.note(name+".AnyPeer", e.AnyPeer, len(r.Peers) == 0)
	d.note(name+".AnyPort", e.AnyPort, len(r.Ports) == 0)
	origins := r.Origins
	if origins == nil {
		for range r.Peers {
			origins = append(origins, engine.PeerOrigin{Peers: 1})
		}
	}
	peerMatched, first := len(r.Peers) == 0, 0
	d.note(name+".Peers", len(e.Peers), len(origins))
	for i, origin := range origins {
		var why engine.Miss // of the peer that gets furthest
		matched := false
		for _, x := range r.Peers[first : first+origin.Peers] {
			miss := o.missOfPeer(x, of, peer)
			matched, why = matched || miss == engine.MissNone, max(why, miss)
		}
		first += origin.Peers
		if matched {
			why = engine.MissNone
		} else if len(origin.Names) > 0 {
			why = engine.MissNamesNotResolved // S40
		}
		peerMatched = peerMatched || matched
		got := e.Peers[i]
		d.note(fmt.Sprint(name, ".Peers ", i), [3]any{got.Index, got.Matched, got.Why}, [3]any{i, matched, why})
	}
	portMatched := len(r.Ports) == 0
	d.note(name+".Ports", len(e.Ports), len(r.Ports))
	for i, x := range r.Ports {
		why := missOfPort(x, c)
		portMatched = portMatched || why == engine.MissNone
		got := e.Ports[i]
		d.note(fmt.Sprint(name, ".Ports ", i), [3]any{got.Index, got.Matched, got.Why},
			[3]any{i, why == engine.MissNone, why})
	}
	d.note(name+".PeerMatched", e.PeerMatched, peerMatched)
	d.note(name+".PortMatched", e.PortMatched, portMatched)
	d.note(name+".Matched", e.Matched, peerMatched && portMatched)
	return peerMatched && portMatched
}

// missOfPeer returns the first reason why the peer x of a policy does not match e, and MissNone if it does.
func (o *Oracle) missOfPeer(x engine.Peer, of engine.Object, e party) engine.Miss {
	p, ofNetworkPolicy := of.(*engine.Policy)
	byPods := x.Namespaces != nil || x.Pods != nil
	switch {
	case x.Block != nil && (x.Nodes != nil || byPods), x.Nodes != nil && (byPods || ofNetworkPolicy),
		x.Block == nil && x.Nodes == nil && !byPods, // S23, S45
		x.Block != nil && (!x.Block.CIDR.IsValid() || slices.ContainsFunc(x.Block.Except,
			func(p netip.Prefix) bool { return !p.IsValid() })):
		return engine.MissInvalid
	case x.Block != nil:
		return o.missOfBlock(x.Block, ofNetworkPolicy, e)
	case x.Nodes != nil && (!e.isNode || e.node == ""): // S38
		return engine.MissNotANode
	case x.Nodes != nil && !matchSelector(*x.Nodes, o.nodeLabels(e.node)):
		return engine.MissNodeLabels
	case x.Nodes != nil:
		return engine.MissNone
	case !e.subject: // S4, S5, S37
		return engine.MissNotAPod
	case x.Namespaces == nil && ofNetworkPolicy && e.namespace != p.Namespace, // S16
		x.Namespaces != nil && !matchSelector(*x.Namespaces, o.namespaceLabels(e.namespace)):
		return engine.MissNamespace
	case x.Pods != nil && !matchSelector(*x.Pods, e.labels):
		return engine.MissPodLabels
	}
	return engine.MissNone
}

// missOfBlock returns why a valid block does not match e: for several addresses, the furthest that one gets
// (S19, S39).
func (o *Oracle) missOfBlock(b *engine.IPBlock, ofNetworkPolicy bool, e party) engine.Miss {
	inside := slices.ContainsFunc(e.addrs, b.CIDR.Contains)
	matches := slices.ContainsFunc(e.addrs, func(a netip.Addr) bool { return matchBlock(*b, a) })
	switch {
	case ofNetworkPolicy && o.Options.IPBlockIgnoresPods && e.inCluster:
		return engine.MissInCluster
	case len(e.addrs) == 0:
		return engine.MissNoAddress
	case matches:
		return engine.MissNone
	case inside:
		return engine.MissExcepted
	}
	return engine.MissOutsideCIDR
}

// missOfPort returns the first reason why a port does not match, and MissNone if it does.
func missOfPort(p engine.Port, c connection) engine.Miss {
	if p.Name == "" {
		switch {
		case p.First > p.Last, p.Last == 0: // S23
			return engine.MissInvalid
		case p.Protocol != c.protocol:
			return engine.MissProtocol
		case c.port < p.First, c.port > p.Last:
			return engine.MissNumber
		}
		return engine.MissNone
	}
	if !p.AnyProtocol && p.Protocol != c.protocol {
		return engine.MissProtocol
	}
	why := engine.MissNoSuchName
	for _, n := range c.dst.ports { // a party that is no Pod has none
		switch {
		case n.Name != p.Name, !p.AnyProtocol && n.Protocol != p.Protocol:
		case n.Port == c.port && n.Protocol == c.protocol:
			return engine.MissNone
		default:
			why = engine.MissNameIsOther
		}
	}
	return why
}
