package server

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/names"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const (
	// maxViolations bounds what one wrong question can make the server say.
	maxViolations = 16
	// maxName is the longest name that Kubernetes gives an object, in bytes.
	maxName = 253
	// maxQuoted bounds, in bytes, how much of a wrong value is said back.
	maxQuoted = 80
)

// place is where a question stands in its call: its index in a batch, or [alone].
type place int

const alone place = -1

// path is the path of a field of the question, from the request's root: "questions[3].dst.ip". Of the question itself for "".
func (p place) path(field string) string {
	if p == alone {
		return field
	}
	question := "questions[" + strconv.Itoa(int(p)) + "]"
	if field == "" {
		return question
	}
	return question + "." + field
}

// reading turns a request into an engine's question, and gathers all that is wrong with it (S28). It allocates only where
// something is wrong, except for labelled Pods.
type reading struct {
	at         place
	violations []*errdetails.BadRequest_FieldViolation
}

// reject records what is wrong with a field, and what it should be.
func (r *reading) reject(field, format string, args ...any) {
	if len(r.violations) < maxViolations {
		r.violations = append(r.violations, &errdetails.BadRequest_FieldViolation{
			Field: r.at.path(field), Description: fmt.Sprintf(format, args...),
		})
	}
}

// query reads the whole question. The result counts only where there are no violations.
func (r *reading) query(req *netpoldv1.AllowedRequest) engine.Query {
	return engine.Query{
		Src:      r.endpoint("src", req.GetSrc()),
		Dst:      r.endpoint("dst", req.GetDst()),
		Port:     r.port("port", req.GetPort()),
		Protocol: r.protocol("protocol", req.GetProtocol()),
	}
}

func (r *reading) endpoint(field string, endpoint *netpoldv1.Endpoint) engine.Endpoint {
	switch e := endpoint.GetEndpoint().(type) {
	case *netpoldv1.Endpoint_Ip:
		return engine.ByIP(r.addr(field, ".ip", e.Ip))
	case *netpoldv1.Endpoint_Pod:
		r.name(field, ".pod.namespace", e.Pod.GetNamespace())
		r.name(field, ".pod.name", e.Pod.GetName())
		return engine.ByPod(e.Pod.GetNamespace(), e.Pod.GetName())
	case *netpoldv1.Endpoint_Workload:
		return r.workload(field, e.Workload)
	case *netpoldv1.Endpoint_Service:
		if field == "src" {
			r.reject("src.service", "a Service cannot be a source; give the workload or the Pod that opens the connection")
		}
		r.name(field, ".service.namespace", e.Service.GetNamespace())
		r.name(field, ".service.name", e.Service.GetName())
		return engine.ByService(e.Service.GetNamespace(), e.Service.GetName())
	case *netpoldv1.Endpoint_Labels:
		return r.labelled(field, e.Labels)
	default:
		one := "ip, pod, workload, service, labels"
		if field == "src" {
			one = "ip, pod, workload, labels"
		}
		r.reject(field, "is required: set one of %s", one)
		return engine.Endpoint{}
	}
}

func (r *reading) workload(field string, w *netpoldv1.WorkloadRef) engine.Endpoint {
	r.name(field, ".workload.namespace", w.GetNamespace())
	r.name(field, ".workload.name", w.GetName())
	switch w.GetKind() {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob":
	case "":
		r.reject(field+".workload.kind", "is required: one of %s", workloadKinds)
	default:
		r.reject(field+".workload.kind", "%s is no kind of workload; write exactly one of %s", quote(w.GetKind()), workloadKinds)
	}
	return engine.ByWorkload(w.GetNamespace(), engine.Workload{Kind: w.GetKind(), Name: w.GetName()})
}

const workloadKinds = "Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob"

// labelled reads a Pod that need not exist, but could: what no Pod can be called has no answer.
func (r *reading) labelled(field string, p *netpoldv1.LabelledPod) engine.Endpoint {
	pod := &engine.LabelledPod{Namespace: p.GetNamespace(), Labels: p.GetLabels()}
	r.word(field+".labels.namespace", pod.Namespace, names.Namespace(pod.Namespace))
	r.podLabels(field, pod.Labels)
	if p.GetIp() != "" {
		pod.IP = r.addr(field, ".labels.ip", p.GetIp())
	}
	if n := len(p.GetNamedPorts()); n > 0 {
		pod.Ports = make([]engine.NamedPort, 0, n)
	}
	for i, np := range p.GetNamedPorts() {
		at := field + ".labels.named_ports[" + strconv.Itoa(i) + "]"
		// Several containers may use one name, for several numbers or for the same: each counts (S21).
		r.word(at+".name", np.GetName(), names.Port(np.GetName()))
		pod.Ports = append(pod.Ports, engine.NamedPort{
			Name: np.GetName(), Port: r.port(at+".port", np.GetPort()), Protocol: r.protocol(at+".protocol", np.GetProtocol()),
		})
		if len(r.violations) == maxViolations {
			break
		}
	}
	return engine.ByLabels(pod)
}

// podLabels checks labels, and names those that are wrong in order of their keys.
func (r *reading) podLabels(field string, labels map[string]string) {
	var wrong []string
	for key, value := range labels {
		if names.LabelKey(key) != "" || names.LabelValue(value) != "" {
			wrong = append(wrong, key)
		}
	}
	slices.Sort(wrong)
	for _, key := range wrong {
		at := field + ".labels.labels[" + quote(key) + "]"
		r.word(at, key, names.LabelKey(key))
		r.word(at, labels[key], names.LabelValue(labels[key]))
		if len(r.violations) == maxViolations {
			return
		}
	}
}

// word rejects a value for what is wrong with it, unless that is "".
func (r *reading) word(field, value, wrong string) {
	switch {
	case wrong == "":
	case value == "" && strings.HasPrefix(wrong, "is required"):
		r.reject(field, "%s", wrong)
	default:
		r.reject(field, "%s %s", quote(value), wrong)
	}
}

// name checks a namespace or a name. It stays with what every object's name obeys: an unknown one is the engine's to report.
func (r *reading) name(field, sub, value string) {
	switch {
	case value == "":
		r.reject(field+sub, "is required")
	case len(value) > maxName:
		r.reject(field+sub, "%s is %d bytes long; a name has at most %d", quote(value), len(value), maxName)
	}
}

// addr reads an address and unmaps it (S9).
func (r *reading) addr(field, sub, value string) netip.Addr {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		r.reject(field+sub, "%s is not an IPv4 or IPv6 address%s", quote(value), addrRemedy(value))
		return netip.Addr{}
	}
	if addr.Zone() != "" {
		r.reject(field+sub, "%s has a zone, which means nothing to a cluster; give the address without it", quote(value))
	}
	return addr.Unmap()
}

// addrRemedy guesses what was meant by what is no address.
func addrRemedy(value string) string {
	if _, err := netip.ParsePrefix(value); err == nil {
		return " but a range; ask about one address of it"
	}
	if _, err := netip.ParseAddrPort(value); err == nil {
		return " alone; give the port in the field port"
	}
	if strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]") {
		return "; leave out the brackets"
	}
	return `; write it like "10.0.3.7" or "2001:db8::7"`
}

func (r *reading) port(field string, port uint32) uint16 {
	if port < 1 || port > 65535 {
		r.reject(field, "%d is not a port; give 1 to 65535", port)
		return 0
	}
	return uint16(port)
}

func (r *reading) protocol(field string, protocol netpoldv1.Protocol) engine.Protocol {
	switch protocol {
	case netpoldv1.Protocol_PROTOCOL_UNSPECIFIED, netpoldv1.Protocol_PROTOCOL_TCP:
		return engine.TCP
	case netpoldv1.Protocol_PROTOCOL_UDP:
		return engine.UDP
	case netpoldv1.Protocol_PROTOCOL_SCTP:
		return engine.SCTP
	default:
		r.reject(field, "%d is not a protocol; give PROTOCOL_TCP (1), PROTOCOL_UDP (2) or PROTOCOL_SCTP (3)", int32(protocol))
		return engine.TCP
	}
}

// endpointField is the field of the oneof that is set, or "".
func endpointField(endpoint *netpoldv1.Endpoint) string {
	switch endpoint.GetEndpoint().(type) {
	case *netpoldv1.Endpoint_Ip:
		return "ip"
	case *netpoldv1.Endpoint_Pod:
		return "pod"
	case *netpoldv1.Endpoint_Workload:
		return "workload"
	case *netpoldv1.Endpoint_Service:
		return "service"
	case *netpoldv1.Endpoint_Labels:
		return "labels"
	default:
		return ""
	}
}

// quote is a wrong value as it is said back: quoted, and cut where it is long.
func quote(value string) string {
	if len(value) > maxQuoted {
		return strconv.Quote(strings.ToValidUTF8(value[:maxQuoted], "")) + "..."
	}
	return strconv.Quote(value)
}
