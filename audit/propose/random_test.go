package propose_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/audit/propose"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// policyOf returns a proposed policy as an object of the engine.
func policyOf(p *propose.Policy) *engine.Policy {
	own := func(labels map[string]string) *engine.Selector {
		s := engine.Selector{}
		for _, k := range slices.Sorted(maps.Keys(labels)) {
			s = append(s, engine.Requirement{Key: k, Operator: engine.In, Values: []string{labels[k]}})
		}
		return &s
	}
	o := &engine.Policy{
		Namespace: p.Namespace, Name: p.Name, Subject: *own(p.Unit.Selector),
		IsolatesEgress: p.Isolates[propose.Egress], IsolatesIngress: p.Isolates[propose.Ingress],
	}
	for d, rules := range p.Rules {
		for i := range rules {
			var r engine.Rule
			for _, u := range rules[i].Units {
				r.Peers = append(r.Peers, engine.Peer{
					Namespaces: own(map[string]string{"kubernetes.io/metadata.name": u.Namespace}), Pods: own(u.Selector),
				})
			}
			for _, c := range rules[i].CIDRs {
				r.Peers = append(r.Peers, engine.Peer{Block: &engine.IPBlock{CIDR: c}})
			}
			for _, ports := range rules[i].Ports {
				r.Ports = append(r.Ports, engine.Port{Protocol: ports.Protocol, First: ports.First, Last: ports.Last})
			}
			if propose.Direction(d) == propose.Egress {
				o.Egress = append(o.Egress, r)
			} else {
				o.Ingress = append(o.Ingress, r)
			}
		}
	}
	return o
}

// changesOf returns what applying a proposal changes.
func changesOf(p *propose.Proposal) (list []engine.Change) {
	for i := range p.Policies {
		if p.Policies[i].Isolates != [2]bool{} {
			list = append(list, engine.Change{Object: policyOf(&p.Policies[i])})
		}
	}
	return list
}

// TestProposalsOfRandomClusters proposes for random flows of random clusters, with and without cluster-wide
// policies, and asks the naive oracle about every flow with the proposals applied: it is allowed, unless the
// check says that it is not and why nothing can be done. Nothing that today's policies allow is denied, and
// what the oracle finds opened is named by a comment.
func TestProposalsOfRandomClusters(t *testing.T) {
	seeds := 600
	if testing.Short() {
		seeds = 60
	}
	reached := map[string]int{}
	for seed := range seeds {
		for _, mode := range []propose.Mode{propose.DefaultDeny, propose.Missing} {
			if broken := checkRandom(uint64(seed), mode, reached); broken != "" {
				t.Fatalf("seed %d, mode %d: %s", seed, mode, broken)
			}
		}
	}
	for _, what := range []string{
		"allowed", "cluster-wide", "peer without labels", "mixed", "outside", "Nodes that no block matches", "opened", "closed", "no policy", "two families",
		"opened to the oracle", "opened to its own Node",
	} {
		if reached[what] == 0 && !testing.Short() {
			t.Errorf("no random cluster reaches: %s", what)
		}
	}
	if reached["unresolved"]*2 > reached["asked"] {
		t.Errorf("%d of %d questions with an answer are unresolved", reached["unresolved"], reached["asked"])
	}
}

func checkRandom(seed uint64, mode propose.Mode, reached map[string]int) string {
	random := enginetest.NewRandom(seed)
	if seed%3 == 0 {
		random = random.WithTiers()
	}
	objects := random.Cluster()
	options := engine.Options{IPBlockIgnoresPods: seed%2 == 1}
	cluster := engine.NewCluster(options)
	for _, o := range objects {
		cluster.Apply(engine.Change{Object: enginetest.Clone(o)})
	}
	before := cluster.Snapshot()
	observed := propose.NewObserved(before, propose.Options{Mode: mode})
	roles := before.NewRoles(false)
	rng := rand.New(rand.NewPCG(seed, 7))
	var asked []enginetest.Question
	for range 30 {
		q := random.Question(objects)
		if q.Src.Labels != nil || q.Dst.Labels != nil {
			continue // no network has a flow of a Pod that need not exist
		}
		alone := propose.NewObserved(before, propose.Options{})
		alone.Add(&propose.Flow{Query: q.Query(), Observed: flows.ObservedAllowed})
		if alone.Build(nil).Counts.Unresolved > 0 {
			if _, err := before.Allowed(q.Query()); err == nil {
				reached["unresolved"]++ // nothing connects the ends
			}
			continue
		}
		reached["asked"]++
		if ends, err := roles.Ends(q.Query().Dst, true); err == nil && ends[0].Kind == engine.RoleService &&
			!reachable(before, q, &ends[0]) {
			continue // nothing connects them
		}
		asked = append(asked, q)
		for range 1 + rng.IntN(3) {
			observed.Add(&propose.Flow{
				Query: q.Query(), Time: time.Unix(1_800_000_000+int64(rng.IntN(1000)), 0), Observed: flows.ObservedAllowed,
			})
		}
	}
	p := observed.Build(nil)
	after := before.With(changesOf(p))
	check, err := p.Check(nil, before, after)
	if err != nil {
		return err.Error()
	}
	if len(check.Broken) > 0 || len(check.Unnamed) > 0 {
		return fmt.Sprintf("broken %v, unnamed %+v", check.Broken, check.Unnamed)
	}
	if again := observed.Build(nil); fmt.Sprint(namesOf(p)) != fmt.Sprint(namesOf(again)) {
		return "two proposals of the same flows differ"
	}
	state := enginetest.State{}
	for _, o := range objects {
		state[engine.KeyOf(o)] = o
	}
	today := enginetest.Oracle{Objects: state.Objects(), Options: options}
	state.Apply(changesOf(p))
	oracle := enginetest.Oracle{Objects: state.Objects(), Options: options}
	if check.Opened > 0 {
		reached["opened"]++
	}
	if check.Closed > 0 {
		reached["closed"]++
	}
	for _, q := range asked {
		now, err := today.Allowed(q)
		if err != nil {
			continue
		}
		then, err := oracle.Allowed(q)
		switch {
		case err != nil:
			return fmt.Sprintf("%s: %v", q, err)
		case then.Allowed:
			reached["allowed"]++
			if then.Families == engine.IPv4|engine.IPv6 {
				reached["two families"]++
			}
		case now.Allowed:
			return fmt.Sprintf("%s is denied with the proposals", q)
		case len(check.Denied) == 0:
			return fmt.Sprintf("%s is denied, and the check does not say so", q)
		}
	}
	if unnamed := openedUnnamed(rng, p, &check, &today, &oracle, reached); unnamed != "" {
		return unnamed
	}
	return explained(p, &check, reached)
}

// reachable reports whether the source shares a family with every endpoint of a Service.
func reachable(s *engine.Snapshot, q enginetest.Question, service *engine.RoleEnd) bool {
	from := s.FamiliesOf(q.Query().Src)
	for _, target := range s.ServiceTargets(service.Namespace, service.Name, q.Port, q.Protocol) {
		to := engine.ByPod(service.Namespace, target.Pod)
		if target.IP.IsValid() {
			to = engine.ByIP(target.IP)
		}
		if from&s.FamiliesOf(to) == 0 {
			return false
		}
	}
	return true
}

// explained returns the connections that stay denied although a rule could be made.
func explained(p *propose.Proposal, check *propose.Check, reached map[string]int) string {
	for _, wrong := range check.Denied {
		unit, peer := wrong.Src.Unit, &wrong.Dst
		if wrong.Direction == propose.Ingress {
			unit, peer = wrong.Dst.Unit, &wrong.Src
		}
		policy := ""
		for i := range p.Policies {
			if p.Policies[i].Unit == unit {
				policy = fmt.Sprint(p.Policies[i].Open)
			}
		}
		switch {
		case wrong.By != nil:
			reached["cluster-wide"]++
		case unit == nil || unit.Selector == nil:
			reached["no policy"]++
		case peer.Unit != nil && !peer.Named():
			reached["peer without labels"]++
		case !peer.Named():
			reached["Nodes that no block matches"]++
		case strings.Contains(policy, "true"):
			reached["mixed"]++
		default:
			return fmt.Sprintf("%+v is denied without a reason", wrong)
		}
	}
	for i := range p.Policies {
		for _, rules := range p.Policies[i].Rules {
			for j := range rules {
				if len(rules[j].CIDRs) > 0 {
					reached["outside"]++
				}
			}
		}
	}
	return ""
}

func namesOf(p *propose.Proposal) (list []string) {
	for i := range p.Policies {
		list = append(list, p.Policies[i].Namespace+"/"+p.Policies[i].Name, enginetest.Text(policyOf(&p.Policies[i])))
	}
	return list
}
