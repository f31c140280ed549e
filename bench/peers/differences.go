package peers

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Difference is a kind of question that some peers answer otherwise than netpold. No such question is timed.
type Difference struct {
	// Rule is of docs/semantics.md.
	Rule string
	// What is asked, and what those peers make of it.
	What string
	// Peers are those that differ, by name. The others agree.
	Peers []string
	// example makes it happen: it changes the cluster of [exampleCluster], and gives the question and netpold's answer.
	example func(*Objects) (Question, bool)
}

const (
	byCyclonus = "cyclonus"
	byKube     = "kube-network-policies"
	byAnalyzer = "netpol-analyzer"
	byOPA      = "opa"
)

// Differences are all that are known, in order of rule.
func Differences() []Difference {
	return []Difference{
		{"S2", "a Pod to itself, isolated: denied", []string{byCyclonus, byKube, byOPA}, func(o *Objects) (Question, bool) {
			o.Policies = ingress()
			return on80(dstIP, dstIP), true
		}},
		{"S3", "a Node to an isolated Pod on it: denied (kube-network-policies allows it in nftables, before it decides)",
			[]string{byCyclonus, byKube, byAnalyzer, byOPA}, func(o *Objects) (Question, bool) {
				o.Policies = ingress()
				return on80(dstNodeIP, dstIP), true
			}},
		{"S4", "a host-network Pod that a policy selects: denied", []string{byCyclonus, byAnalyzer, byOPA}, func(o *Objects) (Question, bool) {
			o.Policies = ingress()
			dst := o.Pods[1]
			dst.Spec.HostNetwork = true
			setIP(dst, dstNodeIP)
			return on80(srcIP, dstNodeIP), true
		}},
		{"S6", "the address of a Pod that has finished: still the Pod's", []string{byCyclonus, byKube, byAnalyzer, byOPA}, func(o *Objects) (Question, bool) {
			o.Policies = ingress()
			o.Pods[1].Status.Phase = corev1.PodSucceeded
			return on80(srcIP, dstIP), true
		}},
		{"S12", "a list of rules that is empty, not left out (an API server leaves it out): all allowed", []string{byKube}, func(o *Objects) (Question, bool) {
			o.Policies = ingress()
			o.Policies[0].Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{}
			return on80(srcIP, dstIP), false
		}},
		{"S17", "NotIn, of a label that is missing: no match", []string{byCyclonus}, func(o *Objects) (Question, bool) {
			o.Policies = ingress(rule(selects(metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: "tier", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"back"}},
			}})))
			return on80(srcIP, dstIP), true
		}},
		{"S17", "an empty value asked of a label that is missing: a match", []string{byCyclonus}, func(o *Objects) (Question, bool) {
			o.Policies = ingress(rule(selects(metav1.LabelSelector{MatchLabels: map[string]string{"tier": ""}})))
			return on80(srcIP, dstIP), false
		}},
		{"S19", "ipBlock and the address of a Pod: no match", []string{byAnalyzer}, func(o *Objects) (Question, bool) {
			o.Policies = ingress(rule(block("10.0.0.0/8")))
			return on80(srcIP, dstIP), true
		}},
		{"S19", "an IPv6 ipBlock: no match, or an error", []string{byAnalyzer}, func(o *Objects) (Question, bool) {
			o.Policies = ingress(rule(block("2001:db8::/32")))
			setIP(o.Pods[1], dstIP6)
			return on80(outsideIP6, dstIP6), true
		}},
		{"S20", "a protocol without a port: every protocol", []string{byAnalyzer}, func(o *Objects) (Question, bool) {
			o.Policies = ingress(networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{anyUDP()}})
			return on80(srcIP, dstIP), false
		}},
		{"S21", "a named port of an init container that goes on beside the others: no match", []string{byKube, byAnalyzer}, func(o *Objects) (Question, bool) {
			o.Policies = ingress(networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{namedPort()}})
			dst, always := &o.Pods[1].Spec, corev1.ContainerRestartPolicyAlways
			dst.InitContainers, dst.Containers = dst.Containers, nil
			dst.InitContainers[0].RestartPolicy = &always
			return on80(srcIP, dstIP), true
		}},
		{"S21", "a named port that has several numbers: the first alone", []string{byAnalyzer}, func(o *Objects) (Question, bool) {
			o.Policies = ingress(networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{namedPort()}})
			dst := &o.Pods[1].Spec
			dst.Containers = []corev1.Container{serving("first", 8080), serving("second", 80)}
			return on80(srcIP, dstIP), true
		}},
		{"S21", "a named port and a destination that is no Pod: an error", []string{byAnalyzer}, func(o *Objects) (Question, bool) {
			np := policy(networkingv1.PolicyTypeEgress)
			np.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{Ports: []networkingv1.NetworkPolicyPort{namedPort()}}}
			o.Policies = []*networkingv1.NetworkPolicy{np}
			return on80(srcIP, outsideIP), false
		}},
	}
}

// The addresses of [exampleCluster], and two from outside.
const (
	srcIP      = "10.0.1.1"
	dstIP      = "10.0.2.1"
	dstIP6     = "fd00::2:1"
	srcNodeIP  = "192.168.0.1"
	dstNodeIP  = "192.168.0.2"
	outsideIP  = "203.0.113.9"
	outsideIP6 = "2001:db8::9"
)

func on80(src, dst string) Question {
	return Question{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), Port: 80, Protocol: corev1.ProtocolTCP}
}

// exampleCluster has one Namespace, with a Pod to ask from and one, on another Node, to ask about.
func exampleCluster() *Objects {
	pod := func(name, node, host, ip string) *corev1.Pod {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": name}},
			Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{serving("main", 80)}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, HostIP: host, HostIPs: []corev1.HostIP{{IP: host}}},
		}
		setIP(p, ip)
		return p
	}
	return &Objects{
		Namespaces: []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{corev1.LabelMetadataName: "shop"}}}},
		Nodes: []*corev1.Node{
			{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}}, {ObjectMeta: metav1.ObjectMeta{Name: "node-2"}},
		},
		Pods: []*corev1.Pod{pod("src", "node-1", srcNodeIP, srcIP), pod("dst", "node-2", dstNodeIP, dstIP)},
	}
}

func setIP(p *corev1.Pod, ip string) { p.Status.PodIP, p.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}} }

func serving(name string, number int32) corev1.Container {
	return corev1.Container{Name: name, Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: number, Protocol: corev1.ProtocolTCP}}}
}

func policy(direction networkingv1.PolicyType) *networkingv1.NetworkPolicy {
	np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "policy"}}
	np.Spec.PolicyTypes = []networkingv1.PolicyType{direction}
	return np
}

// ingress isolates every Pod, with these rules.
func ingress(rules ...networkingv1.NetworkPolicyIngressRule) []*networkingv1.NetworkPolicy {
	np := policy(networkingv1.PolicyTypeIngress)
	np.Spec.Ingress = rules
	return []*networkingv1.NetworkPolicy{np}
}

func rule(peer networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicyIngressRule {
	return networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{peer}}
}

func selects(s metav1.LabelSelector) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: &s}
}

func block(cidr string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr}}
}

func namedPort() networkingv1.NetworkPolicyPort {
	protocol, name := corev1.ProtocolTCP, intstr.FromString("http")
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &name}
}

func anyUDP() networkingv1.NetworkPolicyPort {
	protocol := corev1.ProtocolUDP
	return networkingv1.NetworkPolicyPort{Protocol: &protocol}
}
