package audit_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// shuffled returns the objects with the rules of each policy, and the entries of each rule, in another order.
// Peers that others count (Origins) stay where they are.
func shuffled(objects []engine.Object, seed uint64) []engine.Object {
	r := rand.New(rand.NewPCG(seed, 5))
	entries := func(u *engine.Rule, peers bool) {
		if peers {
			r.Shuffle(len(u.Peers), func(i, j int) { u.Peers[i], u.Peers[j] = u.Peers[j], u.Peers[i] })
		}
		r.Shuffle(len(u.Ports), func(i, j int) { u.Ports[i], u.Ports[j] = u.Ports[j], u.Ports[i] })
	}
	list := make([]engine.Object, len(objects))
	for i, o := range objects {
		list[i] = enginetest.Clone(o)
		switch p := list[i].(type) {
		case *engine.Policy:
			for _, rules := range [][]engine.Rule{p.Egress, p.Ingress} {
				r.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
				for j := range rules {
					entries(&rules[j], true)
				}
			}
		case *engine.ClusterPolicy: // the order of its rules has a meaning
			for _, rules := range [][]engine.ClusterRule{p.Egress, p.Ingress} {
				for j := range rules {
					entries(&rules[j].Rule, rules[j].Origins == nil)
				}
			}
		}
	}
	return list
}

// prints returns the fingerprints of some findings, sorted. Of equal rules another one may be told, so that
// rule-covered and rule-redundant are left out.
func prints(findings []*audit.Finding) (list []string) {
	for _, f := range findings {
		if f.Code != audit.RuleCovered && f.Code != audit.RuleRedundant {
			list = append(list, f.Fingerprint+" "+string(f.Code)+" "+f.Policy.Name)
		}
	}
	slices.Sort(list)
	return list
}

// N3: a fingerprint stays, whatever the order of rules and entries.
func TestN3FingerprintsKeepWithoutOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		objects, options := random(seed)
		before := prints(lint(t, snapshotOf(objects, options)))
		after := prints(lint(t, snapshotOf(shuffled(objects, seed), options)))
		if !slices.Equal(before, after) {
			t.Fatalf("seed %d:\n%s\nthen\n%s", seed, strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
	}
}

// N3: a fingerprint stays when other rules come before the entry, and when entries that match come beside it.
// It is another for another code, policy, direction or content.
func TestN3FingerprintsAreOfTheContent(t *testing.T) {
	t.Parallel()
	peer := func(value string) engine.Peer {
		return engine.Peer{Pods: &engine.Selector{{Key: "app", Operator: engine.In, Values: []string{value}}}}
	}
	policy := func(name string, rules ...engine.Rule) []engine.Object {
		return []engine.Object{
			&engine.Pod{Namespace: "a", Name: "p", Labels: map[string]string{"app": "x"}},
			&engine.Policy{Namespace: "a", Name: name, IsolatesEgress: true, IsolatesIngress: true, Ingress: rules},
		}
	}
	one := func(objects []engine.Object, c audit.Code) string {
		t.Helper()
		var found []string
		for _, f := range lint(t, snapshotOf(objects, engine.Options{})) {
			if f.Code == c {
				found = append(found, f.Fingerprint)
			}
		}
		if len(found) != 1 || len(found[0]) != 16 || strings.Trim(found[0], "0123456789abcdef") != "" {
			t.Fatalf("fingerprints are %q, want one of 16 hex digits", found)
		}
		return found[0]
	}
	first := one(policy("web", engine.Rule{Peers: []engine.Peer{peer("x"), peer("gone")}}), audit.PeerMatchesNothing)
	for name, objects := range map[string][]engine.Object{
		"a rule before": policy("web", engine.Rule{Peers: []engine.Peer{peer("x")}},
			engine.Rule{Peers: []engine.Peer{peer("x"), peer("gone")}}),
		"a peer before": policy("web", engine.Rule{Peers: []engine.Peer{peer("x"), peer("x"), peer("gone")}}),
		"a port":        policy("web", engine.Rule{Peers: []engine.Peer{peer("x"), peer("gone")}, Ports: []engine.Port{{First: 1, Last: 2}}}),
	} {
		if got := one(objects, audit.PeerMatchesNothing); got != first {
			t.Errorf("with %s the fingerprint is %s, want %s", name, got, first)
		}
	}
	values := &engine.Selector{{Key: "app", Operator: engine.NotIn, Values: []string{"x", "y"}}}
	turned := &engine.Selector{{Key: "app", Operator: engine.NotIn, Values: []string{"y", "x"}}}
	second := one(policy("web", engine.Rule{Peers: []engine.Peer{peer("x"), {Pods: values}}}), audit.PeerMatchesNothing)
	if got := one(policy("web", engine.Rule{Peers: []engine.Peer{peer("x"), {Pods: turned}}}),
		audit.PeerMatchesNothing); got != second {
		t.Error("the order of values counts")
	}
	port := engine.Rule{Ports: []engine.Port{{Name: "http"}, {First: 1, Last: 1}}}
	others := map[string]string{
		"first": first, "content": second,
		"policy": one(policy("web2", engine.Rule{Peers: []engine.Peer{peer("x"), peer("gone")}}), audit.PeerMatchesNothing),
		"rule":   one(policy("web", engine.Rule{Peers: []engine.Peer{peer("gone")}}), audit.RuleMatchesNothing),
		"port":   one(policy("web", port), audit.PortNameUnknown),
	}
	seen := map[string]string{}
	for name, print := range others {
		if seen[print] != "" {
			t.Errorf("%s and %s have one fingerprint", name, seen[print])
		}
		seen[print] = name
	}
}

// N3: no two findings of different content have one fingerprint. Equal entries of one policy do.
func TestN3FingerprintsDiffer(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		objects, options := random(seed)
		seen := map[string]string{}
		for _, f := range lint(t, snapshotOf(objects, options)) {
			text := contentText(objects, f)
			if old, ok := seen[f.Fingerprint]; ok && old != text {
				t.Errorf("seed %d: one fingerprint for\n%s\n%s", seed, old, text)
			}
			seen[f.Fingerprint] = text
		}
	}
}

// contentText returns what a fingerprint is of: code, policy, direction, Pods, and the entry.
func contentText(objects []engine.Object, f *audit.Finding) string {
	words := []string{
		string(f.Code), enginetest.Text(f.Policy), f.Direction.String(), f.WorkloadNamespace, enginetest.Text(f.Workload),
	}
	if f.Policy.Name == "" && f.Workload == (engine.Workload{}) {
		words = append(words, f.Pods...)
	}
	eachRule(objects, func(name ruleName, r *engine.Rule) {
		if name != (ruleName{f.Policy, f.Direction, f.Rule}) {
			return
		}
		var peers, ports []string
		for i := range r.Peers {
			peers = append(peers, peerText(&r.Peers[i]))
		}
		for _, p := range r.Ports {
			if p.Name != "" {
				p.First, p.Last = 0, 0
			}
			ports = append(ports, enginetest.Text(p))
		}
		switch {
		case f.Port >= 0:
			peers, ports = nil, ports[f.Port:f.Port+1]
		case f.Peer >= 0:
			o := objects[slices.IndexFunc(objects, func(o engine.Object) bool { return engine.KeyOf(o) == f.Policy })]
			first, n := peersOf(o, f)
			peers, ports = peers[first:first+n], nil
		}
		slices.Sort(peers)
		slices.Sort(ports)
		words = append(words, append(peers, ports...)...)
	})
	return strings.Join(words, " ")
}

// peerText is equal for equal peers, whatever the order of their parts.
func peerText(p *engine.Peer) string {
	text := ""
	for _, s := range []*engine.Selector{p.Namespaces, p.Pods, p.Nodes} {
		if s != nil {
			text += subjectText(*s)
		}
		text += "/"
	}
	if p.Block != nil {
		except := enginetest.Text(slices.SortedFunc(slices.Values(p.Block.Except), netip.Prefix.Compare))
		text += p.Block.CIDR.String() + except
	}
	return text
}
