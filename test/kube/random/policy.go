package random

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Policy is a policy of any shape, with a few in a hundred of its fields wrong as r.Wrong says.
func (r *Random) Policy() *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: wrong(r, []string{r.Namespace()}, []string{"A", "a.b", strings.Repeat("a", 64)}),
			Name:      wrong(r, []string{fmt.Sprintf("p%d", r.IntN(8)), "web.v1"}, []string{"", "Web", "-web", "web_1", strings.Repeat("a", 254), "a/b"}),
		},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: r.selector(),
			PolicyTypes: r.policyTypes(),
		},
	}
	if r.Chance(r.Wrong) {
		p.Labels = map[string]string{r.labelKey(): r.labelValue()}
		p.Annotations = map[string]string{r.labelKey(): "any"}
	}
	if r.Chance(r.Wrong) {
		p.Finalizers = []string{Pick(r, "example.org/f", "orphan", "kubernetes", "word", "a b", "x/y/z", "")}
	}
	if r.Chance(r.Wrong) {
		p.GenerateName = Pick(r, "web-", "Web", "web_")
	}
	if r.Chance(r.Wrong) {
		p.OwnerReferences = some(r, 2, r.owner)
	}
	for _, rule := range some(r, 3, r.rule) {
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: rule.peers, Ports: rule.ports})
	}
	for _, rule := range some(r, 3, r.rule) {
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: rule.peers, Ports: rule.ports})
	}
	return p
}

func (r *Random) owner() metav1.OwnerReference {
	yes := r.Chance(50)
	return metav1.OwnerReference{
		APIVersion: wrong(r, []string{"apps/v1", "v1"}, []string{"", "a/b/c"}), Kind: wrong(r, []string{"Deployment"}, []string{""}),
		Name: wrong(r, []string{"web"}, []string{""}), UID: "6a2b8c1e-0000-4000-8000-000000000000", Controller: &yes,
	}
}

func (r *Random) policyTypes() []networkingv1.PolicyType {
	if r.Chance(30) {
		return nil
	}
	if r.Chance(r.Wrong) {
		return some(r, 4, func() networkingv1.PolicyType {
			return Pick[networkingv1.PolicyType](r, "Ingress", "Egress", "ingress", "", "Both")
		})
	}
	return Pick(r,
		[]networkingv1.PolicyType{"Ingress"}, []networkingv1.PolicyType{"Egress"}, []networkingv1.PolicyType{"Egress", "Ingress"},
		[]networkingv1.PolicyType{"Ingress", "Ingress"}, []networkingv1.PolicyType{})
}

type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func (r *Random) rule() rule {
	return rule{peers: some(r, 3, r.peer), ports: some(r, 2, r.port)}
}

func (r *Random) peer() networkingv1.NetworkPolicyPeer {
	var p networkingv1.NetworkPolicyPeer
	if r.Chance(r.Wrong) { // none, all, or a block beside a selector
		if r.Chance(50) {
			p.PodSelector = new(r.selector())
		}
		if r.Chance(50) {
			p.NamespaceSelector = new(r.selector())
		}
		if r.Chance(50) {
			p.IPBlock = r.block()
		}
		return p
	}
	switch r.IntN(4) {
	case 0:
		p.IPBlock = r.block()
	case 1:
		p.PodSelector = new(r.selector())
	case 2:
		p.NamespaceSelector = new(r.selector())
	default:
		p.PodSelector, p.NamespaceSelector = new(r.selector()), new(r.selector())
	}
	return p
}

// blocks pairs each cidr with excepts that fit it.
func blocks() [][]string {
	return [][]string{
		{"10.0.0.0/24", "10.0.0.0/28", "10.0.0.8/32", "10.0.0.128/25"},
		{"10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16"},
		{"0.0.0.0/0", "10.0.0.0/8", "192.168.0.0/16"},
		{"192.168.0.0/29", "192.168.0.1/32"},
		{"fd00::/64", "fd00::8/125", "fd00::1/128"},
		{"::/0", "fd00:1::/64"},
		{"203.0.113.9/32"},
	}
}

func (r *Random) block() *networkingv1.IPBlock {
	pair := Pick(r, blocks()...)
	b := &networkingv1.IPBlock{CIDR: wrong(r, pair[:1], badCIDRs())}
	if len(pair) > 1 {
		b.Except = some(r, 2, func() string {
			return wrong(r, pair[1:], append(badCIDRs(), pair[0], "172.16.0.0/12", "fd00:9::/32", "0.0.0.0/0", "10.0.0.0/24"))
		})
	}
	return b
}

func badCIDRs() []string {
	return []string{
		"", "x", "10.0.0.0", "10.0.0.1/8", "010.000.000.000/8", "10.0.0.0/08", "10.0.0.0/33", "10.0.0/24", "10.0.0.0/24 ", "/8",
		"10.0.0.256/32", "fd00::/129", "fd00::1/64", "FD00::/64", "fd00:0:0::/64", "::ffff:10.0.0.0/104", "::ffff:10.0.0.1/104",
		"::ffff:0a00:0000/120", "fe80::%eth0/64", "10.0.0.0/-1", "10.0.0.0/+8", "1.2.3.4/0", "::ffff:010.0.0.0/104", "::/00",
	}
}

func (r *Random) port() networkingv1.NetworkPolicyPort {
	var p networkingv1.NetworkPolicyPort
	if r.Chance(70) {
		p.Protocol = new(wrong(r, []corev1.Protocol{"TCP", "UDP", "SCTP"}, []corev1.Protocol{"", "tcp", "ICMP", "TCP "}))
	}
	switch r.IntN(5) {
	case 0:
	case 1:
		p.Port = new(intstr.FromString(wrong(r, []string{"http", "metrics", "dns", "a-1"},
			[]string{"", "80", "Http", "-http", "http-", "a--b", "this-name-is-too-long", "ä", "a_b"})))
	default:
		n := wrong(r, []int32{80, 443, 8080, 8081, 1, 65535}, []int32{0, -1, 65536, 65616, 1 << 30})
		p.Port = new(intstr.FromInt32(n))
		if r.Chance(40) {
			p.EndPort = new(n + int32(r.IntN(int(min(500, max(1, 65536-n))))))
		}
	}
	if r.Chance(r.Wrong) {
		p.EndPort = new(Pick[int32](r, 0, -5, 79, 65536, 80, 65535))
	}
	return p
}

func (r *Random) selector() metav1.LabelSelector {
	var s metav1.LabelSelector
	if r.Chance(25) {
		return s
	}
	if r.Chance(50) {
		s.MatchLabels = map[string]string{r.labelKey(): r.labelValue()}
	}
	s.MatchExpressions = some(r, 2, func() metav1.LabelSelectorRequirement {
		q := metav1.LabelSelectorRequirement{
			Key: r.labelKey(),
			Operator: wrong(r, []metav1.LabelSelectorOperator{"In", "NotIn", "Exists", "DoesNotExist"},
				[]metav1.LabelSelectorOperator{"", "in", "Equals", "Gt"}),
		}
		needsValues := q.Operator == metav1.LabelSelectorOpIn || q.Operator == metav1.LabelSelectorOpNotIn
		if needsValues != r.Chance(r.Wrong) {
			q.Values = append(some(r, 2, r.labelValue), r.labelValue())
		}
		return q
	})
	return s
}

func (r *Random) labelKey() string {
	return wrong(r, []string{"app", "tier", "env", "kubernetes.io/metadata.name"},
		[]string{"", "a b", "-app", "app_", "/app", "Example.ORG/app", "a/b/c", strings.Repeat("k", 64), strings.Repeat("d", 254) + "/k", "ä"})
}

func (r *Random) labelValue() string {
	return wrong(r, []string{"x", "y", "z", "", "a"}, []string{"a b", "-x", "x.", strings.Repeat("v", 64), "a/b", "ä"})
}
