package enginetest

import (
	"fmt"
	"net/netip"

	"github.com/netpold/netpold/engine"
)

// Question is a question that both the [Oracle] and the engine can be asked.
type Question struct {
	Src, Dst Endpoint
	// Port is the destination port, 1 to 65535.
	Port     uint16
	Protocol engine.Protocol
}

// Endpoint is one end of a [Question]. One field at most is set. The zero Endpoint is no end, and asking
// about it is an error (S28).
type Endpoint struct {
	IP       netip.Addr
	Pod      *Name
	Workload *WorkloadName
	Service  *Name
	Labels   *engine.LabelledPod
}

// Name is a namespaced name.
type Name struct{ Namespace, Name string }

// WorkloadName names a workload in its namespace.
type WorkloadName struct {
	Namespace string
	engine.Workload
}

// Query returns the question as the engine takes it.
func (q Question) Query() engine.Query {
	return engine.Query{
		Src: q.Src.engineEndpoint(), Dst: q.Dst.engineEndpoint(), Port: q.Port, Protocol: q.Protocol,
	}
}

// engineEndpoint returns the endpoint as the engine takes it.
func (e Endpoint) engineEndpoint() engine.Endpoint {
	switch {
	case e.IP.IsValid():
		return engine.ByIP(e.IP)
	case e.Pod != nil:
		return engine.ByPod(e.Pod.Namespace, e.Pod.Name)
	case e.Workload != nil:
		return engine.ByWorkload(e.Workload.Namespace, e.Workload.Workload)
	case e.Service != nil:
		return engine.ByService(e.Service.Namespace, e.Service.Name)
	case e.Labels != nil:
		return engine.ByLabels(e.Labels)
	default:
		return engine.Endpoint{}
	}
}

// String returns the question in words.
func (q Question) String() string {
	return fmt.Sprintf("%s -> %s %d/%s", q.Src, q.Dst, q.Port, protocol(q.Protocol))
}

// String returns the endpoint in words.
func (e Endpoint) String() string {
	switch {
	case e.IP.IsValid():
		return e.IP.String()
	case e.Pod != nil:
		return fmt.Sprintf("pod %s/%s", e.Pod.Namespace, e.Pod.Name)
	case e.Workload != nil:
		return fmt.Sprintf("workload %s/%s/%s", e.Workload.Namespace, e.Workload.Kind, e.Workload.Name)
	case e.Service != nil:
		return fmt.Sprintf("service %s/%s", e.Service.Namespace, e.Service.Name)
	case e.Labels != nil:
		return "labels " + Text(e.Labels)
	default:
		return "nothing"
	}
}

// protocol returns the name of a protocol, which may be unknown.
func protocol(p engine.Protocol) string {
	switch p {
	case engine.TCP:
		return "TCP"
	case engine.UDP:
		return "UDP"
	case engine.SCTP:
		return "SCTP"
	default:
		return fmt.Sprintf("protocol %d", uint8(p))
	}
}
