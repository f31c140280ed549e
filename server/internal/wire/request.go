package wire

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/proto/names"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const (
	// maxViolations limits the size of the error for one invalid question.
	maxViolations = 16
	// maxName is the longest name of a Kubernetes object, in bytes.
	maxName = 253
	// maxQuoted is how much of an invalid value an error repeats, in bytes.
	maxQuoted = 80
)

// A RequestReader turns a request into a question to the engine, and collects the violations (S28). It
// allocates only for violations and for labelled Pods.
type RequestReader struct {
	// Index is the index of the question; the zero value is the first of a batch.
	Index      QuestionIndex
	Violations []*errdetails.BadRequest_FieldViolation
}

// reject adds a violation: what is wrong with a field, and what it should be.
func (r *RequestReader) reject(field, format string, args ...any) {
	if len(r.Violations) < maxViolations {
		r.Violations = AppendViolation(r.Violations, r.Index.Path(field), fmt.Sprintf(format, args...))
	}
}

// AppendViolation returns list with one more violation, unless it has as many as an error holds.
func AppendViolation(list []*errdetails.BadRequest_FieldViolation, field,
	description string) []*errdetails.BadRequest_FieldViolation {
	if len(list) >= maxViolations {
		return list
	}
	return append(list, &errdetails.BadRequest_FieldViolation{Field: field, Description: description})
}

// Query reads the whole question. The result is valid only if there are no violations.
func (r *RequestReader) Query(req *netpoldv1.AllowedRequest) engine.Query {
	return engine.Query{
		Src:      r.endpoint("src", req.GetSrc()),
		Dst:      r.endpoint("dst", req.GetDst()),
		Port:     r.port("port", req.GetPort()),
		Protocol: r.protocol("protocol", req.GetProtocol()),
	}
}

func (r *RequestReader) endpoint(field string, endpoint *netpoldv1.Endpoint) engine.Endpoint {
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
		if strings.HasPrefix(field, "src") {
			r.reject(field+".service", "a Service cannot be a source; give the workload or the Pod that opens the "+
				"connection")
		}
		r.name(field, ".service.namespace", e.Service.GetNamespace())
		r.name(field, ".service.name", e.Service.GetName())
		return engine.ByService(e.Service.GetNamespace(), e.Service.GetName())
	case *netpoldv1.Endpoint_Labels:
		return r.labelled(field, e.Labels)
	default:
		one := "ip, pod, workload, service, labels"
		if strings.HasPrefix(field, "src") {
			one = "ip, pod, workload, labels"
		}
		r.reject(field, "is required: set one of %s", one)
		return engine.Endpoint{}
	}
}

func (r *RequestReader) workload(field string, w *netpoldv1.WorkloadRef) engine.Endpoint {
	r.name(field, ".workload.namespace", w.GetNamespace())
	r.name(field, ".workload.name", w.GetName())
	switch w.GetKind() {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob":
	case "":
		r.reject(field+".workload.kind", "is required: one of %s", workloadKinds)
	default:
		r.reject(field+".workload.kind", "%s is no kind of workload; write exactly one of %s", Quote(w.GetKind()),
			workloadKinds)
	}
	return engine.ByWorkload(w.GetNamespace(), engine.Workload{Kind: w.GetKind(), Name: w.GetName()})
}

const workloadKinds = "Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob"

// labelled returns a Pod that need not exist. It rejects names and labels that no Pod can have.
func (r *RequestReader) labelled(field string, p *netpoldv1.LabelledPod) engine.Endpoint {
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
		// Several containers may use the same name, for one number or for several: every entry counts (S21).
		r.word(at+".name", np.GetName(), names.Port(np.GetName()))
		pod.Ports = append(pod.Ports, engine.NamedPort{
			Name: np.GetName(), Port: r.port(at+".port", np.GetPort()),
			Protocol: r.protocol(at+".protocol", np.GetProtocol()),
		})
		if len(r.Violations) == maxViolations {
			break
		}
	}
	return engine.ByLabels(pod)
}

// podLabels rejects labels that Kubernetes does not allow, in order of their keys.
func (r *RequestReader) podLabels(field string, labels map[string]string) {
	var wrong []string
	for key, value := range labels {
		if names.LabelKey(key) != "" || names.LabelValue(value) != "" {
			wrong = append(wrong, key)
		}
	}
	slices.Sort(wrong)
	for _, key := range wrong {
		at := field + ".labels.labels[" + Quote(key) + "]"
		r.word(at, key, names.LabelKey(key))
		r.word(at, labels[key], names.LabelValue(labels[key]))
		if len(r.Violations) == maxViolations {
			return
		}
	}
}

// word rejects value unless wrong is empty. wrong says what is wrong with value.
func (r *RequestReader) word(field, value, wrong string) {
	switch {
	case wrong == "":
	case value == "" && strings.HasPrefix(wrong, "is required"):
		r.reject(field, "%s", wrong)
	default:
		r.reject(field, "%s %s", Quote(value), wrong)
	}
}

// name rejects a name that no object of any kind can have. The engine reports names that no object has.
func (r *RequestReader) name(field, sub, value string) {
	switch {
	case value == "":
		r.reject(field+sub, "is required")
	case len(value) > maxName:
		r.reject(field+sub, "%s is %d bytes long; a name has at most %d", Quote(value), len(value), maxName)
	}
}

// addr reads an address. An IPv4-mapped one becomes the IPv4 address (S9).
func (r *RequestReader) addr(field, sub, value string) netip.Addr {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		r.reject(field+sub, "%s is not an IPv4 or IPv6 address%s", Quote(value), addrRemedy(value))
		return netip.Addr{}
	}
	if addr.Zone() != "" {
		r.reject(field+sub, "%s has a zone, which means nothing to a cluster; give the address without it",
			Quote(value))
	}
	return addr.Unmap()
}

// addrRemedy returns the remedy for a value that is not an address, by what it looks like.
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

func (r *RequestReader) port(field string, port uint32) uint16 {
	if port < 1 || port > 65535 {
		r.reject(field, "%d is not a port; give 1 to 65535", port)
		return 0
	}
	return uint16(port)
}

func (r *RequestReader) protocol(field string, protocol netpoldv1.Protocol) engine.Protocol {
	switch protocol {
	case netpoldv1.Protocol_PROTOCOL_UNSPECIFIED, netpoldv1.Protocol_PROTOCOL_TCP:
		return engine.TCP
	case netpoldv1.Protocol_PROTOCOL_UDP:
		return engine.UDP
	case netpoldv1.Protocol_PROTOCOL_SCTP:
		return engine.SCTP
	default:
		r.reject(field, "%d is not a protocol; give PROTOCOL_TCP (1), PROTOCOL_UDP (2) or PROTOCOL_SCTP (3)",
			int32(protocol))
		return engine.TCP
	}
}

// endpointField returns the name of the oneof field that is set, or "" if there is none.
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

// Quote returns an invalid value as errors repeat it: in quotes, and cut if it is long.
func Quote(value string) string {
	if len(value) > maxQuoted {
		return strconv.Quote(strings.ToValidUTF8(value[:maxQuoted], "")) + "..."
	}
	return strconv.Quote(value)
}
