package audit_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/audit/audittest"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// TestListAgainstOracle expands lists of random clusters with a reader of the contract, which checks L2 to L6,
// and asks the naive oracle about every pair of ends, at ports and addresses on the borders of rules (L1, A2,
// A3).
func TestListAgainstOracle(t *testing.T) {
	groups, seeds := 10, 200
	if testing.Short() {
		groups, seeds = 4, 10
	}
	for g := range groups {
		t.Run(fmt.Sprint(g), func(t *testing.T) {
			t.Parallel()
			for i := range seeds {
				if broken := checkList(uint64(g*seeds + i)); broken != "" {
					t.Fatal(broken)
				}
			}
		})
	}
}

// A listCheck checks the list of one random cluster.
type listCheck struct {
	rand    *rand.Rand
	oracle  *enginetest.Oracle
	request audit.ListRequest
	// src and dst are the filters of the request, and labelled the Pod that one of them names.
	src, dst *filter
	labelled *engine.LabelledPod
	reading  *audittest.Reading
	// ends has what the members of groups are, by group and member; a Node's addresses count as members.
	ends  map[uint32][]enginetest.ListedEnd
	ports []audit.PortRange // of one port each
	addrs []netip.Addr
}

// checkList checks the list of a seed, and returns what is wrong with it.
func checkList(seed uint64) string {
	r := enginetest.NewRandom(seed)
	if seed%2 == 0 {
		r.WithTiers()
	}
	options := engine.Options{IPBlockIgnoresPods: seed%4 == 3, IgnorePolicies: seed%31 == 30}
	objects := r.Cluster()
	var changes []engine.Change
	for _, o := range objects {
		changes = append(changes, engine.Change{Object: enginetest.Clone(o)})
	}
	snapshot := engine.NewCluster(options).Apply(changes...)
	c := &listCheck{
		rand: rand.New(rand.NewPCG(seed, 1)), oracle: &enginetest.Oracle{Objects: objects, Options: options},
		request: audit.ListRequest{Nodes: seed%3 == 1, Policies: seed%5 < 2, Exposure: seed%7 < 2,
			Services: seed%11 < 5},
	}
	c.src, c.dst = &filter{all: true}, &filter{all: true}
	c.ports, c.addrs = enginetest.Borders(objects)
	if seed%3 == 2 {
		c.src, c.dst = c.randomFilter(r), c.randomFilter(r)
		c.request.Src, c.request.Dst = c.src.ends, c.dst.ends
		if c.rand.IntN(2) == 0 {
			c.request.Ports = []audit.PortRange{c.somePorts(1)[0], {Protocol: engine.UDP, First: 1, Last: 8080}}
		}
	}
	l, err := audit.NewList(nil, snapshot, &c.request)
	if err != nil {
		return fmt.Sprintf("seed %d: %v", seed, err)
	}
	var items []audit.Item
	summary, err := l.Connections(nil, func(i audit.Item) bool {
		items = append(items, i)
		return true
	})
	if err != nil {
		return fmt.Sprintf("seed %d: %v", seed, err)
	}
	c.reading = audittest.Read(l.Groups(), items, c.request.Policies)
	broken := c.reading.Broken
	broken = append(broken, c.members()...)
	if len(broken) == 0 {
		broken = append(c.pairs(), c.outside()...)
		broken = append(broken, c.folding()...)
		broken = append(broken, c.exposure(r, seed%2 == 0)...)
		broken = append(broken, c.services(&summary)...)
		broken = append(broken, c.summary(summary)...)
	}
	if len(broken) > 0 {
		broken = broken[:min(len(broken), 5)]
		return fmt.Sprintf("seed %d %+v %+v:\n%q\n%s", seed, options, c.request, broken,
			enginetest.BatchesText([][]engine.Change{changes}))
	}
	return ""
}

// members checks that every Pod, and every address of a Node if they are listed, is in one group, with what
// the contract tells of it.
func (c *listCheck) members() (broken []string) {
	pods := map[string]*engine.Pod{}
	for _, o := range c.oracle.Objects {
		if p, ok := o.(*engine.Pod); ok && !p.Finished {
			if e := (enginetest.ListedEnd{Pod: p}); c.selects(c.src, e) || c.selects(c.dst, e) {
				pods[p.Namespace+"/"+p.Name] = p
			}
		}
	}
	nodes := c.oracle.NodeAddresses()
	if anyNode := (enginetest.ListedEnd{}); !c.request.Nodes ||
		!c.selects(c.src, anyNode) && !c.selects(c.dst, anyNode) {
		clear(nodes)
	}
	c.ends = map[uint32][]enginetest.ListedEnd{}
	for _, g := range c.reading.Groups {
		if g.Kind == audit.HypotheticalGroup && g.Namespace == c.labelled.Namespace && len(g.Members) == 1 {
			c.ends[g.ID] = append(c.ends[g.ID], enginetest.ListedEnd{Labels: c.labelled})
			continue
		}
		for _, m := range g.Members {
			if g.Kind == audit.NodeGroup {
				for _, ip := range m.IPs {
					if nodes[ip] != m.Name {
						broken = append(broken, fmt.Sprintf("%v is no address of Node %q, or twice", ip, m.Name))
					}
					delete(nodes, ip)
					c.ends[g.ID] = append(c.ends[g.ID], enginetest.ListedEnd{Node: ip})
				}
				continue
			}
			p := pods[g.Namespace+"/"+m.Name]
			if p == nil {
				broken = append(broken, fmt.Sprintf("%s/%s is no Pod, or twice", g.Namespace, m.Name))
				continue
			}
			delete(pods, g.Namespace+"/"+m.Name)
			e := enginetest.ListedEnd{Pod: p}
			c.ends[g.ID] = append(c.ends[g.ID], e)
			var outermost engine.Workload
			if n := len(p.Workloads); n > 0 {
				outermost = p.Workloads[n-1]
			}
			ips := slices.Clone(m.IPs)
			slices.SortFunc(ips, netip.Addr.Compare)
			kind := audit.PodGroup
			if p.HostNetwork {
				kind = audit.HostNetworkGroup
			}
			if g.Workload != outermost || g.Kind != kind || m.Node != p.Node ||
				!slices.Equal(ips, c.oracle.Addresses(e)) {
				broken = append(broken, fmt.Sprintf("group %+v, Pod %s", g, enginetest.Text(p)))
			}
		}
	}
	if len(pods)+len(nodes) > 0 {
		broken = append(broken, fmt.Sprintf("in no group: %v %v", pods, nodes))
	}
	return broken
}

// somePorts returns a few of the ports.
func (c *listCheck) somePorts(n int) []audit.PortRange {
	list := make([]audit.PortRange, n)
	for i := range list {
		list[i] = c.ports[c.rand.IntN(len(c.ports))]
	}
	return list
}

// pairs checks L1 between members of groups.
func (c *listCheck) pairs() (broken []string) {
	for _, a := range c.reading.Groups {
		for _, b := range c.reading.Groups {
			for _, src := range c.ends[a.ID] {
				for _, dst := range c.ends[b.ID] {
					for _, p := range c.somePorts(3) {
						if text := c.pair(a, b, src, dst, p); text != "" {
							broken = append(broken, text)
						}
					}
				}
			}
		}
	}
	return broken
}

// pair checks one pair on one port.
func (c *listCheck) pair(a, b audit.Group, src, dst enginetest.ListedEnd, p audit.PortRange) string {
	found := c.reading.Between(a.ID, b.ID, p.Protocol, p.First)
	inPodNetwork := func(g audit.Group) bool {
		return g.Kind == audit.PodGroup || g.Kind == audit.HypotheticalGroup
	}
	if a.Kind == audit.NodeGroup && !inPodNetwork(b) || b.Kind == audit.NodeGroup && !inPodNetwork(a) ||
		!c.selects(c.src, src) || !c.selects(c.dst, dst) || !c.listsPort(p) {
		if len(found) > 0 {
			return fmt.Sprintf("groups %d and %d are not listed together", a.ID, b.ID)
		}
		return ""
	}
	want := c.oracle.PolicyVerdict(src, dst, p.First, p.Protocol)
	switch {
	case len(found) > 1 || want.Allowed != (len(found) == 1):
		return fmt.Sprintf("L1: group %d to %d, %v: %d connections, allowed %v",
			a.ID, b.ID, p, len(found), want.Allowed)
	case !want.Allowed:
		return ""
	case found[0].Families != want.Families:
		return fmt.Sprintf("A3: group %d to %d, %v: families %d, want %d",
			a.ID, b.ID, p, found[0].Families, want.Families)
	}
	return c.rules(found[0], want)
}

// rules checks the rules of a connection.
func (c *listCheck) rules(o *audittest.Opened, want engine.Decision) string {
	if !c.request.Policies {
		return ""
	}
	got := fmt.Sprint(ruleText(o.EgressBy), ruleText(o.IngressBy))
	side := func(s engine.Side, d audit.Direction) string {
		if s.Policy == nil && s.ClusterPolicy == nil {
			return ruleText(audit.Rule{})
		}
		return ruleText(audit.Rule{Policy: s.Policy, ClusterPolicy: s.ClusterPolicy, Direction: d, Index: s.Rule})
	}
	if wanted := fmt.Sprint(side(want.Egress, audit.Egress), side(want.Ingress, audit.Ingress)); got != wanted {
		return fmt.Sprintf("%+v: by %s, want %s", *o.Connection, got, wanted)
	}
	return ""
}

// ruleText names a rule.
func ruleText(r audit.Rule) string {
	switch {
	case r.Policy != nil:
		return fmt.Sprint(engine.KeyOf(r.Policy), r.Direction, r.Index)
	case r.ClusterPolicy != nil:
		return fmt.Sprint(engine.KeyOf(r.ClusterPolicy), r.Direction, r.Index)
	}
	return fmt.Sprint(r)
}

// outside checks L1 between groups and addresses outside the cluster.
func (c *listCheck) outside() (broken []string) {
	for _, g := range c.reading.Groups {
		for range 12 {
			ip := c.addrs[c.rand.IntN(len(c.addrs))]
			family := engine.IPv6
			if ip.Is4() {
				family = engine.IPv4
			}
			hasFamily := g.Kind != audit.NodeGroup && (g.Families == 0 || g.Families&family != 0)
			for _, p := range c.somePorts(2) {
				for _, toOutside := range []bool{true, false} {
					found := c.reading.Outside(g.ID, toOutside, ip, p.Protocol, p.First)
					group, outer := c.src, c.dst
					if !toOutside {
						group, outer = c.dst, c.src
					}
					if !hasFamily || !c.listsPort(p) || !c.selects(group, c.ends[g.ID][0]) || !outer.selectsOutside(ip) {
						if len(found) > 0 {
							broken = append(broken, fmt.Sprintf("group %d and %v are not listed together", g.ID, ip))
						}
						continue
					}
					src, dst := c.ends[g.ID][0], enginetest.ListedEnd{Outside: ip}
					if !toOutside {
						src, dst = dst, src
					}
					want := c.oracle.PolicyVerdict(src, dst, p.First, p.Protocol)
					if len(found) > 1 || want.Allowed != (len(found) == 1) {
						broken = append(broken, fmt.Sprintf("L1: group %d, to outside %v: %v %v: %d connections, allowed %v",
							g.ID, toOutside, ip, p, len(found), want.Allowed))
					} else if want.Allowed {
						if text := c.rules(found[0], want); text != "" {
							broken = append(broken, text)
						}
					}
				}
			}
		}
	}
	return broken
}

// folding checks L4, and that groups of one workload are apart only if a policy tells them apart.
func (c *listCheck) folding() (broken []string) {
	c.reading.CheckFolded(func(g *audit.Group) string {
		text := c.oracle.Treatment(c.ends[g.ID][0], true)
		if c.request.Nodes { // connections with Nodes tell host-network Pods apart
			text += fmt.Sprint(g.Kind)
		}
		return text
	}, func(g *audit.Group) bool { return c.selects(c.src, c.ends[g.ID][0]) })
	whole := map[string]uint32{}
	workloads := map[string]int{}
	for _, g := range c.reading.Groups {
		if g.Workload != (engine.Workload{}) {
			workloads[fmt.Sprint(g.Namespace, "/", g.Workload)]++
		}
		e := c.ends[g.ID][0]
		key := fmt.Sprint(g.Kind, g.Namespace, g.Workload, c.oracle.Treatment(e, true),
			c.oracle.Treatment(e, false), c.selects(c.src, e), c.selects(c.dst, e))
		if g.Workload == (engine.Workload{}) {
			key += g.Members[0].Name
		}
		if other := whole[key]; other != 0 {
			broken = append(broken, fmt.Sprintf("groups %d and %d are told apart by no policy", other, g.ID))
		}
		whole[key] = g.ID
	}
	for _, g := range c.reading.Groups {
		if g.Partial != (workloads[fmt.Sprint(g.Namespace, "/", g.Workload)] > 1) {
			broken = append(broken, fmt.Sprintf("group %d: partial %v", g.ID, g.Partial))
		}
	}
	return append(broken, c.reading.Broken...)
}

// exposure asks about Pods that are not there, and checks E1 and E2. Rules that deny by port name are beyond
// what an exposure can say, so that with tiers these Pods name no ports.
func (c *listCheck) exposure(r *enginetest.Random, tiers bool) (broken []string) {
	if !c.request.Exposure {
		return nil
	}
	for _, g := range c.reading.Groups {
		for range 20 {
			p := r.LabelledPod()
			if tiers {
				p.Ports = nil
			}
			for _, port := range c.somePorts(3) {
				for _, d := range []audit.Direction{audit.Egress, audit.Ingress} {
					src, dst := c.ends[g.ID][0], enginetest.ListedEnd{Labels: p}
					if d == audit.Ingress {
						src, dst = dst, src
					}
					want := c.oracle.PolicyVerdict(src, dst, port.First, port.Protocol)
					allowed := want.Egress.Allowed
					if d == audit.Ingress {
						allowed = want.Ingress.Allowed
					}
					found := c.reading.Admits(
						g.ID, d, p, c.oracle.NamespaceLabels(p.Namespace), port.Protocol, port.First,
					)
					side := c.src
					if d == audit.Ingress {
						side = c.dst
					}
					listed := (g.Kind == audit.PodGroup || g.Kind == audit.HypotheticalGroup) &&
						c.selects(side, c.ends[g.ID][0]) && c.listsPort(port)
					named := slices.ContainsFunc(found, func(e *audit.Exposure) bool { return len(e.Named) > 0 })
					if named && !c.listsPort(port) {
						continue // a name is listed, whatever number it has
					}
					if len(found) > 0 && !listed || listed && allowed != (len(found) > 0) {
						broken = append(broken, fmt.Sprintf("E1, E2: group %d, direction %d, %s, %v: %d exposures, allowed %v",
							g.ID, d, enginetest.Text(p), port, len(found), allowed))
					}
				}
			}
		}
	}
	return broken
}

// services checks the connections to Services, and how many Services cannot be asked, which it takes out of
// the summary.
func (c *listCheck) services(s *audit.ListSummary) (broken []string) {
	if !c.request.Services {
		return nil
	}
	listed := map[string]bool{}
	for _, o := range c.reading.Connections {
		for _, p := range o.DstServices {
			for _, id := range o.Src {
				key := fmt.Sprint(id, p)
				if listed[key] {
					broken = append(broken, key+" is listed twice")
				}
				listed[key] = true
			}
		}
	}
	for _, object := range c.oracle.Objects {
		o, ok := object.(*engine.Service)
		if !ok {
			continue
		}
		askable := false
		for _, p := range o.Ports {
			for _, g := range c.reading.Groups {
				if c.ends[g.ID][0].Pod == nil {
					continue
				}
				want, err := c.oracle.ServiceVerdict(c.ends[g.ID][0].Pod, o, p.Port, p.Protocol)
				askable = askable || err == nil
				key := fmt.Sprint(g.ID, audit.ServicePort{
					Namespace: o.Namespace, Name: o.Name, Protocol: p.Protocol, Port: p.Port,
				})
				meant := c.selects(c.src, c.ends[g.ID][0]) && c.selects(c.dst, enginetest.ListedEnd{}) &&
					c.listsPort(audit.PortRange{Protocol: p.Protocol, First: p.Port})
				if listed[key] != (err == nil && want.Allowed && meant) {
					broken = append(broken, fmt.Sprintf("%s: listed %v, allowed %v %v",
						key, listed[key], want.Allowed, err))
				}
			}
		}
		if !askable && c.selects(c.dst, enginetest.ListedEnd{}) {
			s.UnaskableServices--
		}
	}
	if !slices.ContainsFunc(c.reading.Groups, func(g audit.Group) bool { return c.ends[g.ID][0].Pod != nil }) {
		s.UnaskableServices = 0 // nobody was there to ask
	}
	return broken
}

// summary checks the counts.
func (c *listCheck) summary(s audit.ListSummary) (broken []string) {
	var allowed, total uint64
	for _, a := range c.reading.Groups {
		for _, b := range c.reading.Groups {
			if c.ends[a.ID][0].Pod == nil || c.ends[b.ID][0].Pod == nil ||
				!c.selects(c.src, c.ends[a.ID][0]) || !c.selects(c.dst, c.ends[b.ID][0]) {
				continue
			}
			n := uint64(len(a.Members) * len(b.Members))
			if a.ID == b.ID {
				n -= uint64(len(a.Members))
			}
			total += n
			if slices.ContainsFunc(c.reading.Connections, func(o audittest.Opened) bool {
				return slices.Contains(o.Src, a.ID) && slices.Contains(o.Dst, b.ID)
			}) {
				allowed += n
			}
		}
	}
	want := audit.ListSummary{
		Groups: len(c.reading.Groups), Connections: uint64(len(c.reading.Connections)),
		PairsAllowed: allowed, PairsTotal: total,
	}
	if s != want {
		broken = append(broken, fmt.Sprintf("summary %+v, want %+v", s, want))
	}
	return broken
}
