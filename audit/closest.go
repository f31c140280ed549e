package audit

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// maxClosest is how many rules are called closest to a denial.
const maxClosest = 5

// Missing is the half of a rule that does not match.
type Missing uint8

// The halves.
const (
	// MissingNothing is that of a rule that denies.
	MissingNothing Missing = iota
	// MissingPort: a peer matches, and no port does.
	MissingPort
	// MissingPeer: a port matches, and no peer does.
	MissingPeer
)

// Closest is a rule that one change would make allow a denying side, or the rule that denies (X3).
type Closest struct {
	// Rule has the side as its direction.
	Rule
	// Denies reports whether the rule denies. Then nothing else is set.
	Denies  bool
	Missing Missing
	// Peer is the index of the peer that Labels are for, or of the ipBlock that comes nearest to CIDR.
	Peer int
	// Exactly one of these makes this side allow. The other side may still deny.
	Port   *PortRange
	Labels *LabelFix
	CIDR   netip.Prefix
	// OtherDenies reports whether the other side denies once this is made.
	OtherDenies bool
}

// changes returns how many things the fix changes.
func (c *Closest) changes() int {
	switch {
	case c.Denies:
		return 0
	case c.Labels != nil:
		return c.Labels.changes()
	}
	return 1
}

// ClosestRules returns the rules that come closest to allowing what the pair of an explanation is denied:
// those that deny, and then those with one half that matches and one that a single change repairs. Fewest
// changes come first, then rules in order of the policies' names and of their index.
func ClosestRules(s *engine.Snapshot, e *engine.Explanation) []Closest {
	var list []Closest
	for _, d := range []Direction{Egress, Ingress} {
		if side := sideOf(e, d); !side.Allowed {
			list = append(list, closestOf(&asked{snapshot: s, e: e, direction: d, side: side})...)
		}
	}
	slices.SortStableFunc(list, func(a, b Closest) int {
		return cmp.Or(cmp.Compare(a.changes(), b.changes()), compareRules(&a.Rule, &b.Rule))
	})
	list = list[:min(len(list), maxClosest)]
	for i := range list {
		if c := &list[i]; !c.Denies {
			a := asked{snapshot: s, e: e, direction: c.Direction}
			c.OtherDenies = a.deniesWith(c)
		}
	}
	return list
}

// compareRules orders rules by the names of their policies, then by index.
func compareRules(a, b *Rule) int {
	if a.Policy == nil || b.Policy == nil {
		return 0
	}
	return cmp.Or(cmp.Compare(a.Policy.Name, b.Policy.Name), cmp.Compare(a.Policy.Namespace, b.Policy.Namespace),
		cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Index, b.Index))
}

// An asked is a side of an explanation, and what its rules are asked about.
type asked struct {
	snapshot  *engine.Snapshot
	e         *engine.Explanation
	direction Direction
	side      *engine.SideExplanation
	// values are those that mentioned returns; nil before it is called.
	values map[string][]string
}

func sideOf(e *engine.Explanation, d Direction) *engine.SideExplanation {
	if d == Egress {
		return &e.Egress
	}
	return &e.Ingress
}

// ends returns the end that the side's policies select, and the peer.
func (a *asked) ends() (subject, peer *engine.ExplainedEnd) {
	if a.direction == Egress {
		return &a.e.Src, &a.e.Dst
	}
	return &a.e.Dst, &a.e.Src
}

// closestOf returns the closest rules of a side that denies.
func closestOf(a *asked) []Closest {
	list := make([]Closest, 0, maxClosest+1)
	least := 0 // of list, with the fewest changes that there are
	for i := range a.side.Tiers {
		t := &a.side.Tiers[i]
		if !t.Decided {
			continue
		}
		for j := range t.Policies {
			p := &t.Policies[j]
			for k := range p.Rules {
				r := &p.Rules[k]
				list = append(list, Closest{Rule: Rule{
					Policy: p.Policy, ClusterPolicy: p.ClusterPolicy, Direction: a.direction, Index: r.Index,
				}})
				switch c := &list[len(list)-1]; {
				case t.Tier == engine.NetworkPolicies && a.fix(c, p.Policy, r):
					if c.changes() == 1 {
						least++
					}
					if least == maxClosest { // policies are in order of name
						return list
					}
				case r.Decided:
					c.Denies = true
				default:
					list = list[:len(list)-1]
				}
			}
		}
	}
	return list
}

// fix adds what repairs a rule of a NetworkPolicy to c, and reports whether anything does.
func (a *asked) fix(c *Closest, p *engine.Policy, r *engine.RuleExplanation) bool {
	switch {
	case r.PeerMatched && !r.PortMatched:
		c.Missing, c.Port = MissingPort, &PortRange{
			Protocol: a.e.Protocol, First: a.e.Port, Last: a.e.Port,
		}
		return true
	case r.PortMatched && !r.PeerMatched:
		c.Missing = MissingPeer
		return a.fixLabels(c, p, r) || a.fixCIDR(c, r)
	}
	return false
}

// fixCIDR adds the one address of the peer that counts.
func (a *asked) fixCIDR(c *Closest, r *engine.RuleExplanation) bool {
	_, end := a.ends()
	if end.Kind != engine.ResolvedExternal && a.snapshot.Options().IPBlockIgnoresPods {
		return false
	}
	for _, ip := range end.IPs {
		if a.e.Family == engine.IPv4 != ip.Is4() || a.e.Family == 0 {
			continue
		}
		c.CIDR = netip.PrefixFrom(ip, ip.BitLen())
		nearest := engine.MissNone
		for i := range r.Peers {
			if x := &r.Peers[i]; isBlock(x) && x.Why > nearest {
				c.Peer, nearest = x.Index, x.Why
			}
		}
		return true
	}
	return false
}

// isBlock reports whether a peer is an ipBlock alone.
func isBlock(x *engine.PeerExplanation) bool {
	return len(x.Peers) == 1 && x.Peers[0].Block != nil && x.Why != engine.MissInvalid
}
