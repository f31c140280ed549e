package propose_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/audit/propose"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// openedQuestions is how many connections of a cluster are asked about what the proposals open.
const openedQuestions = 40

// openedUnnamed asks the oracle, today and with the proposals, about connections that nobody was seen to make. It
// returns one that is opened and that no comment of a rule names; "" if there is none. It needs nothing of the code
// that compares snapshots.
func openedUnnamed(
	rng *rand.Rand, p *propose.Proposal, check *propose.Check, today, then *enginetest.Oracle, reached map[string]int,
) string {
	var pods []*engine.Pod
	for _, o := range then.Objects {
		if pod, ok := o.(*engine.Pod); ok && !pod.Finished {
			pods = append(pods, pod)
		}
	}
	if len(pods) == 0 {
		return ""
	}
	ports, addrs := enginetest.Borders(then.Objects)
	addrs = slices.DeleteFunc(addrs, func(ip netip.Addr) bool { return isOwned(then.Objects, ip) })
	for i := range p.Policies { // most of the ports that matter
		for _, rule := range slices.Concat(p.Policies[i].Rules[propose.Egress], p.Policies[i].Rules[propose.Ingress]) {
			for range 3 {
				ports = append(ports, rule.Ports...)
			}
		}
	}
	for range openedQuestions {
		src, dst := openedEnd{pod: pods[rng.IntN(len(pods))]}, openedEnd{pod: pods[rng.IntN(len(pods))]}
		switch ip := addrs[rng.IntN(len(addrs))]; rng.IntN(4) {
		case 0:
			src = openedEnd{ip: ip}
		case 1:
			dst = openedEnd{ip: ip}
		}
		port := ports[rng.IntN(len(ports))]
		q := enginetest.Question{Src: src.asked(), Dst: dst.asked(), Port: port.First, Protocol: port.Protocol}
		before, err := today.Allowed(q)
		if err != nil || before.Allowed {
			continue
		}
		after, err := then.Allowed(q)
		if err != nil || !after.Allowed {
			continue
		}
		reached["opened to the oracle"]++
		src.find(then.Objects)
		dst.find(then.Objects)
		if after.Reason == engine.LocalNode && check.OwnNode {
			reached["opened to its own Node"]++
			continue
		}
		if !isNamed(p, &src, &dst, q) {
			return fmt.Sprintf("%s is opened, and no rule names it", q)
		}
	}
	return ""
}

// isOwned reports whether a Pod or Service has an address: asking by name tells which.
func isOwned(objects []engine.Object, ip netip.Addr) bool {
	return slices.ContainsFunc(objects, func(o engine.Object) bool {
		switch o := o.(type) {
		case *engine.Pod:
			return slices.Contains(o.IPs, ip)
		case *engine.Service:
			return slices.Contains(o.IPs, ip)
		}
		return false
	})
}

// An openedEnd is a Pod, or an address of a Node or of nothing in the cluster.
type openedEnd struct {
	pod *engine.Pod
	ip  netip.Addr
	// ips are all addresses that a block may match.
	ips []netip.Addr
}

// find finds the addresses: those of its Node too for a Pod on the host network (S4).
func (e *openedEnd) find(objects []engine.Object) {
	if e.pod == nil {
		e.ips = []netip.Addr{e.ip}
		return
	}
	e.ips = slices.Clone(e.pod.IPs)
	if !e.pod.HostNetwork {
		return
	}
	e.ips = append(e.ips, e.pod.HostIPs...)
	for _, o := range objects {
		if n, ok := o.(*engine.Node); ok && n.Name == e.pod.Node {
			e.ips = append(e.ips, n.IPs...)
		}
	}
}

func (e *openedEnd) asked() enginetest.Endpoint {
	if e.pod == nil {
		return enginetest.Endpoint{IP: e.ip}
	}
	return enginetest.Endpoint{Pod: &enginetest.Name{Namespace: e.pod.Namespace, Name: e.pod.Name}}
}

// isOf reports whether the end is a Pod of the unit.
func (e *openedEnd) isOf(u *propose.Unit) bool {
	switch {
	case e.pod == nil || u == nil || e.pod.Namespace != u.Namespace:
		return false
	case u.Workload != engine.Workload{}:
		return slices.Contains(e.pod.Workloads, u.Workload)
	}
	return e.pod.Name == u.Pod
}

// isIn reports whether a range has an address of the end.
func (e *openedEnd) isIn(cidrs []netip.Prefix) bool {
	return slices.ContainsFunc(cidrs, func(c netip.Prefix) bool { return slices.ContainsFunc(e.ips, c.Contains) })
}

// isNamed reports whether the comment of a rule of either side names a connection: the policy is the one's, and what
// is behind the rule the other's.
func isNamed(p *propose.Proposal, src, dst *openedEnd, q enginetest.Question) bool {
	port := engine.NewPortSet(engine.PortRange{Protocol: q.Protocol, First: q.Port, Last: q.Port})
	for i := range p.Policies {
		policy := &p.Policies[i]
		for direction, rules := range policy.Rules {
			owner, peer := src, dst
			if propose.Direction(direction) == propose.Ingress {
				owner, peer = dst, src
			}
			if !owner.isOf(policy.Unit) {
				continue
			}
			for j := range rules {
				if len(port.Minus(rules[j].Ports)) > 0 {
					continue
				}
				for _, behind := range rules[j].Behind {
					if peer.isOf(behind.Unit) || peer.isIn(behind.CIDRs) {
						return true
					}
				}
			}
		}
	}
	return false
}
