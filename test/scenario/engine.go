package scenario

import (
	"net/netip"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Engine is the question as the engine and its oracle take it; false where the request is wrong in itself, so
// that it never comes so far (S28).
func (q Question) Engine() (enginetest.Question, bool) {
	src, ok := end(q.Request.GetSrc())
	dst, dstOK := end(q.Request.GetDst())
	port, portOK := portOf(q.Request.GetPort())
	protocol, protocolOK := protocolOf(q.Request.GetProtocol())
	return enginetest.Question{Src: src, Dst: dst, Port: port, Protocol: protocol},
		ok && dstOK && portOK && protocolOK
}

func end(e *netpoldv1.Endpoint) (enginetest.Endpoint, bool) {
	switch {
	case e.GetPod() != nil:
		n, ok := nameOf(e.GetPod())
		return enginetest.Endpoint{Pod: &n}, ok
	case e.GetService() != nil:
		n, ok := nameOf(e.GetService())
		return enginetest.Endpoint{Service: &n}, ok
	case e.GetWorkload() != nil:
		n, ok := nameOf(e.GetWorkload())
		w := engine.Workload{Kind: e.GetWorkload().GetKind(), Name: n.Name}
		return enginetest.Endpoint{Workload: &enginetest.WorkloadName{Namespace: n.Namespace, Workload: w}},
			ok && isKind(w.Kind)
	case e.GetLabels() != nil:
		return labelled(e.GetLabels())
	default:
		addr, err := netip.ParseAddr(e.GetIp())
		return enginetest.Endpoint{IP: addr.Unmap()}, err == nil && addr.Zone() == ""
	}
}

func nameOf(ref interface {
	GetNamespace() string
	GetName() string
},
) (enginetest.Name, bool) {
	n := enginetest.Name{Namespace: ref.GetNamespace(), Name: ref.GetName()}
	return n, n.Namespace != "" && n.Name != ""
}

func isKind(kind string) bool {
	for _, short := range []string{"deploy", "sts", "ds", "rs", "job", "cronjob"} {
		if workloadKind(short) == kind {
			return true
		}
	}
	return false
}

func labelled(p *netpoldv1.LabelledPod) (enginetest.Endpoint, bool) {
	pod := &engine.LabelledPod{Namespace: p.GetNamespace(), Labels: p.GetLabels()}
	ok := pod.Namespace != ""
	if p.GetIp() != "" {
		addr, err := netip.ParseAddr(p.GetIp())
		pod.IP, ok = addr.Unmap(), ok && err == nil && addr.Zone() == ""
	}
	for _, np := range p.GetNamedPorts() {
		port, portOK := portOf(np.GetPort())
		protocol, protocolOK := protocolOf(np.GetProtocol())
		ok = ok && portOK && protocolOK && np.GetName() != ""
		pod.Ports = append(pod.Ports, engine.NamedPort{Name: np.GetName(), Port: port, Protocol: protocol})
	}
	return enginetest.Endpoint{Labels: pod}, ok
}

func portOf(port uint32) (uint16, bool) {
	if port < 1 || port > 65535 {
		return 0, false
	}
	return uint16(port), true
}

func protocolOf(p netpoldv1.Protocol) (engine.Protocol, bool) {
	switch p {
	case netpoldv1.Protocol_PROTOCOL_UNSPECIFIED, netpoldv1.Protocol_PROTOCOL_TCP:
		return engine.TCP, true
	case netpoldv1.Protocol_PROTOCOL_UDP:
		return engine.UDP, true
	case netpoldv1.Protocol_PROTOCOL_SCTP:
		return engine.SCTP, true
	default:
		return 0, false
	}
}
