package tiers

import (
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A Difference is what some peers make otherwise of cluster-wide policies.
type Difference struct {
	// Rule is of docs/semantics.md.
	Rule string
	// What is asked, and what those peers make of it. Why says why netpold is right.
	What, Why string
	// Peers are those that differ, by name. The others agree.
	Peers []string
	// example makes it happen in the cluster of [example]. It returns the question and netpold's answer.
	example func(*Cluster) (Question, bool)
	// avoid takes it out of a random cluster, and skip reports whether a question of one meets it. Either may
	// be nil.
	avoid func(*Cluster)
	skip  func(*Cluster, Question) bool
}

const (
	byAnalyzer = "netpol-analyzer"
	byKubeANP  = "kube-network-policies (v1alpha1)"
	byKubeCNP  = "kube-network-policies (v1alpha2)"
)

// Differences are all that are known, in order of rule.
func Differences() []Difference {
	return []Difference{
		{
			Rule:  "S2",
			What:  "a Pod to itself, which an Admin rule denies: denied",
			Why:   "Such traffic does not leave the Pod",
			Peers: []string{byKubeANP, byKubeCNP},
			example: func(c *Cluster) (Question, bool) {
				c.admin().Egress = rule(engine.Deny, engine.Peer{Namespaces: &engine.Selector{}})
				return on80(c.Pods[0], c.Pods[0].IPs[0]), true
			},
			skip: func(_ *Cluster, q Question) bool { return q.Src == q.Dst },
		},
		{
			Rule:  "S3",
			What:  "an isolated Pod and its own Node: denied",
			Why:   "The API of NetworkPolicy lets a Node and its Pods reach one another",
			Peers: []string{byAnalyzer, byKubeANP, byKubeCNP},
			example: func(c *Cluster) (Question, bool) {
				c.isolate(true, true)
				return on80(c.Pods[0], c.Nodes[0].IPs[0]), true
			},
			skip: func(c *Cluster, q Question) bool { return c.ownNode(q.Src, q.Dst) || c.ownNode(q.Dst, q.Src) },
		},
		{
			Rule:  "S33",
			What:  "the Baseline tier for egress of a Pod that is isolated for ingress alone: not asked",
			Why:   "Isolation is by direction; upstream leaves it open",
			Peers: []string{byKubeANP, byKubeCNP},
			example: func(c *Cluster) (Question, bool) {
				c.isolate(false, true)
				c.baseline().Egress = rule(engine.Deny, engine.Peer{Namespaces: &engine.Selector{}})
				c.NetworkPolicies[0].Ingress = []engine.Rule{{}}
				return on80(c.Pods[0], c.Pods[1].IPs[0]), false
			},
			avoid: func(c *Cluster) {
				for _, p := range c.NetworkPolicies {
					p.IsolatesEgress, p.IsolatesIngress = true, true
				}
			},
		},
		{
			Rule:  "S34",
			What:  "two policies of one priority: an error",
			Why:   "An API server takes them, and upstream leaves their order open, no more",
			Peers: []string{byAnalyzer},
			example: func(c *Cluster) (Question, bool) {
				c.admin().Egress = rule(engine.Deny, engine.Peer{Namespaces: &engine.Selector{}})
				c.admin().Egress = rule(engine.Allow, engine.Peer{Namespaces: &engine.Selector{}})
				return on80(c.Pods[0], c.Pods[1].IPs[0]), false
			},
			avoid: func(c *Cluster) {
				for i, p := range c.Policies {
					p.Priority = (p.Priority*100 + int32(i)) % 1000
				}
			},
		},
		{
			Rule:  "S36, S37",
			What:  "a host-network Pod that selectors match: selected",
			Why:   "The API leaves such Pods out, as subject and as peer",
			Peers: []string{byAnalyzer},
			example: func(c *Cluster) (Question, bool) {
				c.admin().Ingress = rule(engine.Deny, engine.Peer{Namespaces: &engine.Selector{}})
				c.Pods[0].HostNetwork, c.Pods[0].IPs = true, c.Nodes[0].IPs
				return on80(c.Pods[0], c.Pods[1].IPs[0]), true
			},
			avoid: func(c *Cluster) {
				c.Pods = slices.DeleteFunc(c.Pods, func(p *engine.Pod) bool { return p.HostNetwork })
			},
		},
		{
			Rule:  "S38",
			What:  "a peer `nodes` and the address of such a Node: no match",
			Why:   "The field means just that",
			Peers: []string{byAnalyzer, byKubeANP},
			example: func(c *Cluster) (Question, bool) {
				c.admin().Egress = rule(engine.Deny, engine.Peer{Nodes: &engine.Selector{}})
				return on80(c.Pods[0], c.Nodes[1].IPs[0]), false
			},
			avoid: withoutPeers(func(p engine.Peer) bool { return p.Nodes != nil }),
		},
		{
			Rule:  "S38",
			What:  "a peer `nodes` and a Pod on such a Node: a match",
			Why:   "The field means Nodes, and not their Pods",
			Peers: []string{byKubeANP},
			example: func(c *Cluster) (Question, bool) {
				c.admin().Egress = rule(engine.Deny, engine.Peer{Nodes: &engine.Selector{}})
				return on80(c.Pods[0], c.Pods[1].IPs[0]), true
			},
		},
		{
			Rule:  "S39",
			What:  "a peer `networks` and the address of a Pod: no match",
			Why:   "The API says that Pods are matched",
			Peers: []string{byAnalyzer},
			example: func(c *Cluster) (Question, bool) {
				c.admin().Egress = rule(engine.Deny, network("10.0.0.0/8"))
				return on80(c.Pods[0], c.Pods[1].IPs[0]), false
			},
			skip: (*Cluster).podInNetwork,
		},
		{
			Rule:  "S43",
			What:  "a named port that has several numbers: the first alone",
			Why:   "The name is looked up, and every port of that name counts; upstream leaves it open",
			Peers: []string{byAnalyzer},
			example: func(c *Cluster) (Question, bool) {
				c.named()
				c.Pods[1].Ports = []engine.NamedPort{
					{Name: "http", Port: 81, Protocol: engine.TCP}, {Name: "http", Port: 80, Protocol: engine.TCP},
				}
				return on80(c.Pods[0], c.Pods[1].IPs[0]), false
			},
			avoid: func(c *Cluster) {
				for _, p := range c.Pods {
					seen := map[string]bool{}
					p.Ports = slices.DeleteFunc(slices.Clone(p.Ports), func(n engine.NamedPort) bool {
						defer func() { seen[n.Name] = true }()
						return seen[n.Name]
					})
				}
			},
		},
		{
			Rule:  "S43",
			What:  "a named port and another number than its own: a match",
			Why:   "The name stands for its number and protocol",
			Peers: []string{byKubeANP},
			example: func(c *Cluster) (Question, bool) {
				c.named()
				c.Pods[1].Ports = []engine.NamedPort{{Name: "http", Port: 81, Protocol: engine.TCP}}
				return on80(c.Pods[0], c.Pods[1].IPs[0]), true
			},
			avoid: func(c *Cluster) {
				for _, p := range c.Policies {
					for _, rules := range [][]engine.ClusterRule{p.Egress, p.Ingress} {
						for i := range rules {
							rules[i].Ports = keep(rules[i].Ports, func(p engine.Port) bool { return p.Name == "" },
								engine.Port{Protocol: engine.TCP, First: 80, Last: 80})
						}
					}
				}
			},
		},
	}
}

// withoutPeers takes peers out of every egress rule; a rule that has no other gets every Pod.
func withoutPeers(out func(engine.Peer) bool) func(*Cluster) {
	return func(c *Cluster) {
		for _, p := range c.Policies {
			for i := range p.Egress {
				p.Egress[i].Peers = keep(p.Egress[i].Peers, func(p engine.Peer) bool { return !out(p) },
					engine.Peer{Namespaces: &engine.Selector{}})
			}
		}
	}
}

// podInNetwork reports whether the destination is a Pod and in a network of some rule.
func (c *Cluster) podInNetwork(q Question) bool {
	return slices.ContainsFunc(c.Pods, func(p *engine.Pod) bool { return slices.Contains(p.IPs, q.Dst) }) &&
		slices.ContainsFunc(c.Policies, func(p *engine.ClusterPolicy) bool {
			return slices.ContainsFunc(p.Egress, func(r engine.ClusterRule) bool {
				return slices.ContainsFunc(r.Peers, func(p engine.Peer) bool {
					return p.Block != nil && p.Block.CIDR.Contains(q.Dst)
				})
			})
		})
}

// ownNode reports whether node is an address of the Node of a Pod with the address pod.
func (c *Cluster) ownNode(pod, node netip.Addr) bool {
	return slices.ContainsFunc(c.Pods, func(p *engine.Pod) bool {
		return slices.Contains(p.IPs, pod) && slices.Contains(p.HostIPs, node)
	})
}

// example returns a cluster of one Namespace with two Pods on two Nodes. The policies that are added to it
// are of these kinds.
func example(kinds []engine.ClusterPolicyKind) *Cluster {
	pod := func(i int) *engine.Pod {
		return &engine.Pod{
			Namespace: "shop", Name: string(rune('a' + i)), Node: string(rune('m' + i)),
			IPs: []netip.Addr{address(0, i+1)}, HostIPs: []netip.Addr{address(1, i+1)},
		}
	}
	c := &Cluster{Namespaces: []*engine.Namespace{{Name: "shop"}}, Pods: []*engine.Pod{pod(0), pod(1)}, kinds: kinds}
	c.complete()
	return c
}

// admin adds a policy of the Admin tier for every Pod.
func (c *Cluster) admin() *engine.ClusterPolicy {
	p := &engine.ClusterPolicy{Kind: engine.AdminNetworkPolicy, Tier: engine.Admin}
	if slices.Contains(c.kinds, engine.ClusterNetworkPolicy) {
		p.Kind = engine.ClusterNetworkPolicy
	}
	p.Name = string(rune('a' + len(c.Policies)))
	c.Policies = append(c.Policies, p)
	return p
}

// baseline adds a policy of the Baseline tier for every Pod.
func (c *Cluster) baseline() *engine.ClusterPolicy {
	p := c.admin()
	p.Tier = engine.Baseline
	if p.Kind == engine.AdminNetworkPolicy {
		p.Kind, p.Name = engine.BaselineAdminNetworkPolicy, "default"
	}
	return p
}

// isolate adds a NetworkPolicy without rules for every Pod.
func (c *Cluster) isolate(egress, ingress bool) {
	c.NetworkPolicies = append(c.NetworkPolicies, &engine.Policy{
		Namespace: "shop", Name: "isolate", IsolatesEgress: egress, IsolatesIngress: ingress,
	})
}

// named adds a rule that denies every Pod the port "http".
func (c *Cluster) named() {
	p := c.admin()
	p.Egress = rule(engine.Deny, engine.Peer{Namespaces: &engine.Selector{}})
	p.Egress[0].Ports = []engine.Port{{Name: "http", AnyProtocol: true}}
}

func rule(a engine.Action, peer engine.Peer) []engine.ClusterRule {
	return []engine.ClusterRule{{Action: a, Rule: engine.Rule{Peers: []engine.Peer{peer}}}}
}

func network(cidr string) engine.Peer {
	return engine.Peer{Block: &engine.IPBlock{CIDR: netip.MustParsePrefix(cidr)}}
}

func on80(src *engine.Pod, dst netip.Addr) Question {
	return Question{Src: src.IPs[0], Dst: dst, Port: 80, Protocol: engine.TCP}
}
