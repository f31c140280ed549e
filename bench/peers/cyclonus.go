package peers

import (
	"fmt"
	"net/netip"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
)

// cyclonus keeps no Pods: it is given both ends with each question. Here they wait in a map by IP, ready made.
type cyclonus struct {
	policy     *matcher.Policy
	namespaces map[string]map[string]string
	pods       map[netip.Addr]*cyclonusPod
}

type cyclonusPod struct {
	peer  *matcher.TrafficPeer
	ports []corev1.ContainerPort
}

func loadCyclonus(o *Objects) (Engine, error) {
	c := &cyclonus{
		policy:     matcher.BuildNetworkPolicies(true, o.Policies),
		namespaces: map[string]map[string]string{},
		pods:       make(map[netip.Addr]*cyclonusPod, len(o.Pods)),
	}
	for _, n := range o.Namespaces {
		c.namespaces[n.Name] = n.Labels
	}
	for _, p := range o.Pods {
		if err := c.SetPod(p); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cyclonus) SetPod(p *corev1.Pod) error {
	ip, err := netip.ParseAddr(p.Status.PodIP)
	if err != nil {
		return fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	peer := &matcher.TrafficPeer{
		Internal: &matcher.InternalPeer{PodLabels: p.Labels, NamespaceLabels: c.namespaces[p.Namespace], Namespace: p.Namespace},
		IP:       p.Status.PodIP,
	}
	c.pods[ip] = &cyclonusPod{peer, servingPorts(p)}
	return nil
}

func (c *cyclonus) Allowed(q Question) (bool, error) {
	traffic := &matcher.Traffic{Source: c.peer(q.Src), ResolvedPort: int(q.Port), Protocol: q.Protocol}
	if dst, ok := c.pods[q.Dst]; ok {
		traffic.Destination = dst.peer
		for _, p := range dst.ports { // It takes the port's name with the question.
			if p.ContainerPort == int32(q.Port) && p.Protocol == q.Protocol {
				traffic.ResolvedPortName = p.Name
				break
			}
		}
	} else {
		traffic.Destination = &matcher.TrafficPeer{IP: q.Dst.String()}
	}
	return c.policy.IsTrafficAllowed(traffic).IsAllowed(), nil
}

func (c *cyclonus) peer(ip netip.Addr) *matcher.TrafficPeer {
	if pod, ok := c.pods[ip]; ok {
		return pod.peer
	}
	return &matcher.TrafficPeer{IP: ip.String()}
}
