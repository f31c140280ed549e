//go:build linux

package reality

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netpold/netpold/test/kube/random"
)

// namespaces are those of random objects.
var namespaces = []string{"a", "b", "c"}

// A kind is a kind of random cluster.
type kind struct {
	// namedPorts reports whether policies ask for ports by name.
	namedPorts bool
	// sidecars reports whether Pods have some, and finished whether some Pods have.
	sidecars, finished bool
}

// populate makes a random cluster in place of the last one. It does not wait until anybody knows it.
func (c *cluster) populate(r *random.Random) {
	c.tb.Helper()
	k := c.plugin.kind()
	c.clear()
	for _, name := range namespaces {
		c.label(name, r.Labels())
	}
	for i, at := range c.pods {
		p := r.Pod()
		p.Name, p.Spec.NodeName, p.OwnerReferences = at.Name(), at.node, nil
		if !k.sidecars {
			p.Spec.InitContainers = nil
		}
		phase, addrs := corev1.PodRunning, at.texts()
		switch r.IntN(24) {
		case 0:
			if k.finished {
				phase = corev1.PodSucceeded // its addresses belong to nobody, while it still answers
			}
		case 1:
			addrs = addrs[:1]
		case 2:
			addrs = addrs[1:]
		case 3:
			phase = corev1.PodPending
		}
		if p.Spec.HostNetwork = i < 2; p.Spec.HostNetwork { // beside the Pods: it has no place of its own
			on := c.nodes[i]
			p.Spec.NodeName, addrs, phase = on.node, on.texts(), corev1.PodRunning
		}
		c.createPod(p, phase, addrs...)
	}
	for range 3 + r.IntN(8) {
		p := r.Policy()
		if !k.namedPorts {
			withoutNames(p)
		}
		c.apply(p)
	}
}

// clear deletes all policies and Pods but the probes.
func (c *cluster) clear() {
	c.tb.Helper()
	ctx, now := c.tb.Context(), metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}
	for name := range maps.Keys(c.made) {
		if name == probeNamespace {
			continue
		}
		c.must(c.client.NetworkingV1().NetworkPolicies(name).
			DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
		c.must(c.client.CoreV1().Pods(name).DeleteCollection(ctx, now, metav1.ListOptions{}))
	}
}

// label gives a namespace exactly these labels, and the one that the API server sets.
func (c *cluster) label(name string, labels map[string]string) {
	c.tb.Helper()
	of := c.client.CoreV1().Namespaces()
	n, err := of.Get(c.tb.Context(), name, metav1.GetOptions{})
	c.must(err)
	n.Labels = maps.Clone(labels)
	_, err = of.Update(c.tb.Context(), n, metav1.UpdateOptions{})
	c.must(err)
}

// withoutNames gives every port of a policy that has a name a number in its place.
func withoutNames(p *networkingv1.NetworkPolicy) {
	replace := func(list []networkingv1.NetworkPolicyPort) {
		for i := range list {
			if list[i].Port != nil && list[i].Port.Type == intstr.String {
				list[i].Port = new(intstr.FromInt32(int32(ports[len(list[i].Port.StrVal)%len(ports)])))
			}
		}
	}
	for _, rule := range p.Spec.Ingress {
		replace(rule.Ports)
	}
	for _, rule := range p.Spec.Egress {
		replace(rule.Ports)
	}
}

// askedPorts returns n ports to ask about, TCP and UDP by turns.
func askedPorts(r *random.Random, n int) []port {
	var list []port
	for len(list) < n {
		p := port{[]string{"tcp", "udp"}[len(list)%2], random.Pick(r, ports...)}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list
}

// describe returns policies and Pods as text, for the report of a failure.
func (c *cluster) describe(ctx context.Context) string {
	c.tb.Helper()
	text := ""
	for _, name := range slices.Sorted(maps.Keys(c.made)) {
		policies, err := c.client.NetworkingV1().NetworkPolicies(name).List(ctx, metav1.ListOptions{})
		c.must(err)
		for _, p := range policies.Items {
			text += fmt.Sprintf("%s/%s %+v\n", p.Namespace, p.Name, p.Spec)
		}
		pods, err := c.client.CoreV1().Pods(name).List(ctx, metav1.ListOptions{})
		c.must(err)
		for _, p := range pods.Items {
			text += fmt.Sprintf("%s/%s %v %v %v host=%v\n", p.Namespace, p.Name, p.Labels, p.Status.Phase,
				p.Status.PodIPs, p.Spec.HostNetwork)
		}
	}
	return text
}
