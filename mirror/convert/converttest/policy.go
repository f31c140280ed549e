package converttest

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netpold/netpold/engine"
)

// Policy writes a NetworkPolicy. It writes the policy types, as the API server does, unless they were
// omitted, and leaves out empty lists. A policy that isolates no direction cannot be written: without types it would be read as one for
// ingress (S11).
func Policy(p *engine.Policy) *networkingv1.NetworkPolicy {
	np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
		Namespace: p.Namespace, Name: p.Name, CreationTimestamp: created(p.Created),
		Annotations: lintIgnore(p.LintIgnore),
	}}
	np.Spec.PodSelector = *selector(p.Subject)
	omits := p.TypesOmitted && p.IsolatesIngress && p.IsolatesEgress == (len(p.Egress) > 0)
	if p.IsolatesIngress && !omits {
		np.Spec.PolicyTypes = append(np.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
	}
	if p.IsolatesEgress && !omits {
		np.Spec.PolicyTypes = append(np.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
	for _, r := range p.Ingress {
		np.Spec.Ingress = append(np.Spec.Ingress,
			networkingv1.NetworkPolicyIngressRule{From: peers(r.Peers), Ports: ports(r.Ports)})
	}
	for _, r := range p.Egress {
		np.Spec.Egress = append(np.Spec.Egress,
			networkingv1.NetworkPolicyEgressRule{To: peers(r.Peers), Ports: ports(r.Ports)})
	}
	return np
}

func peers(list []engine.Peer) []networkingv1.NetworkPolicyPeer {
	var to []networkingv1.NetworkPolicyPeer
	for _, p := range list {
		var peer networkingv1.NetworkPolicyPeer
		if p.Pods != nil {
			peer.PodSelector = selector(*p.Pods)
		}
		if p.Namespaces != nil {
			peer.NamespaceSelector = selector(*p.Namespaces)
		}
		if p.Block != nil {
			peer.IPBlock = &networkingv1.IPBlock{CIDR: p.Block.CIDR.String(), Except: texts(p.Block.Except)}
		}
		to = append(to, peer)
	}
	return to
}

func ports(list []engine.Port) []networkingv1.NetworkPolicyPort {
	var to []networkingv1.NetworkPolicyPort
	for _, p := range list {
		proto := protocol(p.Protocol)
		port := networkingv1.NetworkPolicyPort{Protocol: &proto}
		switch {
		case p.Name != "":
			name := intstr.FromString(p.Name)
			port.Port = &name
		case p.First == 1 && p.Last == 65535:
		default:
			first := intstr.FromInt32(int32(p.First))
			port.Port = &first
			if p.Last != p.First {
				last := int32(p.Last)
				port.EndPort = &last
			}
		}
		to = append(to, port)
	}
	return to
}

// selector writes a selector, with equality as matchLabels, as people do.
func selector(s engine.Selector) *metav1.LabelSelector {
	operators := map[engine.Operator]metav1.LabelSelectorOperator{
		engine.In: metav1.LabelSelectorOpIn, engine.NotIn: metav1.LabelSelectorOpNotIn,
		engine.Exists: metav1.LabelSelectorOpExists, engine.DoesNotExist: metav1.LabelSelectorOpDoesNotExist,
	}
	to := &metav1.LabelSelector{}
	for _, r := range s {
		if _, twice := to.MatchLabels[r.Key]; r.Operator == engine.In && len(r.Values) == 1 && !twice {
			if to.MatchLabels == nil {
				to.MatchLabels = map[string]string{}
			}
			to.MatchLabels[r.Key] = r.Values[0]
			continue
		}
		to.MatchExpressions = append(to.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: r.Key, Operator: operators[r.Operator], Values: r.Values,
		})
	}
	return to
}
