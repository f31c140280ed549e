package enginetest

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// ListedEnd is an end of connections as lists name it. One field is set.
type ListedEnd struct {
	// Pod is a Pod of the objects that has not finished, as asked by name.
	Pod *engine.Pod
	// Node is an address of a Node.
	Node netip.Addr
	// Outside is taken as if nothing in the cluster had it.
	Outside netip.Addr
	// Labels is a Pod that need not exist.
	Labels *engine.LabelledPod
}

// PolicyVerdict returns the decision about two ends by what policies say alone: of every ordered pair, a Pod
// and itself and the Pods of one Node included (A2).
func (o *Oracle) PolicyVerdict(
	src, dst ListedEnd, port uint16, protocol engine.Protocol,
) engine.Decision {
	alone := *o
	alone.policiesAlone = true
	return alone.decidePods(
		group{parties: []party{o.listed(src)}}, group{parties: []party{o.listed(dst)}},
		Question{Port: port, Protocol: protocol},
	)
}

// ServiceVerdict returns the decision about a Pod and a Service as [Oracle.Allowed] makes it, but without S2
// and S3 and what S44 makes of them.
func (o *Oracle) ServiceVerdict(
	src *engine.Pod, dst *engine.Service, port uint16, protocol engine.Protocol,
) (engine.Decision, error) {
	alone := *o
	alone.policiesAlone = true
	return alone.Allowed(Question{
		Src: Endpoint{Pod: &Name{src.Namespace, src.Name}}, Dst: Endpoint{Service: &Name{dst.Namespace, dst.Name}},
		Port: port, Protocol: protocol,
	})
}

// listed returns the party that an end is.
func (o *Oracle) listed(e ListedEnd) party {
	switch {
	case e.Pod != nil:
		return o.podParty(e.Pod)
	case e.Node.IsValid():
		p := o.partyAt(e.Node)
		p.askedByIP = true
		return p
	case e.Labels != nil:
		g, err := o.resolve(Endpoint{Labels: e.Labels}, false)
		if err != nil {
			panic(err)
		}
		return g.parties[0]
	}
	return party{askedByIP: true, addrs: []netip.Addr{e.Outside}}
}

// Addresses returns the addresses of an end that count (S7, S9), sorted.
func (o *Oracle) Addresses(e ListedEnd) []netip.Addr {
	list := slices.Clone(o.listed(e).addrs)
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// NodeAddresses returns every address of a Node by its Node: those that a Node's identity has (S4, S5).
func (o *Oracle) NodeAddresses() map[netip.Addr]string {
	var all []netip.Addr
	for _, n := range objectsOf[*engine.Node](o) {
		all = append(all, n.IPs...)
	}
	for _, p := range o.running() {
		if p.HostNetwork {
			all = append(all, p.IPs...)
		}
		if p.Node != "" {
			all = append(all, p.HostIPs...)
		}
	}
	found := map[netip.Addr]string{}
	for _, a := range all {
		if p := o.partyAt(a); p.isNode && p.node != "" {
			found[a] = p.node
		}
	}
	return found
}

// Treatment returns a text that is equal for ends that all policies treat alike: as a source, by the policies
// that select it for egress and the peers of ingress rules that match it (L4), or as a destination.
func (o *Oracle) Treatment(e ListedEnd, source bool) string {
	p := o.listed(e)
	var b strings.Builder
	fmt.Fprint(&b, familyText(p.families()), p.askedByIP)
	if o.Options.IgnorePolicies {
		return b.String()
	}
	others := !source
	for _, x := range o.Objects {
		switch x.(type) {
		case *engine.Policy, *engine.ClusterPolicy:
		default:
			continue
		}
		if o.restricts(x, p, source) {
			fmt.Fprint(&b, " under ", engine.KeyOf(x))
		}
		o.peersThatMatch(&b, x, p, others)
	}
	if !source && p.subject {
		fmt.Fprint(&b, o.mentionedPorts(p.ports))
	}
	return b.String()
}

// restricts reports whether a policy selects p and exists for a direction (S10, S12, S32, S36).
func (o *Oracle) restricts(x engine.Object, p party, egress bool) bool {
	if !p.subject {
		return false
	}
	switch x := x.(type) {
	case *engine.Policy:
		return (egress && x.IsolatesEgress || !egress && x.IsolatesIngress) &&
			x.Namespace == p.namespace && matchSelector(x.Subject, p.labels)
	case *engine.ClusterPolicy:
		return (egress && len(x.Egress) > 0 || !egress && len(x.Ingress) > 0) &&
			matchSelector(x.Subject.Namespaces, o.namespaceLabels(p.namespace)) &&
			matchSelector(x.Subject.Pods, p.labels)
	}
	return false
}

// peersThatMatch writes which peers of the rules of a direction match p, in each family.
func (o *Oracle) peersThatMatch(b *strings.Builder, x engine.Object, p party, egress bool) {
	matches := func(peer engine.Peer, p party) bool { return false }
	var rules []engine.ClusterRule
	switch x := x.(type) {
	case *engine.Policy:
		if egress && x.IsolatesEgress || !egress && x.IsolatesIngress {
			rules = policyRules(x, egress)
		}
		matches = func(peer engine.Peer, p party) bool { return o.matchPeer(peer, x.Namespace, p) }
	case *engine.ClusterPolicy:
		rules = x.Ingress
		if egress {
			rules = x.Egress
		}
		matches = o.matchClusterPeer
	}
	for i, u := range rules {
		for j, peer := range u.Peers {
			for _, f := range []engine.Families{engine.IPv4, engine.IPv6} {
				if matches(peer, p.inFamily(f)) {
					fmt.Fprint(b, " peer ", engine.KeyOf(x), i, j, familyText(f))
				}
			}
		}
	}
}

// mentionedPorts returns those of ports whose name some policy mentions.
func (o *Oracle) mentionedPorts(ports []engine.NamedPort) []engine.NamedPort {
	mentioned := map[string]bool{}
	add := func(rules []engine.ClusterRule) {
		for _, u := range rules {
			for _, p := range u.Ports {
				mentioned[p.Name] = true
			}
		}
	}
	for _, x := range o.Objects {
		switch x := x.(type) {
		case *engine.Policy:
			add(policyRules(x, true))
			add(policyRules(x, false))
		case *engine.ClusterPolicy:
			add(x.Egress)
			add(x.Ingress)
		}
	}
	list := slices.DeleteFunc(slices.Clone(ports), func(p engine.NamedPort) bool { return !mentioned[p.Name] })
	slices.SortFunc(list, func(a, b engine.NamedPort) int {
		return cmp.Or(
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port),
		)
	})
	return slices.Compact(list)
}
