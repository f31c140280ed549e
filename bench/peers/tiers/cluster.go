// Package tiers compares evaluators with netpold on clusters with cluster-wide policies. It imports none of
// them, because they need different versions of the policies' API.
package tiers

import (
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/mirror/convert/converttest"
)

// A Cluster is a cluster with cluster-wide policies, all of which an API server takes.
type Cluster struct {
	Namespaces      []*engine.Namespace
	Nodes           []*engine.Node
	Pods            []*engine.Pod
	NetworkPolicies []*engine.Policy
	Policies        []*engine.ClusterPolicy
	// kinds are the kinds of Policies.
	kinds []engine.ClusterPolicyKind
}

// Random returns a random cluster with cluster-wide policies of these kinds, in turn. Every address is of IPv4
// and has one owner. What evaluators are known to read otherwise in NetworkPolicies is left out, since
// bench/peers has it: blocks, named ports, protocols without a port.
func Random(seed uint64, kinds []engine.ClusterPolicyKind) *Cluster {
	c := &Cluster{kinds: kinds}
	for _, o := range enginetest.NewRandom(seed).WithTiers().Cluster() {
		switch o := o.(type) {
		case *engine.Namespace:
			c.Namespaces = append(c.Namespaces, o)
		case *engine.Node:
			o.IPs, o.PodCIDRs = nil, nil
			c.Nodes = append(c.Nodes, o)
		case *engine.Pod:
			c.addPod(o)
		case *engine.Policy:
			c.addNetworkPolicy(o)
		case *engine.ClusterPolicy:
			c.addPolicy(o)
		}
	}
	c.complete()
	return c
}

func (c *Cluster) addPod(p *engine.Pod) {
	p.Finished, p.Placeholder = false, false
	p.HostPorts, p.SecondaryIPs, p.Workloads = nil, nil, nil
	if p.Node == "" {
		p.Node = "n1"
	}
	p.IPs = []netip.Addr{address(0, len(c.Pods)+1)}
	c.Pods = append(c.Pods, p)
}

func (c *Cluster) addNetworkPolicy(p *engine.Policy) {
	if !p.IsolatesEgress && !p.IsolatesIngress {
		p.IsolatesIngress = true
	}
	p.Subject = valid(p.Subject)
	for _, rules := range []*[]engine.Rule{&p.Egress, &p.Ingress} {
		for i := range *rules {
			r := &(*rules)[i]
			r.Peers = keep(r.Peers, func(p engine.Peer) bool {
				return p.Block == nil && (p.Pods != nil || p.Namespaces != nil)
			}, engine.Peer{Pods: &engine.Selector{}})
			r.Ports = keep(r.Ports, func(p engine.Port) bool {
				return p.Name == "" && p.First > 0 && p.First == p.Last
			}, engine.Port{Protocol: engine.TCP, First: 80, Last: 80})
			validPeers(r.Peers)
		}
	}
	p.TypesOmitted = false // an API server writes the types, and peers do not default them
	c.NetworkPolicies = append(c.NetworkPolicies, p)
}

// addPolicy adds p as a policy of one of the kinds.
func (c *Cluster) addPolicy(p *engine.ClusterPolicy) {
	p.Kind = c.kinds[len(c.Policies)%len(c.kinds)]
	if p.Kind == engine.BaselineAdminNetworkPolicy && slices.ContainsFunc(c.Policies, isBaselineAdmin) {
		p.Kind = c.kinds[0] // there is one of that kind at most
	}
	p.Name = string(rune('a' + len(c.Policies)))
	p = converttest.ValidClusterPolicy(p)
	p.Subject.Namespaces, p.Subject.Pods = valid(p.Subject.Namespaces), valid(p.Subject.Pods)
	for _, r := range slices.Concat(p.Egress, p.Ingress) {
		validPeers(r.Peers)
	}
	c.Policies = append(c.Policies, p)
}

func isBaselineAdmin(p *engine.ClusterPolicy) bool {
	return p.Kind == engine.BaselineAdminNetworkPolicy
}

// complete adds the Namespaces and Nodes that Pods need, and gives addresses to Nodes and host-network Pods.
func (c *Cluster) complete() {
	for _, p := range c.Pods {
		if !slices.ContainsFunc(c.Namespaces, func(n *engine.Namespace) bool { return n.Name == p.Namespace }) {
			c.Namespaces = append(c.Namespaces, &engine.Namespace{Name: p.Namespace})
		}
		if !slices.ContainsFunc(c.Nodes, func(n *engine.Node) bool { return n.Name == p.Node }) {
			c.Nodes = append(c.Nodes, &engine.Node{Name: p.Node})
		}
	}
	addresses := map[string][]netip.Addr{}
	for i, n := range c.Nodes {
		n.IPs = []netip.Addr{address(1, i+1)}
		addresses[n.Name] = n.IPs
	}
	for _, p := range c.Pods {
		p.HostIPs = addresses[p.Node]
		if p.HostNetwork {
			p.IPs = p.HostIPs
		}
	}
}

// address returns an address of the Pods or, for network 1, of the Nodes.
func address(network, i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(network), byte(i)})
}

// outside is nobody's address.
func outside() netip.Addr { return netip.MustParseAddr("198.51.100.9") }

// keep returns what of list is good, or instead if that is nothing. An empty list stays empty.
func keep[T any](list []T, good func(T) bool, instead T) []T {
	if len(list) == 0 {
		return nil
	}
	list = slices.DeleteFunc(slices.Clone(list), func(x T) bool { return !good(x) })
	if len(list) == 0 {
		list = append(list, instead)
	}
	return list
}

// valid returns a selector without the requirements that an API server refuses.
func valid(s engine.Selector) engine.Selector {
	var to engine.Selector
	for _, r := range s {
		switch r.Operator {
		case engine.Exists, engine.DoesNotExist:
			r.Values = nil
		case engine.In, engine.NotIn:
			if len(r.Values) == 0 {
				continue
			}
		}
		to = append(to, r)
	}
	return to
}

func validPeers(peers []engine.Peer) {
	for i := range peers {
		for _, s := range []**engine.Selector{&peers[i].Namespaces, &peers[i].Pods, &peers[i].Nodes} {
			if *s != nil {
				v := valid(**s)
				*s = &v
			}
		}
	}
}

// Objects returns the objects for netpold.
func (c *Cluster) Objects() []engine.Object {
	var to []engine.Object
	add(&to, c.Namespaces)
	add(&to, c.Nodes)
	add(&to, c.Pods)
	add(&to, c.NetworkPolicies)
	add(&to, c.Policies)
	return to
}

func add[T engine.Object](to *[]engine.Object, list []T) {
	for _, o := range list {
		*to = append(*to, o)
	}
}

// Kubernetes returns the same as an API server has them, cluster-wide policies as *unstructured.Unstructured.
func (c *Cluster) Kubernetes() []convert.Object {
	var to []convert.Object
	for _, o := range c.Objects() {
		to = append(to, converttest.Object(o))
	}
	return to
}
