package audit_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// TestX3FixesAreTried asks random clusters what is denied, makes each fix of the closest rules true, alone, and
// asks again: this side must allow, and the other do what was said. Every rule that one naive change repairs must be
// among them.
func TestX3FixesAreTried(t *testing.T) {
	t.Parallel()
	seeds := uint64(1500)
	if testing.Short() || enginetest.UnderRace {
		seeds = 60
	}
	met := map[string]int{}
	for seed := range seeds {
		r := enginetest.NewRandom(seed)
		if seed%2 == 0 {
			r.WithTiers()
		}
		options := engine.Options{
			IPBlockIgnoresPods: seed%4 == 3, LocalAboveTiers: seed%8 == 5,
			DecideOwnNode: seed%5 == 2, DecideOwnService: seed%5 == 3,
		}
		objects := r.Cluster()
		var changes []engine.Change
		for _, o := range objects {
			changes = append(changes, engine.Change{Object: enginetest.Clone(o)})
		}
		c := &closestCheck{snapshot: engine.NewCluster(options).Apply(changes...), met: met}
		for range 60 {
			if failure := c.try(r.Question(objects)); failure != "" {
				t.Fatalf("seed %d: %s\n%s", seed, failure, enginetest.ObjectsText(objects))
			}
		}
	}
	if testing.Short() || enginetest.UnderRace {
		return
	}
	for _, what := range []string{
		"port", "labels", "labels of the namespace", "cidr", "tiers beside", "named port", "Service", "dual",
		"hypothetical", "NotIn", "Exists", "DoesNotExist", "denied by a tier", "several labels",
		"port: other side allows false, then false", "cidr: other side allows false, then false",
	} {
		if met[what] < 10 {
			t.Errorf("%d cases of: %s", met[what], what)
		}
	}
}

// TestX3LabelsUnderTiers: a change of labels is called a fix only if no rule of a tier takes what it lets match,
// and no other policies select the end then; and one is found where there is any.
func TestX3LabelsUnderTiers(t *testing.T) {
	t.Parallel()
	seeds := uint64(3000)
	if testing.Short() || enginetest.UnderRace {
		seeds = 600
	}
	met := map[string]int{}
	for seed := range seeds {
		r := enginetest.NewRandom(seed)
		objects := tieredPair(r, rand.New(rand.NewPCG(seed, 2)))
		var changes []engine.Change
		for _, o := range objects {
			changes = append(changes, engine.Change{Object: enginetest.Clone(o)})
		}
		c := &closestCheck{snapshot: engine.NewCluster(engine.Options{}).Apply(changes...), met: met}
		for _, src := range []string{"near", "far"} {
			q := enginetest.Question{
				Src: enginetest.Endpoint{Pod: &enginetest.Name{Namespace: map[string]string{"near": "a", "far": "b"}[src], Name: src}},
				Dst: enginetest.Endpoint{Pod: &enginetest.Name{Namespace: "a", Name: "dst"}}, Port: 80,
			}
			if failure := c.try(q); failure != "" {
				t.Fatalf("seed %d: %s\n%s", seed, failure, enginetest.ObjectsText(objects))
			}
		}
	}
	for _, what := range []string{"labels", "labels of the namespace", "tiers beside", "denied by a tier"} {
		if met[what] < 10 {
			t.Errorf("%d cases of: %s", met[what], what)
		}
	}
	if testing.Short() || enginetest.UnderRace {
		return
	}
	for _, labels := range []string{"labels", "labels of the namespace"} {
		for _, other := range []string{"allows false, then true", "allows true, then false"} {
			if what := labels + ": other side " + other; met[what] < 5 {
				t.Errorf("%d cases of: %s", met[what], what)
			}
		}
	}
}

// tieredPair returns Pods near and far, and one that a NetworkPolicy isolates from both, below cluster-wide
// policies that look at the same labels.
func tieredPair(r *enginetest.Random, rnd *rand.Rand) []engine.Object {
	peer := func() engine.Peer {
		p := engine.Peer{Pods: new(r.Selector())}
		switch rnd.IntN(3) {
		case 0:
			p.Namespaces = new(r.Selector())
		case 1:
			p.Pods, p.Namespaces = nil, new(r.Selector())
		}
		return p
	}
	peers := []engine.Peer{peer(), peer(), peer()}
	objects := []engine.Object{
		&engine.Namespace{Name: "a", Labels: r.LabelledPod().Labels}, &engine.Namespace{Name: "b", Labels: r.LabelledPod().Labels},
		&engine.Pod{Namespace: "a", Name: "dst", Labels: r.LabelledPod().Labels},
		&engine.Pod{Namespace: "a", Name: "near", Labels: r.LabelledPod().Labels},
		&engine.Pod{Namespace: "b", Name: "far", Labels: r.LabelledPod().Labels},
		&engine.Policy{
			Namespace: "a", Name: "np", IsolatesIngress: true,
			Ingress: []engine.Rule{{Peers: peers[:2]}, {Peers: peers[2:]}},
		},
	}
	for i := range 1 + rnd.IntN(2) {
		p := &engine.ClusterPolicy{Name: fmt.Sprint("tier", i), Tier: engine.Admin, Priority: int32(i)}
		if i > 0 {
			p.Subject.Namespaces = r.Selector()
		}
		for range 1 + rnd.IntN(2) {
			action := []engine.Action{engine.Deny, engine.Deny, engine.Pass, engine.Allow}[rnd.IntN(4)]
			p.Ingress = append(p.Ingress, engine.ClusterRule{Action: action, Rule: engine.Rule{Peers: []engine.Peer{peer()}}})
		}
		objects = append(objects, p)
	}
	// The other side: policies that select by the labels that a fix may change.
	wanted := peers[rnd.IntN(len(peers))]
	one := func(s *engine.Selector) engine.Selector {
		if s == nil || len(*s) == 0 || rnd.IntN(4) == 0 {
			return r.Selector()
		}
		q := (*s)[rnd.IntN(len(*s))]
		if rnd.IntN(2) == 0 {
			q.Operator ^= engine.In ^ engine.NotIn // the other one of a kind
		}
		return engine.Selector{q}
	}
	if rnd.IntN(2) == 0 {
		for _, ns := range []string{"a", "b"} {
			p := &engine.Policy{Namespace: ns, Name: "out", Subject: one(wanted.Pods), IsolatesEgress: true}
			if rnd.IntN(2) == 0 {
				p.Egress = []engine.Rule{{Peers: []engine.Peer{peer()}}}
			}
			objects = append(objects, p)
		}
	}
	if rnd.IntN(2) == 0 {
		objects = append(objects, &engine.ClusterPolicy{
			Name: "out", Tier: engine.Admin, Priority: 5, Subject: engine.ClusterSubject{Namespaces: one(wanted.Namespaces)},
			Egress: []engine.ClusterRule{{Action: engine.Deny, Rule: engine.Rule{Peers: []engine.Peer{peer()}}}},
		})
	}
	return objects
}

// A closestCheck checks the closest rules of one cluster.
type closestCheck struct {
	snapshot *engine.Snapshot
	met      map[string]int
}

// try checks the closest rules of one question, and returns what is wrong.
func (c *closestCheck) try(q enginetest.Question) string {
	e, err := c.snapshot.Explain(nil, q.Query(), math.MaxInt)
	if err != nil || e.Decision.Allowed {
		return ""
	}
	closest := audit.ClosestRules(c.snapshot, &e)
	if len(closest) > 5 {
		return fmt.Sprintf("%s: %d are too many", q, len(closest))
	}
	pair := engine.Query{
		Src: pairEnd(q.Src, &e.Src, e.Service, nil), Dst: pairEnd(q.Dst, &e.Dst, e.Service, nil), Port: e.Port, Protocol: e.Protocol,
	}
	again, err := c.snapshot.Explain(nil, pair, math.MaxInt)
	if err != nil || again.Egress.Allowed != e.Egress.Allowed || again.Ingress.Allowed != e.Ingress.Allowed ||
		again.Family != e.Family {
		return "" // a Pod to itself through a Service, or an address that is a Service's too
	}
	for i := range closest {
		x := &closest[i]
		c.count(x, &e)
		if x.Denies {
			if t := deciding(sideOf(&e, x.Direction)); t.Tier == engine.NetworkPolicies {
				return fmt.Sprintf("%s: %+v denies, and is a NetworkPolicy's", q, x)
			}
			continue
		}
		after := c.fixed(q, &pair, &e, x)
		if side := sideOf(&after, x.Direction); !side.Allowed || !ruleOf(side, &x.Rule).Matched {
			return fmt.Sprintf("%s: %v: rule %d of %s is called closest: port %v, labels %+v, cidr %v; with that it allows: %v",
				q, x.Direction, x.Index, x.Policy.Name, x.Port, x.Labels, x.CIDR, side.Allowed)
		}
		if failure := c.otherSide(x, &e, &after); failure != "" {
			return fmt.Sprintf("%s: %s", q, failure)
		}
	}
	if len(closest) < 5 {
		return c.missed(q, &pair, &e, closest)
	}
	return ""
}

// otherSide checks what a fix is said to do on the other side, by the explanations before and after it was made.
func (c *closestCheck) otherSide(x *audit.Closest, e, after *engine.Explanation) string {
	other := audit.Egress
	if x.Direction == audit.Egress {
		other = audit.Ingress
	}
	before, now := sideOf(e, other).Allowed, sideOf(after, other).Allowed
	if x.OtherDenies == now {
		return fmt.Sprintf("%v: rule %d of %s: port %v, labels %+v, cidr %v: the other side is said to deny: %v; it allows: %v",
			x.Direction, x.Index, x.Policy.Name, x.Port, x.Labels, x.CIDR, x.OtherDenies, now)
	}
	what := "cidr"
	switch {
	case x.Port != nil:
		what = "port"
	case x.Labels != nil && x.Labels.OfNamespace:
		what = "labels of the namespace"
	case x.Labels != nil:
		what = "labels"
	}
	c.met[fmt.Sprintf("%s: other side allows %v, then %v", what, before, now)]++
	return ""
}

// fixed returns the explanation of a pair after a fix was made.
func (c *closestCheck) fixed(
	q enginetest.Question, pair *engine.Query, e *engine.Explanation, x *audit.Closest,
) engine.Explanation {
	asked := *pair
	var s *engine.Snapshot
	switch {
	case x.Port != nil:
		s = c.withRule(&x.Rule, func(r *engine.Rule) {
			r.Ports = append(r.Ports, engine.Port{Protocol: x.Port.Protocol, First: x.Port.First, Last: x.Port.Last})
		})
	case x.CIDR.IsValid():
		s = c.withRule(&x.Rule, func(r *engine.Rule) {
			r.Peers = append(r.Peers, engine.Peer{Block: &engine.IPBlock{CIDR: x.CIDR}})
		})
	default:
		s, asked = c.relabelled(q, pair, e, x.Direction, x.Labels)
	}
	after, err := s.Explain(nil, asked, math.MaxInt)
	if err != nil {
		panic(err)
	}
	return after
}

// withRule returns the snapshot with one rule of a NetworkPolicy changed.
func (c *closestCheck) withRule(rule *audit.Rule, change func(*engine.Rule)) *engine.Snapshot {
	p := enginetest.Clone(rule.Policy).(*engine.Policy)
	rules := p.Ingress
	if rule.Direction == audit.Egress {
		rules = p.Egress
	}
	change(&rules[rule.Index])
	return c.snapshot.With([]engine.Change{{Object: p}})
}

// relabelled returns the snapshot, and the question, with labels changed of the end that is not of the side.
func (c *closestCheck) relabelled(
	q enginetest.Question, pair *engine.Query, e *engine.Explanation, side audit.Direction, fix *audit.LabelFix,
) (*engine.Snapshot, engine.Query) {
	end, asked, where := &e.Src, q.Src, *pair
	if side == audit.Egress {
		end, asked = &e.Dst, q.Dst
	}
	if fix.OfNamespace {
		ns := &engine.Namespace{Name: end.Namespace, Labels: relabel(end.NamespaceLabels, fix)}
		return c.snapshot.With([]engine.Change{{Object: ns}}), where
	}
	if asked.Labels != nil {
		now := pairEnd(asked, end, nil, relabel(end.Labels, fix))
		if side == audit.Egress {
			where.Dst = now
		} else {
			where.Src = now
		}
		return c.snapshot, where
	}
	o, _ := c.snapshot.Object(engine.ObjectKey{Kind: engine.KindPod, Namespace: end.Namespace, Name: end.Name})
	pod := enginetest.Clone(o).(*engine.Pod)
	pod.Labels = relabel(pod.Labels, fix)
	return c.snapshot.With([]engine.Change{{Object: pod}}), where
}

func relabel(labels map[string]string, fix *audit.LabelFix) map[string]string {
	now := maps.Clone(labels)
	for _, key := range fix.Remove {
		delete(now, key)
	}
	if now == nil {
		now = map[string]string{}
	}
	maps.Copy(now, fix.Set)
	return now
}

// TestX3Order: the five with the fewest changes are named, in order of policies and rules, wherever they stand.
func TestX3Order(t *testing.T) {
	t.Parallel()
	is := func(keys ...string) *engine.Selector {
		s := engine.Selector{}
		for _, key := range keys {
			s = append(s, engine.Requirement{Key: key, Values: []string{"x"}})
		}
		return &s
	}
	var changes []engine.Change
	for i, name := range []string{"e", "d", "c", "b", "a"} {
		p := &engine.Policy{Namespace: "n", Name: name, IsolatesIngress: true}
		if i%2 == 0 {
			p.Ingress = append(p.Ingress, engine.Rule{Peers: []engine.Peer{{Pods: is("k", "l")}}})
		}
		for range 2 {
			p.Ingress = append(p.Ingress, engine.Rule{Peers: []engine.Peer{{Pods: is("k")}}})
		}
		changes = append(changes, engine.Change{Object: p})
	}
	for _, name := range []string{"src", "dst"} {
		changes = append(changes, engine.Change{Object: &engine.Pod{Namespace: "n", Name: name}})
	}
	s := engine.NewCluster(engine.Options{}).Apply(changes...)
	e, err := s.Explain(nil, engine.Query{Src: engine.ByPod("n", "src"), Dst: engine.ByPod("n", "dst"), Port: 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range audit.ClosestRules(s, &e) {
		got = append(got, fmt.Sprint(c.Policy.Name, c.Index))
	}
	if want := "[a1 a2 b0 b1 c1]"; fmt.Sprint(got) != want {
		t.Errorf("closest are %v, want %s", got, want)
	}
}

// pairEnd returns an end of the pair that was explained, asked by itself. labels are those of a Pod that need
// not exist, if they are to be others.
func pairEnd(
	asked enginetest.Endpoint, end *engine.ExplainedEnd, service *engine.Service, labels map[string]string,
) engine.Endpoint {
	switch {
	case asked.Labels != nil:
		p := *asked.Labels
		if labels != nil {
			p.Labels = labels
		}
		return engine.ByLabels(&p)
	case asked.IP.IsValid() && end.Service == nil:
		return engine.ByIP(asked.IP)
	case end.Name == "" || end.Service != nil && len(end.IPs) == 1:
		return engine.ByIP(end.IP)
	}
	return engine.ByPod(end.Namespace, end.Name)
}

func sideOf(e *engine.Explanation, d audit.Direction) *engine.SideExplanation {
	if d == audit.Egress {
		return &e.Egress
	}
	return &e.Ingress
}

// deciding returns the tier that decided a side; an empty one if none did.
func deciding(side *engine.SideExplanation) *engine.TierExplanation {
	for i := range side.Tiers {
		if side.Tiers[i].Decided {
			return &side.Tiers[i]
		}
	}
	return &engine.TierExplanation{}
}

// ruleOf returns what is explained of a rule of a NetworkPolicy; an empty one if it does not select the end.
func ruleOf(side *engine.SideExplanation, rule *audit.Rule) *engine.RuleExplanation {
	for i := range side.Tiers {
		for _, p := range side.Tiers[i].Policies {
			if p.Policy != nil && p.Policy.Namespace == rule.Policy.Namespace && p.Policy.Name == rule.Policy.Name {
				return &p.Rules[rule.Index]
			}
		}
	}
	return &engine.RuleExplanation{}
}

// missed returns a rule that one change repairs, and that is not among the closest.
func (c *closestCheck) missed(
	q enginetest.Question, pair *engine.Query, e *engine.Explanation, closest []audit.Closest,
) string {
	for _, d := range []audit.Direction{audit.Egress, audit.Ingress} {
		side := sideOf(e, d)
		t := deciding(side)
		if side.Allowed || t.Tier != engine.NetworkPolicies {
			continue
		}
		for i := range t.Policies {
			for _, r := range t.Policies[i].Rules {
				x := audit.Closest{Rule: audit.Rule{Policy: t.Policies[i].Policy, Direction: d, Index: r.Index}}
				listed := slices.ContainsFunc(closest, func(o audit.Closest) bool { return o.Rule == x.Rule })
				if r.PeerMatched == r.PortMatched || listed {
					continue
				}
				for _, fix := range c.naive(x, e, d) {
					after := c.fixed(q, pair, e, &fix)
					side := sideOf(&after, d)
					if side.Allowed && ruleOf(side, &x.Rule).Matched && c.selectedAsBefore(side, sideOf(e, d)) {
						return fmt.Sprintf("%s: %v: rule %d of %s is not called closest: port %v, labels %+v, cidr %v allow",
							q, d, x.Index, x.Policy.Name, fix.Port, fix.Labels, fix.CIDR)
					}
				}
			}
		}
	}
	return ""
}

// selectedAsBefore reports whether the same policies as before select the end. A change of labels that brings
// others is no repair.
func (c *closestCheck) selectedAsBefore(now, before *engine.SideExplanation) bool {
	for i := range now.Tiers {
		same := func(a, b engine.PolicyExplanation) bool {
			return a.ClusterPolicy == b.ClusterPolicy && (a.Policy == nil) == (b.Policy == nil)
		}
		if !slices.EqualFunc(now.Tiers[i].Policies, before.Tiers[i].Policies, same) {
			return false
		}
	}
	return true
}

// naive returns single changes that may repair a rule, without a look at it.
func (c *closestCheck) naive(rule audit.Closest, e *engine.Explanation, d audit.Direction) []audit.Closest {
	var list []audit.Closest
	add := func(change func(*audit.Closest)) {
		x := rule
		change(&x)
		list = append(list, x)
	}
	add(func(x *audit.Closest) { x.Port = &audit.PortRange{Protocol: e.Protocol, First: e.Port, Last: e.Port} })
	end := &e.Src
	if d == audit.Egress {
		end = &e.Dst
	}
	for _, ip := range end.IPs {
		if e.Family == engine.IPv4 && ip.Is4() || e.Family == engine.IPv6 && ip.Is6() {
			add(func(x *audit.Closest) { x.CIDR = netip.PrefixFrom(ip, ip.BitLen()) })
		}
	}
	self := e.Src.Kind == engine.ResolvedPod && e.Src.Namespace == e.Dst.Namespace && e.Src.Name == e.Dst.Name
	if self || end.Kind != engine.ResolvedPod && end.Kind != engine.ResolvedHypothetical {
		return list
	}
	for _, ofNamespace := range []bool{false, true} {
		for _, key := range []string{"app", "tier", "env", "kubernetes.io/metadata.name"} {
			add(func(x *audit.Closest) { x.Labels = &audit.LabelFix{OfNamespace: ofNamespace, Remove: []string{key}} })
			for _, value := range []string{"x", "y", "", "a", "z", "b", "other"} {
				add(func(x *audit.Closest) {
					x.Labels = &audit.LabelFix{OfNamespace: ofNamespace, Set: map[string]string{key: value}}
				})
			}
		}
	}
	return list
}

// count counts what a fix was about.
func (c *closestCheck) count(x *audit.Closest, e *engine.Explanation) {
	met := func(what string, is bool) {
		if is {
			c.met[what]++
		}
	}
	met("denied by a tier", x.Denies)
	if x.Denies {
		return
	}
	side, other := sideOf(e, x.Direction), &e.Src
	if x.Direction == audit.Egress {
		other = &e.Dst
	}
	met("port", x.Port != nil)
	met("labels", x.Labels != nil && !x.Labels.OfNamespace)
	met("labels of the namespace", x.Labels != nil && x.Labels.OfNamespace)
	met("several labels", x.Labels != nil && len(x.Labels.Set)+len(x.Labels.Remove) > 1)
	met("cidr", x.CIDR.IsValid())
	met("tiers beside", x.Labels != nil && len(side.Tiers[0].Policies) > 0)
	met("Service", e.Service != nil)
	met("dual", len(other.IPs) > 1 && other.IPs[0].Is4() != other.IPs[len(other.IPs)-1].Is4())
	met("hypothetical", x.Labels != nil && other.Kind == engine.ResolvedHypothetical)
	r := ruleOf(side, &x.Rule)
	for _, p := range r.Ports {
		met("named port", x.Port == nil && p.Matched && p.Port.Name != "")
	}
	if x.Labels == nil {
		return
	}
	for _, s := range []*engine.Selector{r.Peers[x.Peer].Peers[0].Pods, r.Peers[x.Peer].Peers[0].Namespaces} {
		for _, q := range append(engine.Selector{}, deref(s)...) {
			met("NotIn", q.Operator == engine.NotIn)
			met("Exists", q.Operator == engine.Exists)
			met("DoesNotExist", q.Operator == engine.DoesNotExist)
		}
	}
}

func deref(s *engine.Selector) engine.Selector {
	if s == nil {
		return nil
	}
	return *s
}
