package audit_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/audit/audittest"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// TestDiffAgainstOracle reads differences of random clusters, changed at random, by the contract, and asks
// the naive oracle about every pair of ends in both states, at ports and addresses on the borders of rules
// (D1, D2, A2, A3).
func TestDiffAgainstOracle(t *testing.T) {
	groups, seeds := 10, 150
	if testing.Short() || enginetest.UnderRace {
		groups, seeds = 4, 12
	}
	for g := range groups {
		t.Run(fmt.Sprint(g), func(t *testing.T) {
			t.Parallel()
			for i := range seeds {
				if broken := checkDiff(uint64(g*seeds+i), audit.MatchPods); broken != "" {
					t.Fatal(broken)
				}
			}
		})
	}
}

// TestDiffOfWorkloads does the same of whole workloads, which may have several Pods that policies tell apart
// (D2).
func TestDiffOfWorkloads(t *testing.T) {
	seeds := 400
	if testing.Short() || enginetest.UnderRace {
		seeds = 30
	}
	for i := range seeds {
		if broken := checkDiff(uint64(1_000_000+i), audit.MatchWorkloads); broken != "" {
			t.Fatal(broken)
		}
	}
}

// A diffCheck checks the difference of one random pair of clusters.
type diffCheck struct {
	rand    *rand.Rand
	request audit.DiffRequest
	// states are the checks of both clusters, before and after: their oracles, ports, addresses and filters.
	states  [2]*listCheck
	reading *audittest.Reading
	// ends has the members of each group; a Node's addresses are one each.
	ends  map[uint32][]diffMember
	ports []audit.PortRange
	addrs []netip.Addr
}

// A diffMember is an end in both states: one, or the Pods of a workload by name; none in a state that has it
// not.
type diffMember [2][]enginetest.ListedEnd

// A diffVerdict is what a state says of two ends.
type diffVerdict struct {
	allowed  bool
	families engine.Families
	rules    string
}

// checkDiff checks the difference of a seed, and returns what is wrong with it.
func checkDiff(seed uint64, match audit.Match) string {
	r := enginetest.NewRandom(seed)
	if seed%2 == 0 {
		r.WithTiers()
	}
	options := engine.Options{IPBlockIgnoresPods: seed%4 == 3, IgnorePolicies: seed%31 == 30}
	state := enginetest.State{}
	for _, o := range r.Cluster() {
		state[engine.KeyOf(o)] = o
	}
	c := &diffCheck{rand: rand.New(rand.NewPCG(seed, 2))}
	c.request = audit.DiffRequest{Nodes: seed%3 == 1, Policies: seed%5 < 2, Match: match}
	before := engine.NewCluster(options).Apply(puts(state)...)
	c.states[0] = newDiffState(state, options, seed)
	var changes []engine.Change
	for range 1 + c.rand.IntN(3) {
		batch := r.Churn(state)
		changes = append(changes, batch...)
		state.Apply(batch)
	}
	after := before.With(cloned(changes))
	if seed%4 == 1 { // not related
		after = engine.NewCluster(options).Apply(puts(state)...)
	}
	c.states[1] = newDiffState(state, options, seed)
	c.ports, c.addrs = enginetest.Borders(slices.Concat(c.states[0].oracle.Objects, c.states[1].oracle.Objects))
	if seed%3 == 2 {
		c.filter(r)
	}
	d, err := audit.NewDiff(nil, before, after, &c.request)
	if err != nil {
		return fmt.Sprintf("seed %d: %v", seed, err)
	}
	items, summary := allChanges(d)
	c.reading = audittest.ReadDiff(d.Groups(), items, c.request.Policies)
	broken := append(c.reading.Broken, c.members()...)
	if len(broken) == 0 {
		broken = append(c.pairs(), c.outside()...)
		broken = append(broken, c.folding()...)
		broken = append(broken, c.summary(summary)...)
	}
	if len(broken) > 0 {
		return fmt.Sprintf("seed %d %+v %+v:\n%q\n%s", seed, options, c.request, broken[:min(len(broken), 5)],
			enginetest.BatchesText([][]engine.Change{puts(stateOf(c.states[0])), changes}))
	}
	return ""
}

// puts returns the changes that make a state.
func puts(s enginetest.State) []engine.Change {
	var list []engine.Change
	for _, o := range s.Objects() {
		list = append(list, engine.Change{Object: enginetest.Clone(o)})
	}
	return list
}

// stateOf returns the objects of a check.
func stateOf(c *listCheck) enginetest.State {
	s := enginetest.State{}
	for _, o := range c.oracle.Objects {
		s[engine.KeyOf(o)] = o
	}
	return s
}

// cloned returns changes with copies of their objects.
func cloned(changes []engine.Change) []engine.Change {
	list := slices.Clone(changes)
	for i := range list {
		list[i].Object = enginetest.Clone(list[i].Object)
	}
	return list
}

// newDiffState returns the check of one state. It copies the objects.
func newDiffState(s enginetest.State, options engine.Options, seed uint64) *listCheck {
	var objects []engine.Object
	for _, o := range s.Objects() {
		objects = append(objects, enginetest.Clone(o))
	}
	c := &listCheck{
		rand: rand.New(rand.NewPCG(seed, 3)), oracle: &enginetest.Oracle{Objects: objects, Options: options},
		src: &filter{all: true}, dst: &filter{all: true},
	}
	c.ports, c.addrs = enginetest.Borders(objects)
	return c
}

// filter makes filters of what one of the states has.
func (c *diffCheck) filter(r *enginetest.Random) {
	of := c.states[c.rand.IntN(2)]
	src, dst := of.randomFilter(r), of.randomFilter(r)
	c.request.Src, c.request.Dst = src.ends, dst.ends
	if c.rand.IntN(2) == 0 {
		c.request.Ports = []audit.PortRange{c.somePorts(1)[0], {Protocol: engine.UDP, First: 1, Last: 8080}}
	}
	for _, s := range c.states {
		s.src, s.dst, s.labelled, s.request.Ports = src, dst, of.labelled, c.request.Ports
	}
}

// somePorts returns a few of the ports.
func (c *diffCheck) somePorts(n int) []audit.PortRange {
	list := make([]audit.PortRange, n)
	for i := range list {
		list[i] = c.ports[c.rand.IntN(len(c.ports))]
	}
	return list
}

// allChanges takes a whole difference.
func allChanges(d *audit.Diff) (items []audit.DiffItem, summary audit.DiffSummary) {
	summary, err := d.Changes(nil, func(i audit.DiffItem) bool {
		items = append(items, i)
		return true
	})
	if err != nil {
		panic(err)
	}
	return items, summary
}

// selects reports whether the request selects an end in either state.
func (c *diffCheck) selects(src bool, m diffMember) bool {
	for i, s := range c.states {
		f := s.dst
		if src {
			f = s.src
		}
		if slices.ContainsFunc(m[i], func(e enginetest.ListedEnd) bool { return s.selects(f, e) }) {
			return true
		}
	}
	return false
}

// pods returns the ends that the Pods of both states are, by name: Pods that have not finished, or workloads
// of such.
func (c *diffCheck) pods() map[string]*diffMember {
	pods := map[string]*diffMember{}
	for i, s := range c.states {
		for _, o := range s.oracle.Objects { // by name
			if p, ok := o.(*engine.Pod); ok && !p.Finished {
				name := c.endName(p.Namespace, p.Name, outermost(p))
				if pods[name] == nil {
					pods[name] = &diffMember{}
				}
				pods[name][i] = append(pods[name][i], enginetest.ListedEnd{Pod: p})
			}
		}
	}
	return pods
}

// endName returns the name of the end that a Pod is, or is a part of.
func (c *diffCheck) endName(namespace, pod string, w engine.Workload) string {
	if c.request.Match == audit.MatchWorkloads && w != (engine.Workload{}) {
		return fmt.Sprint(namespace, "/", w)
	}
	return namespace + "/" + pod
}

// outermost returns the outermost workload of a Pod; zero for none.
func outermost(p *engine.Pod) engine.Workload {
	if n := len(p.Workloads); n > 0 {
		return p.Workloads[n-1]
	}
	return engine.Workload{}
}

// members checks that every end that the request selects is in one group, with its presence.
func (c *diffCheck) members() (broken []string) {
	type nodeAddress struct {
		node string
		ip   netip.Addr
	}
	pods, nodes := c.pods(), map[nodeAddress]*diffMember{}
	for name, m := range pods {
		if !c.selects(true, *m) && !c.selects(false, *m) {
			delete(pods, name)
		}
	}
	if anyNode := (enginetest.ListedEnd{}); c.request.Nodes &&
		(c.states[0].selects(c.states[0].src, anyNode) || c.states[0].selects(c.states[0].dst, anyNode)) {
		for i, s := range c.states {
			for ip, name := range s.oracle.NodeAddresses() {
				key := nodeAddress{name, ip}
				if nodes[key] == nil {
					nodes[key] = &diffMember{}
				}
				nodes[key][i] = []enginetest.ListedEnd{{Node: ip}}
			}
		}
	}
	c.ends = map[uint32][]diffMember{}
	for _, g := range c.reading.Groups {
		if g.Kind == audit.HypotheticalGroup {
			e := []enginetest.ListedEnd{{Labels: c.states[0].labelled}}
			c.ends[g.ID] = append(c.ends[g.ID], diffMember{e, e})
		}
		for _, m := range g.Members {
			switch g.Kind {
			case audit.HypotheticalGroup: // has no name
			case audit.NodeGroup:
				for _, ip := range m.IPs {
					key := nodeAddress{m.Name, ip}
					if nodes[key] == nil {
						broken = append(broken, fmt.Sprintf("%v is no address of Node %q, or twice", ip, m.Name))
						continue
					}
					c.ends[g.ID] = append(c.ends[g.ID], *nodes[key])
					delete(nodes, key)
				}
			case audit.PodGroup, audit.HostNetworkGroup:
				name := c.endName(g.Namespace, m.Name, g.Workload)
				if c.request.Match == audit.MatchWorkloads && len(c.ends[g.ID]) > 0 {
					broken = append(broken, c.checkMember(&g, &m, c.ends[g.ID][0])...)
					continue
				}
				if pods[name] == nil {
					broken = append(broken, fmt.Sprintf("%s is no Pod, or twice", name))
					continue
				}
				c.ends[g.ID] = append(c.ends[g.ID], *pods[name])
				broken = append(broken, c.checkMember(&g, &m, *pods[name])...)
				delete(pods, name)
			}
		}
		for _, m := range c.ends[g.ID] {
			if want := presenceOf(m); g.Presence != want {
				broken = append(broken, fmt.Sprintf("D2: group %d: presence %d, want %d", g.ID, g.Presence, want))
			}
		}
	}
	if len(pods)+len(nodes) > 0 {
		broken = append(broken, fmt.Sprintf("in no group: %v %v", pods, nodes))
	}
	return broken
}

// presenceOf returns in which states an end is.
func presenceOf(m diffMember) audit.Presence {
	switch {
	case len(m[0]) == 0:
		return audit.PresentAfter
	case len(m[1]) == 0:
		return audit.PresentBefore
	}
	return audit.PresentInBoth
}

// checkMember checks what a group says of a Pod: what is true of it after or, if its end is gone, before.
func (c *diffCheck) checkMember(g *audit.Group, m *audit.Member, end diffMember) (broken []string) {
	shown, s := end[1], c.states[1]
	if len(shown) == 0 {
		shown, s = end[0], c.states[0]
	}
	at := slices.IndexFunc(shown, func(e enginetest.ListedEnd) bool { return e.Pod.Name == m.Name })
	if at < 0 || c.request.Match == audit.MatchWorkloads && len(g.Members) != len(shown) {
		return []string{fmt.Sprintf("group %+v: members, want %v", *g, shown)}
	}
	p, ips := shown[at].Pod, slices.Clone(m.IPs)
	slices.SortFunc(ips, netip.Addr.Compare)
	kind := audit.HostNetworkGroup
	if slices.ContainsFunc(shown, func(e enginetest.ListedEnd) bool { return !e.Pod.HostNetwork }) {
		kind = audit.PodGroup
	}
	if g.Workload != outermost(p) || g.Kind != kind || m.Node != p.Node ||
		!slices.Equal(ips, s.oracle.Addresses(shown[at])) {
		broken = append(broken, fmt.Sprintf("group %+v, Pod %s", *g, enginetest.Text(p)))
	}
	return broken
}

// verdict returns what a state says of two ends on a port: what it says of all pairs, or denied if it has one
// of them not.
func (c *diffCheck) verdict(i int, src, dst []enginetest.ListedEnd, p audit.PortRange) diffVerdict {
	var all diffVerdict
	for n, a := range src {
		for m, b := range dst {
			v := c.pairVerdict(i, a, b, p)
			if !v.allowed {
				return diffVerdict{}
			}
			if n == 0 && m == 0 {
				all = v
			}
			all.families &= v.families
		}
	}
	return all
}

// pairVerdict returns what a state says of two ends on a port: denied if it lists them not.
func (c *diffCheck) pairVerdict(i int, src, dst enginetest.ListedEnd, p audit.PortRange) diffVerdict {
	inPodNetwork := func(e enginetest.ListedEnd) bool {
		return e.Labels != nil || e.Pod != nil && !e.Pod.HostNetwork
	}
	if src.Node.IsValid() && !inPodNetwork(dst) || dst.Node.IsValid() && !inPodNetwork(src) {
		return diffVerdict{}
	}
	want := c.states[i].oracle.PolicyVerdict(src, dst, p.First, p.Protocol)
	if !want.Allowed {
		return diffVerdict{}
	}
	v := diffVerdict{allowed: true, families: want.Families}
	if c.request.Policies {
		v.rules = fmt.Sprint(sideText(want.Egress, audit.Egress), sideText(want.Ingress, audit.Ingress))
	}
	return v
}

// sideText names the rule of a side.
func sideText(s engine.Side, d audit.Direction) string {
	if s.Policy == nil && s.ClusterPolicy == nil {
		return ruleText(audit.Rule{})
	}
	return ruleText(audit.Rule{Policy: s.Policy, ClusterPolicy: s.ClusterPolicy, Direction: d, Index: s.Rule})
}

// verdictOf returns what a state of a change says.
func (c *diffCheck) verdictOf(s audit.ChangeState) diffVerdict {
	v := diffVerdict{allowed: s.Allowed, families: s.Families}
	if s.Allowed && c.request.Policies {
		v.rules = fmt.Sprint(ruleText(s.EgressBy), ruleText(s.IngressBy))
	}
	return v
}

// compare compares the changes found for two ends on a port with the verdicts of both states.
func (c *diffCheck) compare(found []*audittest.Opened, before, after diffVerdict) string {
	differs := before.allowed != after.allowed || before.families != after.families
	switch {
	case len(found) > 1 || differs != (len(found) == 1):
		return fmt.Sprintf("%d changes, before %+v, after %+v", len(found), before, after)
	case !differs:
		return ""
	}
	got := found[0].Change
	if b, a := c.verdictOf(got.Before), c.verdictOf(got.After); b != before || a != after {
		return fmt.Sprintf("change %+v, before %+v, after %+v", got, before, after)
	}
	want := audit.FamiliesChanged
	if !before.allowed {
		want = audit.Opened
	} else if !after.allowed {
		want = audit.Closed
	}
	if got.Kind != want {
		return fmt.Sprintf("kind %d, want %d", got.Kind, want)
	}
	return ""
}

// pairs checks D1 between members of groups.
func (c *diffCheck) pairs() (broken []string) {
	for _, a := range c.reading.Groups {
		for _, b := range c.reading.Groups {
			for _, src := range c.ends[a.ID] {
				for _, dst := range c.ends[b.ID] {
					for _, p := range c.somePorts(3) {
						var v [2]diffVerdict
						if c.selects(true, src) && c.selects(false, dst) && c.states[0].listsPort(p) {
							v[0], v[1] = c.verdict(0, src[0], dst[0], p), c.verdict(1, src[1], dst[1], p)
						}
						found := c.reading.Between(a.ID, b.ID, p.Protocol, p.First)
						if text := c.compare(found, v[0], v[1]); text != "" {
							broken = append(broken, fmt.Sprintf("D1: group %d to %d, %v: %s", a.ID, b.ID, p, text))
						}
					}
				}
			}
		}
	}
	return broken
}

// outside checks D1 between groups and addresses outside the cluster.
func (c *diffCheck) outside() (broken []string) {
	for _, g := range c.reading.Groups {
		for range 12 {
			ip := c.addrs[c.rand.IntN(len(c.addrs))]
			for _, p := range c.somePorts(2) {
				for _, toOutside := range []bool{true, false} {
					m := c.ends[g.ID][0]
					v := c.outsideVerdicts(m, toOutside, ip, p)
					found := c.reading.Outside(g.ID, toOutside, ip, p.Protocol, p.First)
					for i := range found { // families of CIDRs are those of all of them
						change := *found[i].Change
						change.Before.Families, change.After.Families = 0, 0
						one := *found[i]
						one.Change = &change
						found[i] = &one
					}
					if text := c.compare(found, v[0], v[1]); text != "" {
						broken = append(broken, fmt.Sprintf("D1: group %d, to outside %v: %v %v: %s",
							g.ID, toOutside, ip, p, text))
					}
				}
			}
		}
	}
	return broken
}

// outsideVerdicts returns what both states say of an end and an address outside the cluster, without
// families.
func (c *diffCheck) outsideVerdicts(
	m diffMember, toOutside bool, ip netip.Addr, p audit.PortRange,
) (v [2]diffVerdict) {
	s := c.states[0]
	outer := s.dst
	if !toOutside {
		outer = s.src
	}
	if !c.selects(toOutside, m) || !outer.selectsOutside(ip) || !s.listsPort(p) {
		return v
	}
	for i, ends := range m {
		for n, e := range ends {
			one := c.outsideVerdict(i, e, toOutside, ip, p)
			if n == 0 {
				v[i] = one
			} else if !one.allowed {
				v[i] = diffVerdict{}
			}
		}
	}
	return v
}

// outsideVerdict returns what a state says of an end and an address outside the cluster, without families.
func (c *diffCheck) outsideVerdict(
	i int, e enginetest.ListedEnd, toOutside bool, ip netip.Addr, p audit.PortRange,
) diffVerdict {
	addrs := c.states[i].oracle.Addresses(e)
	if e.Node.IsValid() || len(addrs) > 0 && !slices.ContainsFunc(addrs, func(a netip.Addr) bool {
		return a.Is4() == ip.Is4()
	}) {
		return diffVerdict{}
	}
	src, dst := e, enginetest.ListedEnd{Outside: ip}
	if !toOutside {
		src, dst = dst, src
	}
	v := c.pairVerdict(i, src, dst, p)
	v.families = 0
	return v
}

// treatment returns a text that is equal for ends that both states treat alike.
func (c *diffCheck) treatment(m diffMember, source bool) string {
	text := ""
	for i, ends := range m {
		var ways []string
		for _, e := range ends {
			way := c.states[i].oracle.Treatment(e, source)
			if c.request.Nodes { // then the kind tells what is listed
				way += fmt.Sprint(e.Pod != nil && e.Pod.HostNetwork, e.Node.IsValid())
			}
			if !slices.Contains(ways, way) {
				ways = append(ways, way)
			}
		}
		if !c.request.Policies { // the first pair tells the rules
			slices.Sort(ways)
		}
		text += fmt.Sprintf("|%q", ways)
	}
	return text
}

// folding checks L4, and that Pods of one workload are apart only if a state tells them apart (D2).
func (c *diffCheck) folding() (broken []string) {
	c.reading.CheckFolded(
		func(g *audit.Group) string { return c.treatment(c.ends[g.ID][0], true) },
		func(g *audit.Group) bool { return c.selects(true, c.ends[g.ID][0]) },
	)
	whole := map[string]uint32{}
	for _, g := range c.reading.Groups {
		e := c.ends[g.ID][0]
		key := fmt.Sprint(g.Kind, g.Namespace, g.Workload, c.treatment(e, true), c.treatment(e, false),
			c.selects(true, e), c.selects(false, e))
		if g.Workload == (engine.Workload{}) {
			key += g.Members[0].Name
		}
		if other := whole[key]; other != 0 {
			broken = append(broken, fmt.Sprintf("D2: groups %d and %d are told apart by no policy", other, g.ID))
		}
		whole[key] = g.ID
	}
	return append(broken, c.reading.Broken...)
}

// summary checks the counts and names.
func (c *diffCheck) summary(got audit.DiffSummary) (broken []string) {
	var want audit.DiffSummary
	has := func(a, b uint32, kind audit.ChangeKind) bool {
		return slices.ContainsFunc(c.reading.Connections, func(o audittest.Opened) bool {
			return o.Change.Kind == kind && slices.Contains(o.Src, a) && slices.Contains(o.Dst, b)
		})
	}
	external := func(id uint32, kind audit.ChangeKind) int {
		if slices.ContainsFunc(c.reading.Connections, func(o audittest.Opened) bool {
			return o.Change.Kind == kind && len(o.SrcCIDRs)+len(o.DstCIDRs) > 0 &&
				(slices.Contains(o.Src, id) || slices.Contains(o.Dst, id))
		}) {
			return 1
		}
		return 0
	}
	isPods := func(g audit.Group) bool { return g.Kind == audit.PodGroup || g.Kind == audit.HostNetworkGroup }
	for _, a := range c.reading.Groups {
		want.ExternalOpened += external(a.ID, audit.Opened)
		want.ExternalClosed += external(a.ID, audit.Closed)
		for _, b := range c.reading.Groups {
			if !isPods(a) || !isPods(b) {
				continue
			}
			n := uint64(len(c.ends[a.ID]) * len(c.ends[b.ID]))
			if a.ID == b.ID {
				n -= uint64(len(c.ends[a.ID]))
			}
			for kind, sum := range map[audit.ChangeKind]*uint64{
				audit.Opened: &want.Opened, audit.Closed: &want.Closed, audit.FamiliesChanged: &want.FamiliesChanged,
			} {
				if has(a.ID, b.ID, kind) {
					*sum += n
				}
			}
		}
	}
	c.names(&want)
	if !reflect.DeepEqual(got, want) {
		broken = append(broken, fmt.Sprintf("summary %+v, want %+v", got, want))
	}
	return broken
}

// names sets the names of workloads and policies that differ.
func (c *diffCheck) names(want *audit.DiffSummary) {
	var workloads, policies [2]map[string]string
	for i, s := range c.states {
		workloads[i], policies[i] = map[string]string{}, map[string]string{}
		for _, o := range s.oracle.Objects {
			switch o := o.(type) {
			case *engine.Pod:
				if o.Finished { // no end
					continue
				}
				name := "Pod/" + o.Namespace + "/" + o.Name
				if n := len(o.Workloads); n > 0 {
					name = o.Workloads[n-1].Kind + "/" + o.Namespace + "/" + o.Workloads[n-1].Name
				}
				workloads[i][name] = ""
			case *engine.Policy:
				p := enginetest.Clone(o).(*engine.Policy)
				p.Created, p.TypesOmitted = 0, false
				policies[i]["NetworkPolicy/"+o.Namespace+"/"+o.Name] = policyText(p)
			case *engine.ClusterPolicy:
				p := enginetest.Clone(o).(*engine.ClusterPolicy)
				p.Created = 0
				policies[i][p.Kind.String()+"/"+o.Name] = policyText(p)
			}
		}
	}
	want.WorkloadsAdded, _ = namesApart(workloads[1], workloads[0])
	want.WorkloadsRemoved, _ = namesApart(workloads[0], workloads[1])
	want.PoliciesAdded, want.PoliciesChanged = namesApart(policies[1], policies[0])
	want.PoliciesRemoved, _ = namesApart(policies[0], policies[1])
}

// emptyField matches a field that is an empty list, which is the same as none, or a subject of such.
var emptyField = regexp.MustCompile(`\w+: (ClusterSubject)?\{\},? ?`)

// policyText returns a text that is equal for policies that say the same.
func policyText(o engine.Object) string {
	text := enginetest.Text(o)
	for was := ""; was != text; {
		was, text = text, emptyField.ReplaceAllString(text, "")
	}
	return strings.ReplaceAll(text, ", }", "}")
}

// namesApart returns the names that are in a alone, and those with another text in b, sorted.
func namesApart(a, b map[string]string) (alone, others []string) {
	for name, text := range a {
		if other, ok := b[name]; !ok {
			alone = append(alone, name)
		} else if other != text {
			others = append(others, name)
		}
	}
	slices.Sort(alone)
	slices.Sort(others)
	return alone, others
}
