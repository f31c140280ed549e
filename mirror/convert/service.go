package convert

import (
	"net/netip"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// Service converts a Service (S24).
func Service(s *corev1.Service) (*engine.Service, []mirror.Problem) {
	f := findings{kind: "Service", namespace: s.Namespace, name: s.Name}
	service := &engine.Service{
		Namespace:    intern(s.Namespace),
		Name:         s.Name,
		ExternalName: s.Spec.Type == corev1.ServiceTypeExternalName,
	}
	if !service.ExternalName {
		service.Headless = headless(&s.Spec)
		service.IPs = serviceIPs(&f, s, service.Headless)
		service.Selector = internLabels(s.Spec.Selector)
	}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		path := func() string { return "spec.ports[" + strconv.Itoa(i) + "]" }
		if target := p.TargetPort.StrVal; p.TargetPort.Type == intstr.String && target != "" {
			f.portName(target, path()+".targetPort")
		} else if n := p.TargetPort.IntVal; n < 0 || n > 65535 {
			f.add(path()+".targetPort", "Invalid value: "+strconv.Itoa(int(n))+": must be between 1 and 65535")
		}
		if number, protocol, ok := f.port(p.Port, p.Protocol, path, "port"); ok {
			port := engine.ServicePort{Name: intern(p.Name), Port: number, Protocol: protocol}
			service.Ports = append(service.Ports, port)
			if d, ok := portDetail(p, port); ok {
				service.PortDetails = append(service.PortDetails, d)
			}
		}
	}
	return service, f.list
}

func headless(spec *corev1.ServiceSpec) bool {
	if len(spec.ClusterIPs) > 0 {
		return spec.ClusterIPs[0] == corev1.ClusterIPNone
	}
	return spec.ClusterIP == corev1.ClusterIPNone
}

func serviceIPs(f *findings, s *corev1.Service, headless bool) []netip.Addr {
	var ips []netip.Addr
	if !headless {
		ips = addrs(f, s.Spec.ClusterIPs, func(x string) string { return x }, s.Spec.ClusterIP, "spec.clusterIPs", "spec.clusterIP", "")
	}
	for i, x := range s.Spec.ExternalIPs {
		ips = f.addr(ips, x, func() string { return "spec.externalIPs[" + strconv.Itoa(i) + "]" })
	}
	for i, x := range s.Status.LoadBalancer.Ingress {
		if x.IP != "" { // a load balancer may be known by its host name alone
			ips = f.addr(ips, x.IP, func() string { return "status.loadBalancer.ingress[" + strconv.Itoa(i) + "].ip" })
		}
	}
	return ips
}

// EndpointSlice converts an EndpointSlice as kube-proxy reads it: of each endpoint the first address, conditions that are
// left out by their defaults, nothing from names of DNS.
func EndpointSlice(s *discoveryv1.EndpointSlice) (*engine.EndpointSlice, []mirror.Problem) {
	f := findings{kind: "EndpointSlice", namespace: s.Namespace, name: s.Name}
	slice := &engine.EndpointSlice{
		Namespace: intern(s.Namespace),
		Name:      s.Name,
		Service:   intern(s.Labels[discoveryv1.LabelServiceName]),
	}
	if s.AddressType == discoveryv1.AddressTypeFQDN {
		return slice, nil
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.Port == nil {
			continue
		}
		path := func() string { return "ports[" + strconv.Itoa(i) + "]" }
		if number, protocol, ok := f.port(*p.Port, value(p.Protocol, corev1.ProtocolTCP), path, "port"); ok {
			slice.Ports = append(slice.Ports, engine.ServicePort{Name: intern(value(p.Name, "")), Port: number, Protocol: protocol})
		}
	}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		if len(e.Addresses) == 0 {
			continue
		}
		addr, ok := addrOf(e.Addresses[0])
		if !ok {
			f.add("endpoints["+strconv.Itoa(i)+"].addresses[0]",
				"Invalid value: "+strconv.Quote(e.Addresses[0])+": must be an IP address")
			continue
		}
		ready := value(e.Conditions.Ready, true)
		slice.Endpoints = append(slice.Endpoints, engine.SliceEndpoint{
			Addr:        addr,
			Pod:         podOf(s.Namespace, e.TargetRef),
			Ready:       ready,
			Serving:     value(e.Conditions.Serving, true),
			Terminating: value(e.Conditions.Terminating, false),
		})
	}
	return slice, f.list
}

// podOf names the Pod that an endpoint of a namespace refers to, as [engine.SliceEndpoint] has it; empty for none.
func podOf(namespace string, ref *corev1.ObjectReference) string {
	switch {
	case ref == nil || ref.Kind != "Pod" || ref.Name == "":
		return ""
	case ref.Namespace == "" || ref.Namespace == namespace:
		return ref.Name
	}
	return ref.Namespace + "/" + ref.Name
}

// value is what p points to, or the default.
func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
