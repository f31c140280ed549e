package convert

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netpold/netpold/engine"
)

// networkStatus is the annotation in which Multus writes the addresses of a Pod in every network.
const networkStatus = "k8s.v1.cni.cncf.io/network-status"

// secondaryIPs returns the addresses of a Pod in networks other than the cluster's. It skips an annotation
// that cannot be read, because no verdict depends on one.
func secondaryIPs(p *corev1.Pod) []netip.Addr {
	text, ok := p.Annotations[networkStatus]
	if !ok {
		return nil
	}
	var networks []struct {
		IPs     []string `json:"ips"`
		Default bool     `json:"default"`
	}
	if json.Unmarshal([]byte(text), &networks) != nil {
		return nil
	}
	var ips []netip.Addr
	for _, network := range networks {
		if network.Default {
			continue
		}
		for _, s := range network.IPs {
			if ip, ok := addrOf(s); ok && !slices.Contains(ips, ip) {
				ips = append(ips, ip)
			}
		}
	}
	return ips
}

// hostPorts returns the ports of the Node that lead to a Pod's containers. On the host network every port is
// the Node's own.
func hostPorts(spec *corev1.PodSpec) []engine.HostPort {
	if spec.HostNetwork {
		return nil
	}
	var ports []engine.HostPort
	for i := range spec.Containers {
		ports = appendHostPorts(ports, spec.Containers[i].Ports)
	}
	for i := range spec.InitContainers {
		if restartsAlways(&spec.InitContainers[i]) {
			ports = appendHostPorts(ports, spec.InitContainers[i].Ports)
		}
	}
	return ports
}

func appendHostPorts(to []engine.HostPort, list []corev1.ContainerPort) []engine.HostPort {
	for i := range list {
		number, ok := portOf(list[i].HostPort)
		target, targetOK := portOf(list[i].ContainerPort)
		protocol, protocolOK := protocolOf(list[i].Protocol)
		if !ok || !targetOK || !protocolOK {
			continue
		}
		port := engine.HostPort{Port: number, ContainerPort: target, Protocol: protocol}
		if ip, ok := addrOf(list[i].HostIP); ok && !ip.IsUnspecified() {
			port.IP = ip
		}
		to = append(to, port)
	}
	return to
}

// podCIDRs returns the ranges of Pod addresses of a Node. It skips those that cannot be read, because no
// verdict depends on them.
func podCIDRs(spec *corev1.NodeSpec) []netip.Prefix {
	list := spec.PodCIDRs
	if len(list) == 0 && spec.PodCIDR != "" {
		list = []string{spec.PodCIDR}
	}
	var ranges []netip.Prefix
	for _, s := range list {
		if r, err := netip.ParsePrefix(strings.TrimSpace(s)); err == nil {
			ranges = append(ranges, r.Masked())
		}
	}
	return ranges
}

// lintIgnore is the annotation with the codes of findings that are not to be told of what has it. No other
// annotation of it is kept.
const lintIgnore = "netpold.dev/lint-ignore"

// unixSeconds returns a creation time in Unix seconds; 0 if it is not known.
func unixSeconds(t metav1.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// portDetail returns the node port and the target of a Service's port. It reports whether there is a node
// port, or a target other than the port.
func portDetail(p *corev1.ServicePort, port engine.ServicePort) (engine.ServicePortDetail, bool) {
	d := engine.ServicePortDetail{Port: port.Port, Protocol: port.Protocol}
	d.NodePort, _ = portOf(p.NodePort)
	if p.TargetPort.Type == intstr.String {
		d.Target = intern(p.TargetPort.StrVal)
	} else if p.TargetPort.IntVal != p.Port {
		d.TargetPort, _ = portOf(p.TargetPort.IntVal)
	}
	return d, d.NodePort != 0 || d.Target != "" || d.TargetPort != 0
}
