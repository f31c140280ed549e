package enginetest

import (
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// What follows are the options that only network plugins need, not the API.

// allowsJoined reports whether a policy for both directions that selects both ends allows the connection by a
// rule of the other direction ([engine.Options.JoinDirections]).
func (o *Oracle) allowsJoined(c connection, subject, peer party, egress bool) bool {
	if !o.Options.JoinDirections || !subject.subject || !peer.subject || o.policiesAlone {
		return false
	}
	return slices.ContainsFunc(objectsOf[*engine.Policy](o), func(p *engine.Policy) bool {
		rules := p.Egress
		if egress {
			rules = p.Ingress
		}
		selects := func(e party) bool { return p.Namespace == e.namespace && matchSelector(p.Subject, e.labels) }
		return p.IsolatesEgress && p.IsolatesIngress && selects(subject) && selects(peer) &&
			slices.ContainsFunc(rules, func(r engine.Rule) bool {
				return o.matchRule(r, p.Namespace, c, subject)
			})
	})
}

// matchSharedPeers reports whether the peers of a rule match e if their blocks are one set
// ([engine.Options.ShareBlocks]): of all cidrs and excepts that contain an address the longest decides, and of
// equal ones the last.
func (o *Oracle) matchSharedPeers(peers []engine.Peer, namespace string, e party) bool {
	var cidrs, excepts []netip.Prefix // of blocks that count
	last := map[netip.Prefix]bool{}   // whether it was last a cidr
	for _, x := range peers {
		if x.Block == nil {
			if o.matchPeer(x, namespace, e) {
				return true
			}
			continue
		}
		invalid := func(p netip.Prefix) bool { return !p.IsValid() }
		if x.Nodes != nil || x.Pods != nil || x.Namespaces != nil || // S23
			invalid(x.Block.CIDR) || slices.ContainsFunc(x.Block.Except, invalid) {
			continue
		}
		cidrs = append(cidrs, x.Block.CIDR.Masked())
		last[x.Block.CIDR.Masked()] = true
		for _, p := range x.Block.Except {
			excepts = append(excepts, p.Masked())
			last[p.Masked()] = false
		}
	}
	if o.Options.IPBlockIgnoresPods && e.inCluster { // S19
		return false
	}
	return slices.ContainsFunc(e.addrs, func(a netip.Addr) bool {
		longest, matches := -1, false
		for _, p := range slices.Concat(cidrs, excepts) {
			if p.Contains(a) && p.Bits() > longest {
				longest, matches = p.Bits(), last[p]
			}
		}
		return matches
	})
}
