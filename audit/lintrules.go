package audit

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// none is the index of no entry.
const none = -1

// finding returns a finding about a policy as a whole.
func (p *lintPolicy) finding(c Code, message string, args ...any) Finding {
	return Finding{
		Code: c, Policy: p.key, Rule: none, Peer: none, Port: none, Message: fmt.Sprintf(message, args...),
	}
}

// finding returns a finding about a rule.
func (u *lintRule) finding(c Code, message string, args ...any) Finding {
	f := u.of.finding(c, message, args...)
	f.Direction, f.Rule = u.Direction, u.Index
	return f
}

// lintPolicy finds what is wrong with a policy, its rules and their entries.
func (l *linter) lintPolicy(p *lintPolicy) {
	subject := p.subjectText()
	if len(p.hosts) > 0 {
		slices.Sort(p.hosts)
		f := p.finding(SubjectHostNetwork, "selects %s, and no policy can apply to it: it matches %s on the host "+
			"network, %s for example", subject, counted(len(p.hosts), "Pod"), p.hosts[0])
		l.add(f, p.subjectContent())
	}
	l.lintIgnored(p)
	if len(p.classes) == 0 {
		l.add(p.finding(SelectsNothing, "selects %s: there is none", subject), p.subjectContent())
		return
	}
	if o := p.np; o != nil && o.TypesOmitted && len(o.Egress) > 0 && len(o.Ingress) == 0 {
		f := p.finding(IsolatesIngressByDefault, "has egress rules and no policyTypes, so that it denies all "+
			"ingress to the %s that it selects", counted(p.podCount(), "Pod"))
		f.Direction = Ingress
		l.add(f, p.subjectContent())
	}
	for _, rules := range p.rules {
		for _, u := range rules {
			l.lintRule(u)
		}
	}
}

// podCount counts the Pods that the policy selects.
func (p *lintPolicy) podCount() int {
	n := 0
	for _, c := range p.classes {
		for _, e := range c.ends {
			n += len(e.pods)
		}
	}
	return n
}

// subjectText says which Pods the policy selects.
func (p *lintPolicy) subjectText() string {
	if p.np != nil {
		return podWords(p.np.Subject) + " in namespace " + p.np.Namespace
	}
	s := &p.cluster.Subject
	return peerWords("", &engine.Peer{Namespaces: &s.Namespaces, Pods: &s.Pods})
}

// subjectContent returns the subject for fingerprints.
func (p *lintPolicy) subjectContent() string {
	if p.np != nil {
		return labelWords(p.np.Subject)
	}
	return fmt.Sprintf("%q %q", labelWords(p.cluster.Subject.Namespaces), labelWords(p.cluster.Subject.Pods))
}

// lintIgnored finds rules that S12 ignores.
func (l *linter) lintIgnored(p *lintPolicy) {
	if p.np == nil {
		return
	}
	for d, rules := range map[Direction][]engine.Rule{Egress: p.np.Egress, Ingress: p.np.Ingress} {
		if p.exists(d) || len(rules) == 0 {
			continue
		}
		f := p.finding(RulesIgnored, "has %s, but policyTypes does not list %s: they have no effect",
			counted(len(rules), d.String()+" rule"), map[Direction]string{Egress: "Egress", Ingress: "Ingress"}[d])
		f.Direction = d
		content := make([]string, len(rules))
		for i := range rules {
			content[i] = contentOfRule(&rules[i])
		}
		slices.Sort(content)
		l.add(f, content...)
	}
}

// lintRule finds what is wrong with a rule of a policy that selects a Pod.
func (l *linter) lintRule(u *lintRule) {
	content := contentOfRule(u.from)
	if u.Policy != nil && u.anyPeer && u.anyPort {
		from := "from every peer"
		if u.Direction == Egress {
			from = "to every peer"
		}
		l.add(u.finding(AllowsAll, "allows everything: %s, on every port", from), content)
	}
	deadPeers, deadPorts := l.deadPeers(u), l.deadPorts(u)
	switch {
	case len(u.entries) > 0 && !slices.Contains(deadPeers, alive):
		why := "its only peer matches nothing"
		if n := len(u.entries); n > 1 {
			why = fmt.Sprintf("none of its %d peers matches anything", n)
		}
		l.add(u.finding(RuleMatchesNothing, "matches nothing: %s", why), content)
	case len(u.from.Ports) > 0 && !slices.Contains(deadPorts, alive):
		l.add(u.finding(RuleMatchesNothing, "matches nothing: no Pod on the side of the destination has %s",
			oneOf(u.from.Ports)), content)
	default:
		l.lintDeadEntries(u, deadPeers, deadPorts)
	}
	for i, e := range u.entries {
		for _, b := range e.blocks {
			l.lintBlock(u, i, b)
		}
	}
	l.lintServicePorts(u)
}

// oneOf names the ports of a rule.
func oneOf(ports []engine.Port) string {
	if len(ports) == 1 {
		return "port " + portWords(&ports[0])
	}
	return fmt.Sprintf("any of its %d ports", len(ports))
}

// A death is the reason why an entry matches nothing.
type death uint8

const (
	alive death = iota
	// invalid: S23 or S45 put it out of force, which is told by itself.
	invalid
	// noPod, or no Node for a peer of Nodes.
	noPod
	hostNetworkOnly
	allExcepted
	noSuchName
)

// deadPeers returns for each peer of the object why it matches nothing.
func (l *linter) deadPeers(u *lintRule) []death {
	list := make([]death, len(u.entries))
	for i, e := range u.entries {
		switch {
		case e.names:
		case len(e.blocks) > 0:
			if !slices.ContainsFunc(e.blocks, func(b *engine.IPBlock) bool { return !isEmpty(b) }) {
				list[i] = allExcepted
			}
		case !e.hasSelector:
			list[i] = invalid
		default:
			g := l.groups[e.selector]
			switch {
			case len(g.classes) > 0 || g.nodeCount > 0 || len(g.nodes) > 0:
			case g.hosts > 0:
				list[i] = hostNetworkOnly
			default:
				list[i] = noPod
			}
		}
	}
	return list
}

// deadPorts returns for each port why it matches nothing.
func (l *linter) deadPorts(u *lintRule) []death {
	list := make([]death, len(u.from.Ports))
	for i := range u.from.Ports {
		switch p := &u.from.Ports[i]; {
		case isInvalidPort(p):
			list[i] = invalid
		case p.Name != "" && !l.hasPortName(u, p):
			list[i] = noSuchName
		}
	}
	return list
}

// hasPortName reports whether a Pod on the destination's side of the rule has a named port (S21, S43).
func (l *linter) hasPortName(u *lintRule, p *engine.Port) bool {
	has := func(c *lintClass) bool {
		return slices.ContainsFunc(c.Ports, p.Names)
	}
	if u.Direction == Ingress {
		return slices.ContainsFunc(u.of.classes, has)
	}
	if u.anyPeer {
		return slices.ContainsFunc(l.classes, has)
	}
	for _, id := range u.selectors {
		if slices.ContainsFunc(l.groups[id].classes, has) {
			return true
		}
	}
	if l.options.IPBlockIgnoresPods && u.Policy != nil {
		return false
	}
	for _, b := range u.blocks {
		if slices.ContainsFunc(l.matchedEnds(b), func(e *lintEnd) bool {
			return e.class != nil && has(e.class)
		}) {
			return true
		}
	}
	return false
}

// lintDeadEntries finds entries that match nothing, in a rule that matches something.
func (l *linter) lintDeadEntries(u *lintRule, peers, ports []death) {
	for i, why := range peers {
		e := &u.entries[i]
		var f Finding
		switch why {
		case noPod:
			f = u.finding(PeerMatchesNothing, "has a peer that matches nothing: there is not %s",
				peerWords(u.of.key.Namespace, &e.peers[0]))
		case allExcepted:
			f = u.finding(PeerMatchesNothing, "has a peer that matches nothing: all of %s is excepted",
				e.blocks[0].CIDR)
		case hostNetworkOnly:
			f = u.finding(PeerHostNetwork, "has a peer that matches nothing: %s is only on the host network, where "+
				"selectors do not see it", peerWords(u.of.key.Namespace, &e.peers[0]))
		case alive, invalid, noSuchName:
			continue
		}
		f.Peer = i
		l.add(f, contentOfPeers(e.peers)...)
	}
	for i, why := range ports {
		if why != noSuchName {
			continue
		}
		p := &u.from.Ports[i]
		where := "none of the Pods that its peers match has one"
		if u.Direction == Ingress {
			where = "none of the Pods that the policy selects has one"
		}
		f := u.finding(PortNameUnknown, "has a port that matches nothing: %s: %s", portWords(p), where)
		f.Port = i
		l.add(f, portWords(p))
	}
}

// addresses writes a number of addresses.
func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprint(n, " addresses")
}

// lintBlock finds an ipBlock of a NetworkPolicy that matches addresses of Pods (S19).
func (l *linter) lintBlock(u *lintRule, peer int, b *engine.IPBlock) {
	if u.Policy == nil || l.options.IPBlockIgnoresPods {
		return
	}
	n, example := 0, ""
	last := lastOf(b.CIDR)
	first := b.CIDR.Masked().Addr()
	for i, _ := slices.BinarySearchFunc(l.podAddrs, first, netip.Addr.Compare); i < len(l.podAddrs); i++ {
		if l.podAddrs[i].Compare(last) > 0 {
			break
		}
		if b.Contains(l.podAddrs[i]) {
			n++
			if example == "" {
				example = l.podAddrs[i].String()
			}
		}
	}
	if n == 0 {
		return
	}
	f := u.finding(IPBlockCoversPods, "has an ipBlock, %s, with %s of Pods in it, %s for example: network plugins "+
		"differ in whether it matches them", b.CIDR, addresses(n), example)
	f.Peer = peer
	if b.CIDR.Bits() == 0 {
		f.Severity = SeverityInfo
	}
	l.add(f, contentOfPeer(&u.from.Peers[peer]))
}
