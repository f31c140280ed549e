package synthetic

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/netpold/netpold/engine"
)

// tierPorts are ports that rules of cluster-wide policies name: those of well-known services, and that of the
// cluster's own applications.
var tierPorts = []uint16{22, 53, 443, 2379, 3306, 5432, 6379, 9092, 9200, 10250, 8080}

// ClusterPolicies returns n cluster-wide policies with rules rules each, half of either direction, for a cluster
// that [New] makes. Of ten, seven are ClusterNetworkPolicies of the Admin tier, one is an AdminNetworkPolicy and
// two are of the Baseline tier. Four have all Pods as their subject, three the namespaces of a stage, two those
// of a tenant, and one a component of a stage.
func ClusterPolicies(n, rules int) []*engine.ClusterPolicy {
	g := &tierGenerator{rng: rand.New(rand.NewPCG(uint64(n), uint64(rules)))}
	list := make([]*engine.ClusterPolicy, n)
	for i := range list {
		p := &engine.ClusterPolicy{Name: fmt.Sprintf("policy-%03d", i), Tier: engine.Admin}
		p.Priority = int32(g.rng.IntN(1001))
		switch i % 10 {
		case 7:
			p.Kind = engine.AdminNetworkPolicy
		case 8, 9:
			p.Tier = engine.Baseline
		}
		switch g.rng.IntN(10) {
		case 0, 1, 2:
			p.Subject.Namespaces = g.stage()
		case 3, 4:
			p.Subject.Namespaces = g.tenant()
		case 5:
			p.Subject.Namespaces, p.Subject.Pods = g.stage(), g.component()
		}
		for j := range rules {
			if j%2 == 0 {
				p.Ingress = append(p.Ingress, g.rule(false))
			} else {
				p.Egress = append(p.Egress, g.rule(true))
			}
		}
		list[i] = p
	}
	return list
}

type tierGenerator struct{ rng *rand.Rand }

func (g *tierGenerator) stage() engine.Selector {
	return is("stage", []string{"prod", "staging", "dev"}[g.rng.IntN(3)])
}

func (g *tierGenerator) tenant() engine.Selector {
	return is("tenant", fmt.Sprintf("tenant-%d", g.rng.IntN(20)))
}

func (g *tierGenerator) component() engine.Selector {
	return is("app.kubernetes.io/component", []string{"web", "api", "db", "cache", "worker"}[g.rng.IntN(5)])
}

func (g *tierGenerator) rule(egress bool) engine.ClusterRule {
	var r engine.ClusterRule
	r.Action = []engine.Action{engine.Deny, engine.Deny, engine.Allow, engine.Allow, engine.Pass}[g.rng.IntN(5)]
	for range 1 + g.rng.IntN(2) {
		r.Peers = append(r.Peers, g.peer(egress))
	}
	named := true
	for i := range r.Peers {
		named = named && r.Peers[i].Block == nil && r.Peers[i].Nodes == nil
	}
	for range 1 + g.rng.IntN(2) {
		r.Ports = append(r.Ports, g.port(named))
	}
	return r
}

func (g *tierGenerator) peer(egress bool) engine.Peer {
	kind := g.rng.IntN(10)
	if egress && kind < 2 {
		return engine.Peer{Block: &engine.IPBlock{
			CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, byte(g.rng.IntN(256)), 0, 0}), 16),
		}}
	}
	if egress && kind == 2 {
		nodes := is("zone", fmt.Sprintf("zone-%d", g.rng.IntN(3)))
		return engine.Peer{Nodes: &nodes}
	}
	namespaces := g.tenant()
	if kind < 6 {
		namespaces = g.stage()
	}
	if kind < 8 {
		pods := g.component()
		return engine.Peer{Namespaces: &namespaces, Pods: &pods}
	}
	return engine.Peer{Namespaces: &namespaces}
}

func (g *tierGenerator) port(named bool) engine.Port {
	switch kind := g.rng.IntN(10); {
	case kind == 0 && named:
		return engine.Port{Name: "metrics", AnyProtocol: true}
	case kind == 1:
		first := uint16(30000 + g.rng.IntN(2000))
		return engine.Port{First: first, Last: first + uint16(g.rng.IntN(700))}
	}
	port := tierPorts[g.rng.IntN(len(tierPorts))]
	return engine.Port{First: port, Last: port}
}
