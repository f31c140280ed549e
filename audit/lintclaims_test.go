package audit_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// claimed returns what a finding says changes no verdict: the change that takes away a policy, rules or an
// entry. It returns false for a finding that claims no such thing.
func claimed(objects []engine.Object, f *audit.Finding, seed uint64) (engine.Change, bool) {
	i := slices.IndexFunc(objects, func(o engine.Object) bool { return engine.KeyOf(o) == f.Policy })
	if i < 0 {
		return engine.Change{}, false
	}
	o := enginetest.Clone(objects[i])
	switch f.Code {
	case audit.SelectsNothing:
		return engine.Change{Object: o, Delete: true}, true
	case audit.RulesIgnored:
		if f.Direction == audit.Egress {
			o.(*engine.Policy).Egress = nil
		} else {
			o.(*engine.Policy).Ingress = nil
		}
	case audit.RuleMatchesNothing, audit.RuleCovered, audit.RuleRedundant, audit.RuleNeverReached:
		o = without([]engine.Object{o}, map[ruleName]bool{{f.Policy, f.Direction, f.Rule}: true})[0]
	case audit.PeerMatchesNothing, audit.PeerHostNetwork:
		eachRule([]engine.Object{o}, func(name ruleName, r *engine.Rule) {
			if name.direction == f.Direction && name.index == f.Rule {
				first, n := peersOf(o, f)
				for j := range n {
					r.Peers[first+j] = matchesNever(seed)
				}
			}
		})
	case audit.PortNameUnknown:
		eachRule([]engine.Object{o}, func(name ruleName, r *engine.Rule) {
			if name.direction == f.Direction && name.index == f.Rule {
				r.Ports = slices.Delete(r.Ports, f.Port, f.Port+1)
			}
		})
	default:
		return engine.Change{}, false
	}
	return engine.Change{Object: o}, true
}

// peersOf returns which peers of a rule the peer of a finding became: the first, and how many.
func peersOf(o engine.Object, f *audit.Finding) (first, n int) {
	p, ok := o.(*engine.ClusterPolicy)
	if !ok {
		return f.Peer, 1
	}
	rules := p.Ingress
	if f.Direction == audit.Egress {
		rules = p.Egress
	}
	if rules[f.Rule].Origins == nil {
		return f.Peer, 1
	}
	for _, origin := range rules[f.Rule].Origins[:f.Peer] {
		first += origin.Peers
	}
	return first, rules[f.Rule].Origins[f.Peer].Peers
}

// matchesNever returns a peer that could match nothing, of one of three kinds.
func matchesNever(seed uint64) engine.Peer {
	all := netip.MustParsePrefix("192.0.2.0/24")
	contradiction := engine.Selector{
		{Key: "app", Operator: engine.Exists}, {Key: "app", Operator: engine.DoesNotExist},
	}
	return []engine.Peer{
		{}, {Pods: &contradiction}, {Block: &engine.IPBlock{CIDR: all, Except: []netip.Prefix{all}}},
	}[seed%3]
}

// N1: what findings say changes no verdict is taken away, each by itself and laid over the snapshot. No policy
// verdict of any ends changes, in the lists and as the naive oracle has it.
func TestN1ClaimsAreTrue(t *testing.T) {
	t.Parallel()
	seeds := uint64(200)
	if testing.Short() {
		seeds = 60
	}
	tried := map[audit.Code]int{}
	for seed := range seeds {
		objects, options := random(seed + 10_000)
		s := snapshotOf(objects, options)
		inside, addresses, outside := ways(objects, options)
		before := verdicts(t, s, inside, addresses, outside)
		for _, f := range lint(t, s) {
			change, ok := claimed(objects, f, seed)
			if !ok {
				continue
			}
			tried[f.Code]++
			after := s.With([]engine.Change{change})
			if !slices.Equal(before, verdicts(t, after, inside, addresses, outside)) {
				t.Errorf("seed %d: %s of %v %s %d: verdicts change", seed, f.Code, f.Policy, f.Direction, f.Rule)
			}
			if d := oracleDiffers(objects, change, options, seed); d != "" {
				t.Errorf("seed %d: %s of %v %s %d: %s", seed, f.Code, f.Policy, f.Direction, f.Rule, d)
			}
		}
	}
	for _, c := range []audit.Code{
		audit.SelectsNothing, audit.RulesIgnored, audit.RuleMatchesNothing, audit.RuleCovered, audit.RuleRedundant,
		audit.RuleNeverReached, audit.PeerMatchesNothing, audit.PeerHostNetwork, audit.PortNameUnknown,
	} {
		if tried[c] == 0 {
			t.Errorf("%s was never tried", c)
		}
	}
	t.Log(tried)
}

// oracleDiffers asks the naive oracle the same random questions before and after a change, and returns a
// question whose policy verdict differs.
func oracleDiffers(objects []engine.Object, change engine.Change, options engine.Options, seed uint64) string {
	before := &enginetest.Oracle{Objects: objects, Options: options}
	state := enginetest.State{}
	for _, o := range objects {
		state[engine.KeyOf(o)] = o
	}
	state.Apply([]engine.Change{change})
	after := &enginetest.Oracle{Objects: state.Objects(), Options: options}

	var ends []enginetest.ListedEnd
	var ports []uint16
	for _, o := range objects {
		if p, ok := o.(*engine.Pod); ok && !p.Finished {
			ends = append(ends, enginetest.ListedEnd{Pod: p}, enginetest.ListedEnd{Pod: p}) // mostly Pods
			for _, n := range p.Ports {
				ports = append(ports, n.Port)
			}
		}
	}
	_, addresses, outside := ways(objects, options)
	for _, a := range addresses {
		ends = append(ends, enginetest.ListedEnd{Node: a})
	}
	for _, a := range outside[:min(len(outside), 10)] {
		ends = append(ends, enginetest.ListedEnd{Outside: a})
	}
	eachRule(objects, func(_ ruleName, r *engine.Rule) {
		for _, p := range r.Ports {
			ports = append(ports, p.First, p.Last)
		}
	})
	ports = append(ports, 1, 65535)
	r := rand.New(rand.NewPCG(seed, 2))
	for range 60 {
		src, dst := ends[r.IntN(len(ends))], ends[r.IntN(len(ends))]
		port, protocol := max(1, ports[r.IntN(len(ports))]), engine.Protocol(r.IntN(3))
		a, b := before.PolicyVerdict(src, dst, port, protocol), after.PolicyVerdict(src, dst, port, protocol)
		if a.Allowed != b.Allowed || a.Families != b.Families {
			return fmt.Sprintf("from %s to %s on %v %d is %t, then %t", enginetest.Text(src), enginetest.Text(dst),
				protocol, port, a.Allowed, b.Allowed)
		}
	}
	return ""
}

// N1: covered rules change nothing with any Pods: with others in place of those that were there, and with more.
func TestN1CoveredWithOtherPods(t *testing.T) {
	t.Parallel()
	isPolicy := func(o engine.Object) bool {
		switch o.(type) {
		case *engine.Policy, *engine.ClusterPolicy:
			return true
		}
		return false
	}
	covered := 0
	for seed := range uint64(400) {
		objects, options := random(seed)
		rules := map[ruleName]bool{}
		for _, f := range lint(t, snapshotOf(objects, options)) {
			if f.Code == audit.RuleCovered {
				rules[ruleName{f.Policy, f.Direction, f.Rule}] = true
			}
		}
		if len(rules) == 0 {
			continue
		}
		covered++
		for other := range uint64(4) {
			state := enginetest.State{}
			for _, o := range objects {
				if other < 2 || isPolicy(o) {
					state[engine.KeyOf(o)] = o
				}
			}
			for _, o := range enginetest.NewRandom(seed*10 + other + 1000).Cluster() {
				if !isPolicy(o) {
					state[engine.KeyOf(o)] = o
				}
			}
			all := state.Objects()
			inside, addresses, outside := ways(all, options)
			if !slices.Equal(verdicts(t, snapshotOf(all, options), inside, addresses, outside),
				verdicts(t, snapshotOf(without(all, rules), options), inside, addresses, outside)) {
				t.Errorf("seed %d: verdicts change without the covered rules %v", seed, rules)
			}
		}
	}
	if covered < 20 {
		t.Errorf("%d clusters had covered rules", covered)
	}
}
