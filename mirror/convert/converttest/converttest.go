// Package converttest writes the engine's objects as Kubernetes objects, for tests and benchmarks. [convert]
// reads them back unchanged.
package converttest

import (
	"encoding/json"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
)

// Object returns o as the API server would, with its apiVersion and kind. The result shares memory with o.
func Object(o engine.Object) convert.Object {
	kind := convert.KindOf(o)
	to := object(o)
	to.GetObjectKind().SetGroupVersionKind(kind.Versions[0].WithKind(kind.Name))
	return to
}

func object(o engine.Object) convert.Object {
	switch o := o.(type) {
	case *engine.Pod:
		return Pod(o)
	case *engine.Namespace:
		return Namespace(o)
	case *engine.Node:
		return Node(o)
	case *engine.Policy:
		return Policy(o)
	case *engine.Service:
		return Service(o)
	case *engine.EndpointSlice:
		return EndpointSlice(o)
	case *engine.ClusterPolicy:
		return ClusterPolicy(o)
	}
	panic(fmt.Sprintf("no Kubernetes object is written for %T", o))
}

// Namespace writes a Namespace, with the label that the API server always sets (S18).
func Namespace(n *engine.Namespace) *corev1.Namespace {
	labels := map[string]string{}
	for k, v := range n.Labels {
		labels[k] = v
	}
	labels[corev1.LabelMetadataName] = n.Name
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: n.Name, Labels: labels, Annotations: lintIgnore(n.LintIgnore),
	}}
}

// lintIgnore writes the annotation that suppresses findings.
func lintIgnore(codes string) map[string]string {
	if codes == "" {
		return nil
	}
	return map[string]string{"netpold.dev/lint-ignore": codes}
}

// created writes a creation time.
func created(seconds int64) metav1.Time {
	if seconds == 0 {
		return metav1.Time{}
	}
	return metav1.Unix(seconds, 0)
}

// Node writes a Node.
func Node(n *engine.Node) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.Labels},
		Spec: corev1.NodeSpec{PodCIDRs: texts(n.PodCIDRs)}}
	for _, ip := range n.IPs {
		node.Status.Addresses = append(node.Status.Addresses,
			corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip.String()})
	}
	return node
}

// Pod writes a Pod. Its first workload is its controller. The other workloads must follow from the
// controller's name.
func Pod(p *engine.Pod) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace, Name: p.Name, UID: types.UID(p.UID), CreationTimestamp: metav1.Unix(p.Created, 0),
			Labels: p.Labels,
		},
		Spec: corev1.PodSpec{
			NodeName: p.Node, HostNetwork: p.HostNetwork, ServiceAccountName: p.ServiceAccount,
			Containers: []corev1.Container{{Name: "main", Image: "example.org/main"}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	if p.Finished {
		pod.Status.Phase = corev1.PodSucceeded
	}
	if len(p.Workloads) > 0 {
		pod.OwnerReferences = []metav1.OwnerReference{controller(p.Workloads[0])}
	}
	for _, n := range p.Ports {
		port := corev1.ContainerPort{Name: n.Name, ContainerPort: int32(n.Port), Protocol: protocol(n.Protocol)}
		pod.Spec.Containers[0].Ports = append(pod.Spec.Containers[0].Ports, port)
	}
	for _, u := range p.UnnamedPorts {
		port := corev1.ContainerPort{ContainerPort: int32(u.Port), Protocol: protocol(u.Protocol)}
		pod.Spec.Containers[0].Ports = append(pod.Spec.Containers[0].Ports, port)
	}
	for _, h := range p.HostPorts {
		port := corev1.ContainerPort{ContainerPort: int32(h.ContainerPort), HostPort: int32(h.Port),
			Protocol: protocol(h.Protocol)}
		if h.IP.IsValid() {
			port.HostIP = h.IP.String()
		}
		pod.Spec.Containers[0].Ports = append(pod.Spec.Containers[0].Ports, port)
	}
	if len(p.SecondaryIPs) > 0 {
		status, _ := json.Marshal([]map[string]any{{"name": "other", "ips": texts(p.SecondaryIPs)}}) // cannot fail
		pod.Annotations = map[string]string{"k8s.v1.cni.cncf.io/network-status": string(status)}
	}
	for _, ip := range texts(p.IPs) {
		pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: ip})
		pod.Status.PodIP = pod.Status.PodIPs[0].IP
	}
	for _, ip := range texts(p.HostIPs) {
		pod.Status.HostIPs = append(pod.Status.HostIPs, corev1.HostIP{IP: ip})
		pod.Status.HostIP = pod.Status.HostIPs[0].IP
	}
	return pod
}

func controller(w engine.Workload) metav1.OwnerReference {
	yes := true
	owner := metav1.OwnerReference{Kind: w.Kind, Name: w.Name, Controller: &yes}
	if kind, ok := convert.KindNamed(w.Kind); ok {
		owner.APIVersion = kind.Versions[0].String()
	}
	return owner
}

func protocol(p engine.Protocol) corev1.Protocol { return corev1.Protocol(p.String()) }

// texts writes addresses or prefixes as text.
func texts[T netip.Addr | netip.Prefix](list []T) []string {
	var to []string
	for _, x := range list {
		to = append(to, fmt.Sprint(x))
	}
	return to
}
