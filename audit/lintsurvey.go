package audit

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"github.com/netpold/netpold/engine"
)

// A survey is what a lint knows of a snapshot: the policies with what their parts match, and the ends of
// connections, those together that no rule tells apart.
type survey struct {
	snapshot *engine.Snapshot
	options  engine.Options
	// policies are the cluster-wide ones as they are asked, then NetworkPolicies by name.
	policies []*lintPolicy
	byObject map[any]*lintPolicy
	// ignored are the annotations of N2, by policy and Namespace.
	ignored map[engine.ObjectKey]string
	classes []*lintClass
	// ends are those of all Pods, Nodes and host-network Pods.
	ends   []*lintEnd
	groups map[engine.SelectorID]*lintGroup
	// owned are the addresses of Pods, Nodes and Services, sorted; podAddrs those of Pods that policies can
	// apply to.
	owned, podAddrs []netip.Addr
	// prefixes are all CIDRs and exceptions of blocks. Addresses with the same longest one are matched alike.
	prefixes bart.Table[netip.Prefix]
	// kinds has the ends by the longest prefix of one of their addresses.
	kinds  map[netip.Prefix]*addressKind
	stacks [2]map[string]*lintStack
	// found has the ends by what they are alike in.
	found map[endKey]*lintEnd
	tiers lintTiers
	pace  *lintPace
}

// A lintGroup is what a selector of a peer matches.
type lintGroup struct {
	classes []*lintClass
	// nodes are the ends of the Nodes, for peers `nodes`; nodeCount counts the Nodes.
	nodes     []*lintEnd
	nodeCount int
	// hosts counts the host-network Pods whose labels match.
	hosts int
}

// A lintClass is Pods that no policy tells apart except by their addresses.
type lintClass struct {
	engine.PodClass
	ends []*lintEnd
	// stacks are the rules of its sides, by direction; see [side].
	stacks [2]*lintStack
	// tiers are those of cluster-wide policies; see [lintTiers.stackOf].
	tiers [2]*tierStack
}

// compareLintClasses orders classes by namespace.
func compareLintClasses(a, b *lintClass) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ID, b.ID))
}

// side returns the index of a direction.
func side(d Direction) int { return int(d - Egress) }

// opposite returns the direction of the other side.
func opposite(d Direction) Direction { return Egress + Ingress - d }

// newSurvey reads the snapshot. It is not complete if the lint is abandoned.
func newSurvey(s *engine.Snapshot, pace *lintPace) *survey {
	v := &survey{
		snapshot: s, options: s.Options(), byObject: map[any]*lintPolicy{},
		ignored: map[engine.ObjectKey]string{}, groups: map[engine.SelectorID]*lintGroup{},
		kinds:  map[netip.Prefix]*addressKind{},
		stacks: [2]map[string]*lintStack{{}, {}},
		found:  map[endKey]*lintEnd{}, pace: pace,
	}
	for _, p := range s.ClusterPolicies() {
		v.addPolicy(newClusterPolicy(s, p))
	}
	for _, p := range s.Policies() {
		if pace.step() {
			return v
		}
		v.addPolicy(newNetworkPolicy(s, p))
	}
	for name, annotation := range s.LintIgnores() {
		v.ignored[engine.ObjectKey{Kind: engine.KindNamespace, Name: name}] = annotation
	}
	v.addClasses()
	v.addEnds()
	v.addTiers()
	slices.SortFunc(v.owned, netip.Addr.Compare)
	slices.SortFunc(v.podAddrs, netip.Addr.Compare)
	v.owned = slices.Compact(v.owned)
	return v
}

// addPolicy adds a policy.
func (v *survey) addPolicy(p *lintPolicy) {
	p.number = len(v.policies)
	v.policies = append(v.policies, p)
	v.byObject[p.object()] = p
	if p.ignored != "" {
		v.ignored[p.key] = p.ignored
	}
	for _, rules := range p.rules {
		for _, u := range rules {
			for _, b := range u.blocks {
				for _, x := range append([]netip.Prefix{b.CIDR}, b.Except...) {
					v.prefixes.Insert(x.Masked(), x.Masked())
				}
			}
			for _, id := range u.selectors {
				v.groups[id] = &lintGroup{}
			}
		}
	}
}

// addClasses adds the classes of Pods, and what selects them.
func (v *survey) addClasses() {
	for c := range v.snapshot.PodClasses() {
		if v.pace.step() {
			return
		}
		mine := &lintClass{PodClass: c}
		v.classes = append(v.classes, mine)
		for _, id := range c.Peers {
			if g := v.groups[id]; g != nil {
				g.classes = append(g.classes, mine)
			}
		}
	}
	slices.SortFunc(v.classes, compareLintClasses)
	for _, c := range v.classes {
		for _, p := range c.ClusterPolicies {
			v.byObject[p].classes = append(v.byObject[p].classes, c)
		}
		for _, p := range c.Policies {
			v.byObject[p].classes = append(v.byObject[p].classes, c)
		}
		for _, d := range []Direction{Egress, Ingress} {
			c.stacks[side(d)] = v.stackOf(c, d)
		}
	}
}

// addEnds adds the ends of connections.
func (v *survey) addEnds() {
	byID := map[uint32]*lintClass{}
	for _, c := range v.classes {
		byID[c.ID] = c
	}
	for n := range v.snapshot.NodeStates() {
		for _, id := range n.Peers {
			if g := v.groups[id]; g != nil {
				g.nodeCount++
			}
		}
		for _, ip := range n.IPs {
			v.addEnd(&lintEnd{groups: n.Peers, addrs: []netip.Addr{ip}, byIP: true})
		}
		v.owned = append(v.owned, n.IPs...)
	}
	for p := range v.snapshot.PodStates() {
		if v.pace.step() {
			return
		}
		v.owned = append(v.owned, p.IPs...)
		if p.HostNetwork {
			v.addHost(&p)
			continue
		}
		v.podAddrs = append(v.podAddrs, p.IPs...)
		c := byID[p.Class]
		e := v.addEnd(&lintEnd{class: c, groups: c.Peers, addrs: p.IPs})
		e.pods = append(e.pods, p)
	}
	for _, s := range v.snapshot.AllServices() {
		if !s.Headless && !s.ExternalName {
			v.owned = append(v.owned, s.IPs...)
		}
	}
}
