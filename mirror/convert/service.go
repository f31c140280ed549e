package convert

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// Service converts a Service (S24).
func Service(s *corev1.Service) (*engine.Service, []mirror.Problem) {
	f := problemList{kind: "Service", namespace: s.Namespace, name: s.Name}
	service := &engine.Service{
		Namespace:    intern(s.Namespace),
		Name:         s.Name,
		ExternalName: s.Spec.Type == corev1.ServiceTypeExternalName,
	}
	if !service.ExternalName {
		service.Headless = headless(&s.Spec)
		service.IPs = serviceIPs(&f, s, service.Headless)
		service.Selector = internLabels(s.Spec.Selector)
		service.PublishNotReady = s.Spec.PublishNotReadyAddresses
		service.Families = serviceFamilies(s.Spec.IPFamilies)
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

// serviceFamilies returns the families that a Service names. It skips values that Kubernetes does not know.
func serviceFamilies(names []corev1.IPFamily) engine.Families {
	var families engine.Families
	for _, name := range names {
		switch name {
		case corev1.IPv4Protocol:
			families |= engine.IPv4
		case corev1.IPv6Protocol:
			families |= engine.IPv6
		case corev1.IPFamilyUnknown:
		}
	}
	return families
}

func headless(spec *corev1.ServiceSpec) bool {
	if len(spec.ClusterIPs) > 0 {
		return spec.ClusterIPs[0] == corev1.ClusterIPNone
	}
	return spec.ClusterIP == corev1.ClusterIPNone
}

func serviceIPs(f *problemList, s *corev1.Service, headless bool) []netip.Addr {
	var ips []netip.Addr
	if !headless {
		ips = addrs(f, s.Spec.ClusterIPs, func(x string) string { return x }, s.Spec.ClusterIP, "spec.clusterIPs",
			"spec.clusterIP", "")
	}
	for i, x := range s.Spec.ExternalIPs {
		ips = f.addr(ips, x, func() string { return "spec.externalIPs[" + strconv.Itoa(i) + "]" })
	}
	for i, x := range s.Status.LoadBalancer.Ingress {
		if x.IP != "" { // some load balancers have only a host name
			ips = f.addr(ips, x.IP, func() string { return "status.loadBalancer.ingress[" + strconv.Itoa(i) + "].ip" })
		}
	}
	return ips
}

// EndpointSlice converts an EndpointSlice as kube-proxy reads it. The first address of each endpoint counts.
// Conditions that are left out have their defaults. Slices of DNS names have no endpoints.
func EndpointSlice(s *discoveryv1.EndpointSlice) (*engine.EndpointSlice, []mirror.Problem) {
	f := problemList{kind: "EndpointSlice", namespace: s.Namespace, name: s.Name}
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
			slice.Ports = append(slice.Ports, engine.ServicePort{Name: intern(value(p.Name, "")), Port: number,
				Protocol: protocol})
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

// podOf returns the Pod that an endpoint in namespace refers to, in the form of [engine.SliceEndpoint]; empty
// if it refers to none.
func podOf(namespace string, ref *corev1.ObjectReference) string {
	switch {
	case ref == nil || ref.Kind != "Pod" || ref.Name == "":
		return ""
	case ref.Namespace == "" || ref.Namespace == namespace:
		return ref.Name
	}
	return ref.Namespace + "/" + ref.Name
}

// value returns *p, or otherwise if p is nil.
func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// TargetPorts returns the ports of a Pod that a Service leads to, in the order of name, protocol and number.
// named are the Pod's ports in the order of [engine.Pod]. A Service port without such a port is left out.
func TargetPorts(s *corev1.Service, named []engine.NamedPort) []engine.ServicePort {
	var ports []engine.ServicePort
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		number, ok := targetPort(p, named)
		if !ok {
			continue
		}
		protocol, _ := protocolOf(p.Protocol) // targetPort checked it
		ports = append(ports, engine.ServicePort{Name: intern(p.Name), Port: number, Protocol: protocol})
	}
	sortPorts(ports)
	return ports
}

func sortPorts(ports []engine.ServicePort) {
	slices.SortFunc(ports, func(a, b engine.ServicePort) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
}

// targetPort returns the port of a Pod that a Service's port leads to. named are the Pod's ports in the order
// of [engine.Pod]. A targetPort that is a name is the first of them with that name and protocol. Without a
// targetPort the port itself counts. targetPort reports whether there is such a port.
func targetPort(p *corev1.ServicePort, named []engine.NamedPort) (uint16, bool) {
	protocol, ok := protocolOf(p.Protocol)
	if !ok {
		return 0, false
	}
	if p.TargetPort.Type == intstr.String && p.TargetPort.StrVal != "" {
		for _, n := range named {
			if n.Name == p.TargetPort.StrVal && n.Protocol == protocol {
				return n.Port, true
			}
		}
		return 0, false
	}
	if p.TargetPort.IntVal != 0 {
		return portOf(p.TargetPort.IntVal)
	}
	return portOf(p.Port)
}
