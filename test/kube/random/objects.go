package random

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Pod is a Pod on a Node, without a status.
func (r *Random) Pod() *corev1.Pod {
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace(), Name: r.podName(), Labels: r.Labels()},
		Spec: corev1.PodSpec{
			NodeName:    r.Node(),
			HostNetwork: r.Chance(10),
			Containers:  []corev1.Container{{Name: "main", Image: "main", Ports: r.containerPorts()}},
		},
	}
	if r.Chance(30) {
		sidecar := corev1.Container{Name: "sidecar", Image: "sidecar", Ports: r.containerPorts()}
		if r.Chance(50) {
			sidecar.RestartPolicy = &always
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, sidecar)
	}
	if r.Chance(50) {
		p.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "apps/v1", Kind: Pick(r, "StatefulSet", "DaemonSet"), Name: Pick(r, "w", "v"), UID: "6a2b8c1e-0000-4000-8000-000000000000",
			Controller: new(true),
		}}
	}
	return p
}

func (r *Random) podName() string { return fmt.Sprintf("p%d", r.IntN(6)) }

// containerPorts differ in number: those of one Pod on the host network have to.
func (r *Random) containerPorts() []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	numbers := []int32{80, 8080, 443, 9090}
	r.rand.Shuffle(len(numbers), func(i, j int) { numbers[i], numbers[j] = numbers[j], numbers[i] })
	for i, name := range []string{"http", "metrics", "dns"} {
		if r.Chance(40) {
			protocol := Pick[corev1.Protocol](r, "TCP", "TCP", "UDP", "SCTP")
			ports = append(ports, corev1.ContainerPort{Name: name, ContainerPort: numbers[i], Protocol: protocol})
		}
	}
	return ports
}

// PodStatus is one that a kubelet could write, for a Pod that has not finished or has just done so.
func (r *Random) PodStatus(p *corev1.Pod) corev1.PodStatus {
	var s corev1.PodStatus
	s.Phase = Pick[corev1.PodPhase](r, "Pending", "Running", "Running", "Running", "Running", "Running", "Succeeded", "Failed")
	ips := r.PodIPs()
	if hosts := NodeIPs(p.Spec.NodeName); r.Chance(70) {
		for _, ip := range hosts {
			s.HostIPs = append(s.HostIPs, corev1.HostIP{IP: ip})
		}
		s.HostIP = hosts[0]
		if p.Spec.HostNetwork {
			ips = hosts
		}
	}
	for _, ip := range ips {
		s.PodIPs = append(s.PodIPs, corev1.PodIP{IP: ip})
	}
	if len(ips) > 0 {
		s.PodIP = ips[0]
	}
	return s
}

// Service has ports, and no selector: its endpoints are said by EndpointSlices.
func (r *Random) Service() *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace(), Name: r.serviceName()},
		Spec:       corev1.ServiceSpec{Ports: r.ServicePorts(), IPFamilyPolicy: new(corev1.IPFamilyPolicyPreferDualStack)},
	}
	switch r.IntN(10) {
	case 0:
		s.Spec.Type, s.Spec.ExternalName, s.Spec.IPFamilyPolicy = corev1.ServiceTypeExternalName, "example.org", nil
	case 1, 2:
		s.Spec.ClusterIP = corev1.ClusterIPNone
	case 3:
		s.Spec.ExternalIPs = []string{"198.51.100.7"}
	}
	return s
}

func (r *Random) serviceName() string { return Pick(r, "s", "t", "u") }

// ServicePorts differ in name, and in number and protocol.
func (r *Random) ServicePorts() []corev1.ServicePort {
	ports := []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolTCP}}
	if r.Chance(50) {
		ports = append(ports, corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP})
	}
	if r.Chance(50) {
		ports = append(ports, corev1.ServicePort{Name: "metrics", Port: 9090, Protocol: corev1.ProtocolTCP})
	}
	return ports
}

// EndpointSlice is a Service's, of one family.
func (r *Random) EndpointSlice() *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.Namespace(), Name: fmt.Sprintf("e%d", r.IntN(5)), Labels: map[string]string{discoveryv1.LabelServiceName: r.serviceName()},
		},
		AddressType: Pick(r, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6),
	}
	s.Endpoints = r.Endpoints(s.AddressType)
	for _, name := range []string{"http", "dns", "metrics"} {
		if r.Chance(60) {
			protocol := corev1.ProtocolTCP
			if name == "dns" {
				protocol = corev1.ProtocolUDP
			}
			s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: new(name), Port: new(r.portNumber()), Protocol: &protocol})
		}
	}
	return s
}

// Endpoints are Pods' addresses mostly, in any condition.
func (r *Random) Endpoints(family discoveryv1.AddressType) []discoveryv1.Endpoint {
	used := map[string]bool{}
	var list []discoveryv1.Endpoint
	for range r.IntN(4) {
		addr := fmt.Sprintf("10.0.0.%d", 1+r.IntN(24))
		if family == discoveryv1.AddressTypeIPv6 {
			addr = fmt.Sprintf("fd00::%x", 1+r.IntN(24))
		}
		if used[addr] {
			continue
		}
		used[addr] = true
		e := discoveryv1.Endpoint{Addresses: []string{addr}}
		if r.Chance(60) {
			e.Conditions = discoveryv1.EndpointConditions{Ready: new(r.Chance(60)), Serving: new(r.Chance(70)), Terminating: new(r.Chance(30))}
		}
		list = append(list, e)
	}
	return list
}

// Question asks about what is likely to be there. services are addresses of Services.
func (r *Random) Question(services []netip.Addr) *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{
		Src: r.endpoint(services, false), Dst: r.endpoint(services, true),
		Port:     uint32(Pick[int32](r, 80, 80, 80, 53, 9090, r.portNumber())),
		Protocol: Pick(r, netpoldv1.Protocol_PROTOCOL_UNSPECIFIED, netpoldv1.Protocol_PROTOCOL_TCP, netpoldv1.Protocol_PROTOCOL_UDP, netpoldv1.Protocol_PROTOCOL_SCTP),
	}
}

func (r *Random) endpoint(services []netip.Addr, dst bool) *netpoldv1.Endpoint {
	switch n := r.IntN(100); {
	case n < 45:
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: r.address(services)}}
	case n < 75:
		pod := &netpoldv1.PodRef{Namespace: r.Namespace(), Name: r.podName()}
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Pod{Pod: pod}}
	case n < 82:
		w := &netpoldv1.WorkloadRef{Namespace: r.Namespace(), Kind: Pick(r, "StatefulSet", "DaemonSet"), Name: Pick(r, "w", "v")}
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Workload{Workload: w}}
	case n < 92 && dst:
		s := &netpoldv1.ServiceRef{Namespace: r.Namespace(), Name: r.serviceName()}
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Service{Service: s}}
	default:
		l := &netpoldv1.LabelledPod{Namespace: r.Namespace(), Labels: r.Labels()}
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Labels{Labels: l}}
	}
}

func (r *Random) address(services []netip.Addr) string {
	switch n := r.IntN(100); {
	case n < 70:
		if ips := r.PodIPs(); ips != nil {
			return Pick(r, ips...)
		}
		return "198.51.100.7"
	case n < 80:
		return Pick(r, NodeIPs(r.Node())...)
	case n < 92 && len(services) > 0:
		return Pick(r, services...).String()
	default:
		return Pick(r, "203.0.113.9", "172.16.0.1", "2001:db8::9")
	}
}
