package propose

import (
	"net/netip"
	"slices"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
)

// A Check is what comes of laying a proposal over the snapshot.
type Check struct {
	// Denied are connections of the flows that are denied with the proposal, sorted.
	Denied []DeniedConnection
	// Broken are directions in which the proposal denies what today's policies allow. There must be none.
	Broken []Skip
	// Unnamed are connections that the proposal opens and that no rule's comment names. There must be none.
	Unnamed []Unnamed
	// OwnNode means that Pods may be opened to their own Node: no baseline policy denies that to a Pod that a
	// NetworkPolicy isolates, and to its own Node no NetworkPolicy does (S3, S44).
	OwnNode bool
	// Opened and Closed are ordered pairs of distinct Pods with a port that the proposal opens or closes.
	Opened, Closed uint64
}

// A DeniedConnection is denied with the proposal.
type DeniedConnection struct {
	Src, Dst End
	Port     uint16
	Protocol engine.Protocol
	Flows    uint64
	// Direction is the side that denies first.
	Direction Direction
	// By is the cluster-wide policy that denies, which no NetworkPolicy can change; nil for another reason.
	By *engine.ClusterPolicy
}

// Unnamed is a connection that is opened and not named.
type Unnamed struct {
	Src, Dst string
	Ports    engine.PortSet
}

// Check asks all connections of the flows with the proposal laid over the snapshot that it was made of, and
// compares both snapshots. The error is nil unless done was closed.
func (p *Proposal) Check(done <-chan struct{}, before, after *engine.Snapshot) (Check, error) {
	c := Check{OwnNode: p.isolatesEgress() && baselineDenies(before)}
	for _, of := range p.pairs {
		p.checkPair(&c, of, after)
	}
	diff, err := audit.NewDiff(done, before, after, &audit.DiffRequest{Nodes: true})
	if err != nil {
		return c, err //nolint:wrapcheck // it says what was given up
	}
	groups := diff.Groups()
	sets := map[uint32][]uint32{}
	summary, err := diff.Changes(done, func(item audit.DiffItem) bool {
		if item.Set != nil {
			sets[item.Set.ID] = item.Set.Groups
		}
		if item.Change != nil && item.Change.Kind == audit.Opened {
			p.checkOpened(&c, item.Change, groups, sets)
		}
		return true
	})
	c.Opened, c.Closed = summary.Opened, summary.Closed
	return c, err //nolint:wrapcheck // it says what was given up
}

// isolatesEgress reports whether some Pod gets isolated for egress that is not today.
func (p *Proposal) isolatesEgress() bool {
	return slices.ContainsFunc(p.Policies, func(policy Policy) bool {
		return policy.Isolates[Egress] && !policy.Today[Egress]
	})
}

// baselineDenies reports whether some baseline policy has a rule that denies egress.
func baselineDenies(s *engine.Snapshot) bool {
	return slices.ContainsFunc(s.ClusterPolicies(), func(policy *engine.ClusterPolicy) bool {
		return policy.Tier == engine.Baseline && slices.ContainsFunc(policy.Egress, func(r engine.ClusterRule) bool {
			return r.Action == engine.Deny
		})
	})
}

// checkPair asks the connections of a pair.
func (p *Proposal) checkPair(c *Check, of *pair, after *engine.Snapshot) {
	denied := false
	for _, part := range of.parts {
		d, err := after.Allowed(part.Query)
		if err == nil && d.Allowed {
			continue
		}
		if part.Before.Egress.Allowed && !d.Egress.Allowed {
			c.Broken = appendOnce(c.Broken, Skip{of.Src.Unit, Egress})
		}
		if part.Before.Ingress.Allowed && !d.Ingress.Allowed {
			c.Broken = appendOnce(c.Broken, Skip{of.Dst.Unit, Ingress})
		}
		if denied {
			continue
		}
		denied = true
		wrong := DeniedConnection{
			Src: of.Src, Dst: of.Dst, Port: of.Port, Protocol: of.Protocol, Flows: of.records, Direction: Ingress,
			By: d.Ingress.ClusterPolicy,
		}
		if !d.Egress.Allowed {
			wrong.Direction, wrong.By = Egress, d.Egress.ClusterPolicy
		}
		c.Denied = append(c.Denied, wrong)
	}
}

func appendOnce(list []Skip, s Skip) []Skip {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// checkOpened adds what a change opens and no rule names.
func (p *Proposal) checkOpened(c *Check, change *audit.Change, groups []audit.Group, sets map[uint32][]uint32) {
	sources, destinations := p.ends(change.Src, change.SrcCIDRs, groups, sets), p.ends(change.Dst, change.DstCIDRs, groups, sets)
	ports := engine.NewPortSet(change.Ports...)
	for i := range sources {
		for j := range destinations {
			if left := p.unnamed(&sources[i], &destinations[j], ports); len(left) > 0 {
				c.Unnamed = append(c.Unnamed, Unnamed{sources[i].text, destinations[j].text, left})
			}
		}
	}
}

// A changedEnd is an end of a change.
type changedEnd struct {
	unit *Unit
	// ips are the addresses of Pods, of which one is enough for a block; whole are those that blocks must have
	// all of.
	ips   []netip.Addr
	whole []netip.Prefix
	text  string
}

// ends returns the ends of a change.
func (p *Proposal) ends(
	list audit.GroupList, cidrs []netip.Prefix, groups []audit.Group, sets map[uint32][]uint32,
) (ends []changedEnd) {
	if len(cidrs) > 0 {
		return []changedEnd{{whole: cidrs, text: cidrs[0].String()}}
	}
	ids := slices.Clone(list.Groups)
	for _, set := range list.Sets {
		ids = append(ids, sets[set]...)
	}
	for _, id := range ids {
		g := &groups[id-1]
		if g.Kind == audit.PodGroup && len(g.Members) > 0 {
			if u := p.units(g.Namespace, g.Workload, g.Members[0].Name); u != nil {
				// Its addresses count too, as blocks may match Pods (S19).
				for i := range g.Members {
					ends = append(ends, changedEnd{unit: u, ips: g.Members[i].IPs, text: g.Namespace + "/" + g.Members[i].Name})
				}
				continue
			}
		}
		for i := range g.Members {
			end := changedEnd{text: g.Members[i].Name}
			if g.Kind == audit.NodeGroup {
				for _, ip := range g.Members[i].IPs {
					end.whole = append(end.whole, netip.PrefixFrom(ip, ip.BitLen()))
				}
			} else {
				end.ips = g.Members[i].IPs
			}
			ends = append(ends, end)
		}
	}
	return ends
}

// unnamed returns those of ports on which no rule names the connection.
func (p *Proposal) unnamed(src, dst *changedEnd, ports engine.PortSet) engine.PortSet {
	var blocks [directions][]namedRule
	for i := range p.named {
		r := &p.named[i]
		owner, peer := src, dst
		if r.direction == Ingress {
			owner, peer = dst, src
		}
		switch {
		case r.owner != owner.unit:
		case r.peer != nil && r.peer == peer.unit, len(r.cidrs) > 0 && peer.inAny(r.cidrs):
			ports = ports.Minus(r.ports)
		case len(r.cidrs) > 0:
			blocks[r.direction] = append(blocks[r.direction], *r)
		}
		if len(ports) == 0 {
			return nil
		}
	}
	for d, peer := range [directions]*changedEnd{dst, src} {
		ports = peer.minusBlocks(ports, blocks[d])
	}
	return ports
}

// inAny reports whether blocks match the end: all of its ranges, or one of its addresses.
func (e *changedEnd) inAny(cidrs []netip.Prefix) bool {
	if len(e.whole) > 0 {
		return !slices.ContainsFunc(e.whole, func(w netip.Prefix) bool {
			return !slices.ContainsFunc(cidrs, func(c netip.Prefix) bool {
				return c.Bits() <= w.Bits() && c.Contains(w.Addr())
			})
		})
	}
	return slices.ContainsFunc(e.ips, func(ip netip.Addr) bool {
		return slices.ContainsFunc(cidrs, func(c netip.Prefix) bool { return c.Contains(ip) })
	})
}

// minusBlocks returns ports without those on which several rules together name all ranges of the end.
func (e *changedEnd) minusBlocks(ports engine.PortSet, rules []namedRule) engine.PortSet {
	for _, r := range ports {
		only := engine.NewPortSet(r)
		var cidrs []netip.Prefix
		for i := range rules {
			if len(only.Minus(rules[i].ports)) == 0 {
				cidrs = append(cidrs, rules[i].cidrs...)
			}
		}
		if len(cidrs) > 0 && e.inAny(engine.JoinCIDRs(cidrs)) {
			ports = ports.Minus(only)
		}
	}
	return ports
}
