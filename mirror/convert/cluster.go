package convert

import (
	"net/netip"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// Namespace converts a Namespace. It never returns problems.
func Namespace(n *corev1.Namespace) (*engine.Namespace, []mirror.Problem) {
	return &engine.Namespace{
		Name: intern(n.Name), Labels: internLabels(n.Labels), LintIgnore: n.Annotations[lintIgnore],
	}, nil
}

// Node converts a Node with its labels (S38). Entries of status.addresses count if they are IP addresses,
// whatever their type: a Hostname may be one (S5).
func Node(n *corev1.Node) (*engine.Node, []mirror.Problem) {
	f := problemList{kind: "Node", name: n.Name}
	var ips []netip.Addr
	for i, a := range n.Status.Addresses {
		_, isAddr := addrOf(a.Address)
		if isAddr || a.Type == corev1.NodeInternalIP || a.Type == corev1.NodeExternalIP {
			ips = f.addr(ips, a.Address, func() string { return "status.addresses[" + strconv.Itoa(i) + "].address" })
		}
	}
	return &engine.Node{
		Name: intern(n.Name), Labels: internLabels(n.Labels), IPs: ips, PodCIDRs: podCIDRs(&n.Spec),
	}, f.list
}
