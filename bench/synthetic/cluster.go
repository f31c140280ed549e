// Package synthetic makes clusters of a given size that look like real ones, for benchmarks: the same for
// every run.
//
// Namespaces hold Deployments of 1 to 200 replicas, whose Pods carry template hashes, and a StatefulSet each,
// whose Pods carry their own names. Most namespaces deny by default and then allow by application, component,
// named port, address range and, now and then, other namespaces' labels.
package synthetic

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/netpold/netpold/engine"
)

// Size is how large a cluster is.
type Size struct{ Pods, Policies int }

// String is the size as benchmarks name it: 10kPods-1kPolicies.
func (s Size) String() string {
	return fmt.Sprintf("%sPods-%sPolicies", short(s.Pods), short(s.Policies))
}

func short(n int) string {
	if n >= 1000 && n%1000 == 0 {
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}

// Sizes are those that benchmarks run at.
var Sizes = []Size{{1_000, 100}, {10_000, 1_000}, {100_000, 10_000}}

// Large is the size of the benchmarks that only make bench-large runs. Its objects and an engine take some 4 GB.
var Large = Size{1_000_000, 100_000}

// Cluster is a synthetic cluster.
type Cluster struct {
	Pods     []*engine.Pod
	Policies []*engine.Policy
	// Others are its Namespaces and Nodes.
	Others []engine.Object
}

// Changes are all objects, as first told: Namespaces and Nodes, then policies, then Pods.
func (c *Cluster) Changes() []engine.Change {
	changes := make([]engine.Change, 0, len(c.Others)+len(c.Policies)+len(c.Pods))
	for _, o := range c.Others {
		changes = append(changes, engine.Change{Object: o})
	}
	for _, o := range c.Policies {
		changes = append(changes, engine.Change{Object: o})
	}
	for _, o := range c.Pods {
		changes = append(changes, engine.Change{Object: o})
	}
	return changes
}

const (
	podsPerNamespace = 200
	podsPerNode      = 50
)

// New makes a cluster.
func New(size Size) *Cluster {
	g := &generator{rng: rand.New(rand.NewPCG(uint64(size.Pods), uint64(size.Policies)))}
	namespaces := max(size.Pods/podsPerNamespace, 5)
	for n := range namespaces {
		g.namespace(n, namespaces)
	}
	for n := 0; len(g.c.Pods) < size.Pods; n++ {
		g.workload(g.spaces[n%namespaces], size.Pods-len(g.c.Pods))
	}
	for n := 0; len(g.c.Policies) < size.Policies; n++ {
		g.policy(g.spaces[n%namespaces], n/namespaces)
	}
	for n := range size.Pods/podsPerNode + 1 {
		g.c.Others = append(g.c.Others, &engine.Node{
			Name: nodeName(n), IPs: []netip.Addr{nodeIP(n)},
			Labels: map[string]string{"zone": fmt.Sprintf("zone-%d", n%3)},
		})
	}
	return &g.c
}

type space struct {
	name string
	apps []string
}

type generator struct {
	rng    *rand.Rand
	c      Cluster
	spaces []*space
	apps   int
}

func nodeName(n int) string { return fmt.Sprintf("node-%04d", n) }

func nodeIP(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 168, byte(n >> 8), byte(n)}) }

func podIP(n int) netip.Addr {
	var b [4]byte
	// a /24 for each Node
	binary.BigEndian.PutUint32(b[:], 10<<24|uint32(n/podsPerNode)<<8|uint32(n%podsPerNode+2))
	return netip.AddrFrom4(b)
}

func (g *generator) namespace(n, of int) {
	s := &space{name: fmt.Sprintf("team-%03d", n)}
	g.spaces = append(g.spaces, s)
	g.c.Others = append(g.c.Others, &engine.Namespace{Name: s.name, Labels: map[string]string{
		"team": s.name, "stage": []string{"prod", "staging", "dev"}[n%3],
		"tenant": fmt.Sprintf("tenant-%d", n*20/of),
	}})
}

// workload adds a Deployment, or for every fourth a StatefulSet, with at most limit Pods.
func (g *generator) workload(s *space, limit int) {
	app := fmt.Sprintf("app-%d", len(s.apps))
	s.apps = append(s.apps, app)
	g.apps++
	replicas := 1 + g.rng.IntN(10)
	if g.rng.IntN(10) == 0 {
		replicas = 1 + g.rng.IntN(200)
	}
	stateful := g.rng.IntN(4) == 0
	if stateful {
		replicas = 1 + g.rng.IntN(9)
	}
	hash := fmt.Sprintf("%08x", g.rng.Uint32())
	for i := range min(replicas, limit) {
		n := len(g.c.Pods)
		labels := map[string]string{
			"app.kubernetes.io/name": app, "app.kubernetes.io/instance": s.name + "-" + app,
			"app.kubernetes.io/component": []string{"web", "api", "db", "cache", "worker"}[len(s.apps)%5],
			"app.kubernetes.io/version":   fmt.Sprintf("1.%d", g.rng.IntN(3)),
		}
		p := &engine.Pod{
			Namespace: s.name, UID: fmt.Sprint(n), Created: int64(n), Labels: labels,
			Node: nodeName(n / podsPerNode), IPs: []netip.Addr{podIP(n)},
			HostIPs: []netip.Addr{nodeIP(n / podsPerNode)},
			Ports:   []engine.NamedPort{{Name: "http", Port: 8080}, {Name: "metrics", Port: 9090}},
		}
		if stateful {
			p.Name = fmt.Sprintf("%s-%d", app, i)
			labels["statefulset.kubernetes.io/pod-name"] = p.Name
			p.Workloads = []engine.Workload{{Kind: "StatefulSet", Name: app}}
		} else {
			p.Name = fmt.Sprintf("%s-%s-%05x", app, hash, i)
			labels["pod-template-hash"] = hash
			p.Workloads = []engine.Workload{
				{Kind: "ReplicaSet", Name: app + "-" + hash}, {Kind: "Deployment", Name: app},
			}
		}
		g.c.Pods = append(g.c.Pods, p)
	}
}

func is(key, value string) engine.Selector {
	return engine.Selector{{Key: key, Operator: engine.In, Values: []string{value}}}
}

// policy adds the nth policy of a namespace: first what denies by default, for most, then what allows.
func (g *generator) policy(s *space, n int) {
	p := &engine.Policy{Namespace: s.name, Name: fmt.Sprintf("policy-%d", n)}
	g.c.Policies = append(g.c.Policies, p)
	if n == 0 && g.rng.IntN(10) < 8 {
		p.Name, p.IsolatesIngress, p.IsolatesEgress = "default-deny", true, true
		return
	}
	if n == 1 {
		p.Name, p.IsolatesEgress = "allow-egress", true
		dns := is("kubernetes.io/metadata.name", s.name)
		p.Egress = []engine.Rule{
			{Peers: []engine.Peer{{Namespaces: &dns}}},
			{Peers: []engine.Peer{g.block()}, Ports: []engine.Port{{First: 443, Last: 443}}},
		}
		return
	}
	if len(s.apps) == 0 {
		s.apps = []string{"app-0"}
	}
	app := func() engine.Selector { return is("app.kubernetes.io/name", s.apps[g.rng.IntN(len(s.apps))]) }
	p.Subject, p.IsolatesIngress = app(), true
	for range 1 + g.rng.IntN(3) {
		var r engine.Rule
		for range 1 + g.rng.IntN(2) {
			r.Peers = append(r.Peers, g.peer(app()))
		}
		r.Ports = []engine.Port{g.port()}
		p.Ingress = append(p.Ingress, r)
	}
}

func (g *generator) peer(app engine.Selector) engine.Peer {
	switch g.rng.IntN(10) {
	case 0:
		return g.block()
	case 1:
		stage, web := is("stage", "prod"), is("app.kubernetes.io/component", "web")
		return engine.Peer{Namespaces: &stage, Pods: &web}
	case 2:
		tenant := is("tenant", fmt.Sprintf("tenant-%d", g.rng.IntN(20)))
		return engine.Peer{Namespaces: &tenant}
	case 3:
		component := is("app.kubernetes.io/component", "api")
		return engine.Peer{Pods: &component}
	}
	return engine.Peer{Pods: &app}
}

func (g *generator) port() engine.Port {
	switch g.rng.IntN(4) {
	case 0:
		return engine.Port{Name: "http"}
	case 1:
		return engine.Port{First: 8000, Last: 8999}
	case 2:
		return engine.Port{First: 9090, Last: 9090}
	}
	return engine.Port{First: 8080, Last: 8080}
}

func (g *generator) block() engine.Peer {
	base := netip.AddrFrom4([4]byte{203, byte(g.rng.IntN(256)), 0, 0})
	return engine.Peer{Block: &engine.IPBlock{
		CIDR: netip.PrefixFrom(base, 16),
		Except: []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{203, base.As4()[1], byte(g.rng.IntN(256)), 0}), 24),
		},
	}}
}

// Heavy are n policies with rules rules each, of address ranges, that all select one Pod.
func Heavy(p *engine.Pod, n, rules int) []*engine.Policy {
	rng := rand.New(rand.NewPCG(uint64(n), uint64(rules)))
	list := make([]*engine.Policy, n)
	for i := range list {
		h := &engine.Policy{
			Namespace: p.Namespace, Name: fmt.Sprintf("heavy-%03d", i), IsolatesIngress: true,
			IsolatesEgress: true,
		}
		h.Subject = is("app.kubernetes.io/instance", p.Labels["app.kubernetes.io/instance"])
		for range rules {
			bits := 16 + rng.IntN(13)
			block := netip.PrefixFrom(
				netip.AddrFrom4(
					[4]byte{byte(11 + rng.IntN(180)), byte(rng.IntN(256)), byte(rng.IntN(256)), 0},
				),
				bits,
			).Masked()
			first := uint16(1024 + rng.IntN(60)*1000)
			r := engine.Rule{
				Peers: []engine.Peer{{Block: &engine.IPBlock{CIDR: block}}},
				Ports: []engine.Port{{First: first, Last: first + uint16(rng.IntN(200))}},
			}
			h.Ingress, h.Egress = append(h.Ingress, r), append(h.Egress, r)
		}
		list[i] = h
	}
	return list
}
