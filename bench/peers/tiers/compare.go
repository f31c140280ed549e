package tiers

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror/convert"
)

// A Question asks whether Src may open a connection to Dst.
type Question struct {
	Src, Dst netip.Addr
	Port     uint16
	Protocol engine.Protocol
}

// A Peer is an evaluator that knows cluster-wide policies.
type Peer struct {
	// Name is the Go module's last element.
	Name string
	// Kinds are the kinds of cluster-wide policy that it knows together.
	Kinds []engine.ClusterPolicyKind
	// Load returns a function that answers about these objects.
	Load func([]convert.Object) (func(Question) (bool, error), error)
}

// Compare proves that the peer answers as netpold, but for the differences that name it: each is shown by an
// example, and random clusters without them are answered alike.
func Compare(t *testing.T, p Peer) {
	t.Helper()
	for _, d := range Differences() {
		t.Run(d.Rule+" "+d.What, func(t *testing.T) { d.compare(t, p) })
	}
	t.Run("random", func(t *testing.T) { compareRandom(t, p) })
}

// compare proves that the peer differs if it is said to.
func (d *Difference) compare(t *testing.T, p Peer) {
	c := example(p.Kinds)
	q, want := d.example(c)
	decided, err := (&enginetest.Oracle{Objects: c.Objects()}).Allowed(q.engine())
	if err != nil || decided.Allowed != want {
		t.Fatalf("netpold says %t (%v), want %t", decided.Allowed, err, want)
	}
	got, err := ask(p, c, q)
	if differs := err != nil || got != want; differs != slices.Contains(d.Peers, p.Name) {
		t.Errorf("allowed %t (%v); netpold says %t, and the peers that differ are %v", got, err, want, d.Peers)
	}
}

func ask(p Peer, c *Cluster, q Question) (bool, error) {
	allowed, err := p.Load(c.Kubernetes())
	if err != nil {
		return false, err
	}
	return allowed(q)
}

func compareRandom(t *testing.T, p Peer) {
	verdicts, tiers := map[bool]int{}, map[engine.Tier]int{}
	for seed := range uint64(150) {
		c := Random(seed, p.Kinds)
		var skips []func(*Cluster, Question) bool
		for _, d := range Differences() {
			if !slices.Contains(d.Peers, p.Name) {
				continue
			}
			if d.avoid != nil {
				d.avoid(c)
			}
			if d.skip != nil {
				skips = append(skips, d.skip)
			}
		}
		allowed, err := p.Load(c.Kubernetes())
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		oracle := &enginetest.Oracle{Objects: c.Objects()}
		for _, q := range c.questions() {
			if slices.ContainsFunc(skips, func(skip func(*Cluster, Question) bool) bool { return skip(c, q) }) {
				continue
			}
			want, err := oracle.Allowed(q.engine())
			if err != nil {
				t.Fatal(err)
			}
			verdicts[want.Allowed]++
			tiers[want.Egress.Tier]++
			tiers[want.Ingress.Tier]++
			if got, err := allowed(q); err != nil || got != want.Allowed {
				t.Fatalf("seed %d, %v: %t (%v), netpold %s\n%s", seed, q, got, err, enginetest.Text(want),
					enginetest.ObjectsText(c.Objects()))
			}
		}
	}
	t.Logf("%d allowed, %d denied; sides by tier %v", verdicts[true], verdicts[false], tiers)
	for _, n := range []int{
		verdicts[true], verdicts[false], tiers[engine.Admin], tiers[engine.NetworkPolicies], tiers[engine.Baseline],
	} {
		if n < 1000 {
			t.Error("the questions tell little")
		}
	}
}

func (q Question) engine() enginetest.Question {
	return enginetest.Question{
		Src: enginetest.Endpoint{IP: q.Src}, Dst: enginetest.Endpoint{IP: q.Dst}, Port: q.Port, Protocol: q.Protocol,
	}
}

// questions returns all pairs of Pods, Nodes and an outsider, on some ports.
func (c *Cluster) questions() []Question {
	ends := []netip.Addr{outside()}
	for _, n := range c.Nodes {
		ends = append(ends, n.IPs...)
	}
	for _, p := range c.Pods {
		if !p.HostNetwork {
			ends = append(ends, p.IPs...)
		}
	}
	var to []Question
	for _, src := range ends {
		for _, dst := range ends {
			for _, q := range []Question{
				{Port: 80, Protocol: engine.TCP}, {Port: 8080, Protocol: engine.TCP}, {Port: 81, Protocol: engine.UDP},
				{Port: 80, Protocol: engine.SCTP}, {Port: 65535, Protocol: engine.TCP},
			} {
				q.Src, q.Dst = src, dst
				to = append(to, q)
			}
		}
	}
	return to
}
