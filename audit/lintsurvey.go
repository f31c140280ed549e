package audit

import (
	"cmp"
	"fmt"
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
}

// A lintEnd is Pods of one class, or Nodes, whose addresses all blocks match alike.
type lintEnd struct {
	class  *lintClass // nil if no policy can apply
	groups []engine.SelectorID
	// addrs are those of one of them. byIP reports whether it is asked by its address alone, as a Node is.
	addrs []netip.Addr
	byIP  bool
	pods  []engine.PodState
}

// An addressKind is the ends with an address that the same blocks match.
type addressKind struct {
	addr netip.Addr
	ends []*lintEnd
}

// side returns the index of a direction.
func side(d Direction) int { return int(d - Egress) }

// newSurvey reads the snapshot.
func newSurvey(s *engine.Snapshot) *survey {
	v := &survey{
		snapshot: s, options: s.Options(), byObject: map[any]*lintPolicy{},
		ignored: map[engine.ObjectKey]string{}, groups: map[engine.SelectorID]*lintGroup{},
		kinds:  map[netip.Prefix]*addressKind{},
		stacks: [2]map[string]*lintStack{{}, {}},
	}
	for _, p := range s.ClusterPolicies() {
		v.addPolicy(newClusterPolicy(s, p))
	}
	for _, p := range s.Policies() {
		v.addPolicy(newNetworkPolicy(s, p))
	}
	for name, annotation := range s.LintIgnores() {
		v.ignored[engine.ObjectKey{Kind: engine.KindNamespace, Name: name}] = annotation
	}
	v.addClasses()
	v.addEnds()
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
		mine := &lintClass{PodClass: c}
		v.classes = append(v.classes, mine)
		for _, id := range c.Peers {
			if g := v.groups[id]; g != nil {
				g.classes = append(g.classes, mine)
			}
		}
	}
	slices.SortFunc(v.classes, func(a, b *lintClass) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ID, b.ID))
	})
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
	found := map[string]*lintEnd{}
	for n := range v.snapshot.NodeStates() {
		for _, id := range n.Peers {
			if g := v.groups[id]; g != nil {
				g.nodeCount++
			}
		}
		for _, ip := range n.IPs {
			v.addEnd(found, &lintEnd{groups: n.Peers, addrs: []netip.Addr{ip}, byIP: true})
		}
		v.owned = append(v.owned, n.IPs...)
	}
	for p := range v.snapshot.PodStates() {
		v.owned = append(v.owned, p.IPs...)
		if p.HostNetwork {
			v.addHost(found, &p)
			continue
		}
		v.podAddrs = append(v.podAddrs, p.IPs...)
		c := byID[p.Class]
		e := v.addEnd(found, &lintEnd{class: c, groups: c.Peers, addrs: p.IPs})
		e.pods = append(e.pods, p)
	}
	for _, s := range v.snapshot.AllServices() {
		if !s.Headless && !s.ExternalName {
			v.owned = append(v.owned, s.IPs...)
		}
	}
}

// addHost adds a host-network Pod: as an end by name and by address, and to the groups that its labels match.
func (v *survey) addHost(found map[string]*lintEnd, p *engine.PodState) {
	v.addEnd(found, &lintEnd{groups: p.NodePeers, addrs: p.IPs})
	for _, ip := range p.IPs {
		v.addEnd(found, &lintEnd{groups: p.NodePeers, addrs: []netip.Addr{ip}, byIP: true})
	}
	by := v.snapshot.SelectionByLabels(p.Namespace, p.Name)
	for _, id := range by.Peers {
		if g := v.groups[id]; g != nil {
			g.hosts++
		}
	}
	for _, o := range by.ClusterPolicies {
		v.byObject[o].hosts = append(v.byObject[o].hosts, p.Namespace+"/"+p.Name)
	}
	for _, o := range by.Policies {
		v.byObject[o].hosts = append(v.byObject[o].hosts, p.Namespace+"/"+p.Name)
	}
}

// addEnd returns the end that is treated as e is, which it adds if there is none.
func (v *survey) addEnd(found map[string]*lintEnd, e *lintEnd) *lintEnd {
	key := fmt.Sprint(e.byIP, e.groups)
	if e.class != nil {
		key = fmt.Sprint(e.class.ID)
	}
	kinds := make([]string, len(e.addrs))
	prefixes := make([]netip.Prefix, len(e.addrs))
	for i, a := range e.addrs {
		prefixes[i], _ = v.prefixes.Lookup(a)
		kinds[i] = "4" + prefixes[i].String()
		if a.Is6() {
			kinds[i] = "6" + prefixes[i].String()
		}
	}
	slices.Sort(kinds)
	key += fmt.Sprint(slices.Compact(kinds))
	if old := found[key]; old != nil {
		return old
	}
	found[key] = e
	v.ends = append(v.ends, e)
	for i, p := range prefixes {
		if !p.IsValid() {
			continue
		}
		if v.kinds[p] == nil {
			v.kinds[p] = &addressKind{addr: e.addrs[i]}
		}
		if k := v.kinds[p]; !slices.Contains(k.ends, e) {
			k.ends = append(k.ends, e)
		}
	}
	if e.class != nil {
		e.class.ends = append(e.class.ends, e)
	} else {
		for _, id := range e.groups {
			if g := v.groups[id]; g != nil {
				g.nodes = append(g.nodes, e)
			}
		}
	}
	return e
}

// ports returns the named ports of an end.
func (e *lintEnd) ports() []engine.NamedPort {
	if e.class == nil {
		return nil
	}
	return e.class.Ports
}

// matchedEnds returns the ends that a block matches. What S19 hides it does not leave out.
func (v *survey) matchedEnds(b *engine.IPBlock) []*lintEnd {
	var list []*lintEnd
	for _, k := range v.kinds {
		if b.Contains(k.addr) {
			list = append(list, k.ends...)
		}
	}
	return list
}
