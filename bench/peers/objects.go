package peers

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// Objects are a cluster as the API server tells it.
type Objects struct {
	Namespaces []*corev1.Namespace
	Nodes      []*corev1.Node
	Policies   []*networkingv1.NetworkPolicy
	Pods       []*corev1.Pod
}

// NewObjects are the Kubernetes objects of a synthetic cluster. Each has gone through the API's protobuf, so that none shares
// memory with another: an evaluator that keeps them pays for them as it does beside an API server.
func NewObjects(c *synthetic.Cluster) (*Objects, error) {
	to := &Objects{}
	var err error
	for _, o := range c.Others {
		switch o := o.(type) {
		case *engine.Namespace:
			to.Namespaces, err = appendDecoded(to.Namespaces, namespaceOf(o), &corev1.Namespace{})
		case *engine.Node:
			to.Nodes, err = appendDecoded(to.Nodes, nodeOf(o), &corev1.Node{})
		default:
			err = fmt.Errorf("no Kubernetes object is written for %T", o)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, p := range c.Policies {
		if to.Policies, err = appendDecoded(to.Policies, policyOf(p), &networkingv1.NetworkPolicy{}); err != nil {
			return nil, err
		}
	}
	for _, p := range c.Pods {
		if to.Pods, err = appendDecoded(to.Pods, podOf(p), &corev1.Pod{}); err != nil {
			return nil, err
		}
	}
	return to, nil
}

func appendDecoded[T interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}](list []T, from, to T) ([]T, error) {
	wire, err := from.Marshal()
	if err != nil {
		return nil, err
	}
	return append(list, to), to.Unmarshal(wire)
}

func namespaceOf(n *engine.Namespace) *corev1.Namespace {
	labels := map[string]string{corev1.LabelMetadataName: n.Name} // The API server always sets it (S18).
	for k, v := range n.Labels {
		labels[k] = v
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: labels}}
}

func nodeOf(n *engine.Node) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name}}
	for _, ip := range n.IPs {
		node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip.String()})
	}
	return node
}

func podOf(p *engine.Pod) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace, Name: p.Name, UID: types.UID(p.UID), CreationTimestamp: metav1.Unix(p.Created, 0), Labels: p.Labels,
		},
		Spec:   corev1.PodSpec{NodeName: p.Node, HostNetwork: p.HostNetwork, Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	if p.Finished {
		pod.Status.Phase = corev1.PodSucceeded
	}
	if len(p.Workloads) > 0 { // The others follow from its name.
		controller := true
		pod.OwnerReferences = []metav1.OwnerReference{
			{APIVersion: "apps/v1", Kind: p.Workloads[0].Kind, Name: p.Workloads[0].Name, Controller: &controller},
		}
	}
	for _, n := range p.Ports {
		port := corev1.ContainerPort{Name: n.Name, ContainerPort: int32(n.Port), Protocol: protocolOf(n.Protocol)}
		pod.Spec.Containers[0].Ports = append(pod.Spec.Containers[0].Ports, port)
	}
	for _, ip := range p.IPs {
		pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: ip.String()})
		pod.Status.PodIP = pod.Status.PodIPs[0].IP
	}
	for _, ip := range p.HostIPs {
		pod.Status.HostIPs = append(pod.Status.HostIPs, corev1.HostIP{IP: ip.String()})
		pod.Status.HostIP = pod.Status.HostIPs[0].IP
	}
	return pod
}

func protocolOf(p engine.Protocol) corev1.Protocol { return corev1.Protocol(p.String()) }

// policyOf writes out what the API server defaults, and leaves lists that are empty out, as it does.
func policyOf(p *engine.Policy) *networkingv1.NetworkPolicy {
	np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}}
	np.Spec.PodSelector = selectorOf(p.Subject)
	if p.IsolatesIngress {
		np.Spec.PolicyTypes = append(np.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
	}
	if p.IsolatesEgress {
		np.Spec.PolicyTypes = append(np.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
	for _, r := range p.Ingress {
		np.Spec.Ingress = append(np.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: peersOf(r.Peers), Ports: portsOf(r.Ports)})
	}
	for _, r := range p.Egress {
		np.Spec.Egress = append(np.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: peersOf(r.Peers), Ports: portsOf(r.Ports)})
	}
	return np
}

func peersOf(list []engine.Peer) []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for _, p := range list {
		var to networkingv1.NetworkPolicyPeer
		if p.Pods != nil {
			s := selectorOf(*p.Pods)
			to.PodSelector = &s
		}
		if p.Namespaces != nil {
			s := selectorOf(*p.Namespaces)
			to.NamespaceSelector = &s
		}
		if p.Block != nil {
			to.IPBlock = &networkingv1.IPBlock{CIDR: p.Block.CIDR.String(), Except: texts(p.Block.Except)}
		}
		peers = append(peers, to)
	}
	return peers
}

func texts(prefixes []netip.Prefix) []string {
	var list []string
	for _, p := range prefixes {
		list = append(list, p.String())
	}
	return list
}

func portsOf(list []engine.Port) []networkingv1.NetworkPolicyPort {
	var ports []networkingv1.NetworkPolicyPort
	for _, p := range list {
		protocol := protocolOf(p.Protocol)
		to := networkingv1.NetworkPolicyPort{Protocol: &protocol}
		switch {
		case p.Name != "":
			name := intstr.FromString(p.Name)
			to.Port = &name
		case p.First == 1 && p.Last == 65535:
		default:
			first := intstr.FromInt32(int32(p.First))
			to.Port = &first
			if p.Last > p.First {
				last := int32(p.Last)
				to.EndPort = &last
			}
		}
		ports = append(ports, to)
	}
	return ports
}

// selectorOf writes equality as matchLabels, as people do.
func selectorOf(s engine.Selector) metav1.LabelSelector {
	var to metav1.LabelSelector
	for _, r := range s {
		if _, twice := to.MatchLabels[r.Key]; r.Operator == engine.In && len(r.Values) == 1 && !twice {
			if to.MatchLabels == nil {
				to.MatchLabels = map[string]string{}
			}
			to.MatchLabels[r.Key] = r.Values[0]
			continue
		}
		operators := map[engine.Operator]metav1.LabelSelectorOperator{
			engine.In: metav1.LabelSelectorOpIn, engine.NotIn: metav1.LabelSelectorOpNotIn,
			engine.Exists: metav1.LabelSelectorOpExists, engine.DoesNotExist: metav1.LabelSelectorOpDoesNotExist,
		}
		to.MatchExpressions = append(to.MatchExpressions, metav1.LabelSelectorRequirement{Key: r.Key, Operator: operators[r.Operator], Values: r.Values})
	}
	return to
}

// servingPorts are the ports of the containers that serve, as a peer that keeps none itself should be told them (S21).
func servingPorts(p *corev1.Pod) []corev1.ContainerPort {
	var list []corev1.ContainerPort
	for i := range p.Spec.Containers {
		list = append(list, p.Spec.Containers[i].Ports...)
	}
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			list = append(list, c.Ports...)
		}
	}
	return list
}
