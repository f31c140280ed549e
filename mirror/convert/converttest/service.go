package converttest

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netpold/netpold/engine"
)

// Service writes a Service. A headless Service and an external name are written without addresses, because
// neither has any when read back.
func Service(s *engine.Service) *corev1.Service {
	to := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name},
		Spec:       corev1.ServiceSpec{Selector: s.Selector},
	}
	switch {
	case s.ExternalName:
		to.Spec.Type, to.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.org"
	case s.Headless:
		to.Spec.ClusterIPs = []string{corev1.ClusterIPNone}
	default:
		to.Spec.ClusterIPs = texts(s.IPs)
	}
	if !s.ExternalName {
		to.Spec.PublishNotReadyAddresses = s.PublishNotReady
		if s.Families&engine.IPv4 != 0 {
			to.Spec.IPFamilies = append(to.Spec.IPFamilies, corev1.IPv4Protocol)
		}
		if s.Families&engine.IPv6 != 0 {
			to.Spec.IPFamilies = append(to.Spec.IPFamilies, corev1.IPv6Protocol)
		}
	}
	for _, p := range s.Ports {
		port := corev1.ServicePort{Name: p.Name, Port: int32(p.Port), Protocol: protocol(p.Protocol)}
		for _, d := range s.PortDetails {
			if d.Port == p.Port && d.Protocol == p.Protocol {
				port.NodePort, port.TargetPort = int32(d.NodePort), targetPort(d.Target)
				if d.TargetPort != 0 {
					port.TargetPort = intstr.FromInt32(int32(d.TargetPort))
				}
			}
		}
		to.Spec.Ports = append(to.Spec.Ports, port)
	}
	return to
}

// targetPort returns a targetPort with that name; the zero value if name is empty.
func targetPort(name string) intstr.IntOrString {
	if name == "" {
		return intstr.IntOrString{}
	}
	return intstr.FromString(name)
}

// EndpointSlice writes an EndpointSlice. It leaves out endpoints without an address, which Kubernetes cannot
// have.
func EndpointSlice(s *engine.EndpointSlice) *discoveryv1.EndpointSlice {
	to := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.Namespace, Name: s.Name, Labels: map[string]string{discoveryv1.LabelServiceName: s.Service},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, p := range s.Ports {
		number, proto := int32(p.Port), protocol(p.Protocol)
		to.Ports = append(to.Ports, discoveryv1.EndpointPort{Name: &p.Name, Port: &number, Protocol: &proto})
	}
	for _, e := range s.Endpoints {
		if !e.Addr.IsValid() {
			continue
		}
		endpoint := discoveryv1.Endpoint{
			Addresses: []string{e.Addr.String()},
			Conditions: discoveryv1.EndpointConditions{Ready: &e.Ready, Serving: &e.Serving,
				Terminating: &e.Terminating},
		}
		if e.Addr.Is6() {
			to.AddressType = discoveryv1.AddressTypeIPv6
		}
		if e.Pod != "" {
			ref := &corev1.ObjectReference{Kind: "Pod", Namespace: s.Namespace, Name: e.Pod}
			if namespace, name, other := strings.Cut(e.Pod, "/"); other {
				ref.Namespace, ref.Name = namespace, name
			}
			endpoint.TargetRef = ref
		}
		to.Endpoints = append(to.Endpoints, endpoint)
	}
	return to
}
