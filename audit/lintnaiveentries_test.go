package audit_test

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// entries finds peers and ports that match nothing, and rules that consist of such.
func (n *naiveLint) entries(u *naiveRule) {
	if u.policy.np != nil && len(u.rule.Peers) == 0 && len(u.rule.Ports) == 0 {
		n.add(audit.AllowsAll, audit.SeverityInfo, u.policy, u.direction, u.index, -1, -1)
	}
	peers := n.deadPeers(u)
	var ports []audit.Code
	for i := range u.rule.Ports {
		ports = append(ports, n.deadPort(u, &u.rule.Ports[i]))
	}
	if len(peers) > 0 && !slices.Contains(peers, "") || len(ports) > 0 && !slices.Contains(ports, "") {
		u.warn(n, audit.RuleMatchesNothing, -1, -1)
		return
	}
	for i, c := range peers {
		if c != "" && c != audit.InvalidEntryCode {
			u.warn(n, c, i, -1)
		}
	}
	for i, c := range ports {
		if c != "" && c != audit.InvalidEntryCode {
			u.warn(n, c, -1, i)
		}
	}
}

// deadPeers returns for each peer of the object the code of why it matches nothing, or "".
func (n *naiveLint) deadPeers(u *naiveRule) (codes []audit.Code) {
	origins := u.origins
	if origins == nil {
		for range u.rule.Peers {
			origins = append(origins, engine.PeerOrigin{Peers: 1})
		}
	}
	rest := u.rule.Peers
	for _, o := range origins {
		peers := rest[:o.Peers]
		rest = rest[o.Peers:]
		code := audit.InvalidEntryCode
		for i := range peers {
			switch {
			case len(o.Names) > 0:
				code = "" // domain names match nothing, which is told elsewhere (S40)
			case isNaiveBlock(&peers[i]) && len(blockBorders(peers[i].Block)) > 0:
				code = ""
			case isNaiveBlock(&peers[i]) && code != "":
				code = audit.PeerMatchesNothing
			case isNaiveSelector(&peers[i]):
				code = n.deadSelector(u, &peers[i])
			}
		}
		codes = append(codes, code)
	}
	return codes
}

// isNaiveBlock reports whether a peer is a block that is valid (S23).
func isNaiveBlock(p *engine.Peer) bool {
	return p.Block != nil && p.Namespaces == nil && p.Pods == nil && p.Nodes == nil && p.Block.CIDR.IsValid() &&
		!slices.ContainsFunc(p.Block.Except, func(x netip.Prefix) bool { return !x.IsValid() })
}

// isNaiveSelector reports whether a peer is one by labels, of Pods or of Nodes (S16, S37, S38).
func isNaiveSelector(p *engine.Peer) bool {
	return p.Block == nil && (p.Nodes != nil) != (p.Namespaces != nil || p.Pods != nil)
}

// inNaiveBlock reports whether a block contains an address (S19).
func inNaiveBlock(b *engine.IPBlock, a netip.Addr) bool {
	return b.CIDR.Contains(a) &&
		!slices.ContainsFunc(b.Except, func(x netip.Prefix) bool { return x.Contains(a) })
}

// blockBorders returns addresses of a valid block: some of each stretch between its exceptions. A block that
// has any address has one of these.
func blockBorders(b *engine.IPBlock) (list []netip.Addr) {
	for _, x := range append([]netip.Prefix{b.CIDR}, b.Except...) {
		for _, a := range []netip.Addr{x.Masked().Addr(), lastAddr(x), lastAddr(x).Next(), x.Masked().Addr().Prev()} {
			if a.IsValid() && inNaiveBlock(b, a) {
				list = append(list, a)
			}
		}
	}
	return list
}

// podsOfPeer returns those of some Pods whose labels a selector peer of a rule matches (S16, S37).
func (n *naiveLint) podsOfPeer(u *naiveRule, p *engine.Peer, pods []*engine.Pod) (list []*engine.Pod) {
	for _, pod := range pods {
		inNamespace := p.Namespaces != nil && enginetest.Matches(*p.Namespaces, n.oracle.NamespaceLabels(pod.Namespace)) ||
			p.Namespaces == nil && (u.policy.np == nil || pod.Namespace == u.policy.np.Namespace)
		if inNamespace && (p.Pods == nil || enginetest.Matches(*p.Pods, pod.Labels)) {
			list = append(list, pod)
		}
	}
	return list
}

// deadSelector returns the code of why a selector peer matches nothing, or "".
func (n *naiveLint) deadSelector(u *naiveRule, p *engine.Peer) audit.Code {
	if p.Nodes == nil {
		switch {
		case len(n.podsOfPeer(u, p, n.running(false))) > 0:
			return ""
		case len(n.podsOfPeer(u, p, n.running(true))) > 0:
			return audit.PeerHostNetwork
		}
		return audit.PeerMatchesNothing
	}
	labels := map[string]map[string]string{} // of Nodes, also of those that are known by their Pods alone (S5, S38)
	for _, pod := range slices.Concat(n.running(false), n.running(true)) {
		if pod.Node != "" && (pod.HostNetwork || len(pod.HostIPs) > 0) {
			labels[pod.Node] = nil
		}
	}
	for _, o := range n.objects {
		if node, ok := o.(*engine.Node); ok {
			labels[node.Name] = node.Labels
		}
	}
	for _, of := range labels {
		if enginetest.Matches(*p.Nodes, of) {
			return ""
		}
	}
	return audit.PeerMatchesNothing
}

// deadPort returns the code of why a port of a rule matches nothing, or "".
func (n *naiveLint) deadPort(u *naiveRule, p *engine.Port) audit.Code {
	if p.Name == "" {
		if p.First == 0 || p.First > p.Last {
			return audit.InvalidEntryCode
		}
		return ""
	}
	pods := u.policy.selected
	if u.direction == audit.Egress {
		pods = n.matchedPods(u)
	}
	for _, pod := range pods {
		for _, own := range pod.Ports {
			if own.Name == p.Name && (p.AnyProtocol || own.Protocol == p.Protocol) {
				return ""
			}
		}
	}
	return audit.PortNameUnknown
}

// matchedPods returns the Pods that the peers of a rule match; all for a rule without peers (S15).
func (n *naiveLint) matchedPods(u *naiveRule) (list []*engine.Pod) {
	pods := n.running(false)
	if len(u.rule.Peers) == 0 {
		return pods
	}
	for i := range u.rule.Peers {
		p := &u.rule.Peers[i]
		switch {
		case isNaiveBlock(p) && (u.policy.np == nil || !n.oracle.Options.IPBlockIgnoresPods):
			for _, pod := range pods {
				if slices.ContainsFunc(n.addresses(pod), func(a netip.Addr) bool { return inNaiveBlock(p.Block, a) }) {
					list = append(list, pod)
				}
			}
		case isNaiveSelector(p) && p.Nodes == nil:
			list = append(list, n.podsOfPeer(u, p, pods)...)
		}
	}
	return list
}

// addresses returns the addresses of a Pod that count (S7).
func (n *naiveLint) addresses(p *engine.Pod) []netip.Addr {
	return n.oracle.Addresses(enginetest.ListedEnd{Pod: p})
}

// blocks finds ipBlocks of NetworkPolicies that match addresses of Pods.
func (n *naiveLint) blocks(u *naiveRule) {
	for i := range u.rule.Peers {
		p := &u.rule.Peers[i]
		if u.policy.np == nil || !isNaiveBlock(p) || n.oracle.Options.IPBlockIgnoresPods {
			continue
		}
		severity := audit.SeverityWarning
		if strings.HasSuffix(p.Block.CIDR.String(), "/0") {
			severity = audit.SeverityInfo
		}
		for _, pod := range n.running(false) {
			for _, a := range n.addresses(pod) {
				if inNaiveBlock(p.Block, a) {
					n.add(audit.IPBlockCoversPods, severity, u.policy, u.direction, u.index, i, -1)
				}
			}
		}
	}
}
