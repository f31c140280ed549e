package wire

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/proto/names"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// maxWords limits what one filter of a list names.
const maxWords = 1000

// ListRequest reads a request for a list. It does not read its cursor, overlay and at_least. The result is
// valid only if there are no violations.
func (r *RequestReader) ListRequest(req *netpoldv1.ListConnectionsRequest) *audit.ListRequest {
	to := &audit.ListRequest{Ports: r.listPorts(req.GetProtocol(), req.GetPorts())}
	for i, include := range req.GetInclude() {
		switch include {
		case netpoldv1.Include_INCLUDE_UNSPECIFIED:
		case netpoldv1.Include_INCLUDE_NODES:
			to.Nodes = true
		case netpoldv1.Include_INCLUDE_SERVICES:
			to.Services = true
		case netpoldv1.Include_INCLUDE_EXPOSURE:
			to.Exposure = true
		case netpoldv1.Include_INCLUDE_POLICIES:
			to.Policies = true
		default:
			r.reject("include["+strconv.Itoa(i)+"]", "%d is nothing that a list includes; give INCLUDE_NODES, "+
				"INCLUDE_SERVICES, INCLUDE_EXPOSURE or INCLUDE_POLICIES", int32(include))
		}
	}
	switch req.GetOnly() {
	case netpoldv1.Only_ONLY_UNSPECIFIED:
	case netpoldv1.Only_ONLY_ISOLATED:
		to.Only = audit.OnlyIsolated
	case netpoldv1.Only_ONLY_OPEN:
		to.Only = audit.OnlyOpen
	case netpoldv1.Only_ONLY_EXPOSED:
		to.Only = audit.OnlyExposed
	default:
		r.reject("only", "%d is no condition; give ONLY_ISOLATED, ONLY_OPEN or ONLY_EXPOSED, or leave it out",
			int32(req.GetOnly()))
	}
	noService := "add INCLUDE_SERVICES to include, or name the workload behind it"
	if to.Services {
		noService = ""
	}
	to.Src = r.Ends("src", req.GetSrc(), "")
	to.Dst = r.Ends("dst", req.GetDst(), noService)
	return to
}

// Ends reads the filter of one side. noService is what to give in place of a Service; empty if the engine says
// whether one may be named.
func (r *RequestReader) Ends(field string, ends *netpoldv1.Ends, noService string) audit.Ends {
	var to audit.Ends
	switch ends.GetScope() {
	case netpoldv1.Scope_SCOPE_UNSPECIFIED, netpoldv1.Scope_SCOPE_ALL:
	case netpoldv1.Scope_SCOPE_CLUSTER:
		to.Scope = audit.ScopeCluster
	case netpoldv1.Scope_SCOPE_EXTERNAL:
		to.Scope = audit.ScopeExternal
	default:
		r.reject(field+".scope", "%d is no scope; give SCOPE_ALL, SCOPE_CLUSTER or SCOPE_EXTERNAL",
			int32(ends.GetScope()))
	}
	for i, endpoint := range ends.GetEndpoints() {
		at := endpointPath(field, i)
		if endpoint.GetService() != nil && noService != "" {
			r.reject(at+".service", "a Service stands for other ends; %s", noService)
		}
		to.Endpoints = append(to.Endpoints, r.endpoint(at, endpoint))
	}
	for i, namespace := range ends.GetNamespaces() {
		r.name(field, ".namespaces["+strconv.Itoa(i)+"]", namespace)
	}
	to.Namespaces = ends.GetNamespaces()
	to.Pods = r.selector(field+".pod_selector", ends.GetPodSelector())
	to.NamespaceLabels = r.selector(field+".namespace_selector", ends.GetNamespaceSelector())
	return to
}

// endpointPath returns the path of an endpoint of a filter.
func endpointPath(field string, i int) string { return field + ".endpoints[" + strconv.Itoa(i) + "]" }

// selectorOperators maps operators of text to those of the engine.
var selectorOperators = map[names.Operator]engine.Operator{
	names.In: engine.In, names.NotIn: engine.NotIn, names.Exists: engine.Exists, names.DoesNotExist: engine.DoesNotExist,
}

// selector reads a selector; empty text is none.
func (r *RequestReader) selector(field, text string) *engine.Selector {
	if text == "" {
		return nil
	}
	requirements, err := names.ParseSelector(text)
	if err != nil {
		r.reject(field, "%s is no selector: %v", Quote(text), err)
		return nil
	}
	selector := make(engine.Selector, len(requirements))
	for i, q := range requirements {
		selector[i] = engine.Requirement{Key: q.Key, Operator: selectorOperators[q.Operator], Values: q.Values}
	}
	return &selector
}

// listPorts reads the ports of a filter; nil is every port.
func (r *RequestReader) listPorts(only netpoldv1.Protocol, ranges []*netpoldv1.PortRange) []audit.PortRange {
	every := []engine.Protocol{engine.TCP, engine.UDP, engine.SCTP}
	if only != netpoldv1.Protocol_PROTOCOL_UNSPECIFIED {
		every = []engine.Protocol{r.protocol("protocol", only)}
	}
	var to []audit.PortRange
	if len(ranges) == 0 && len(every) == 1 {
		return []audit.PortRange{{Protocol: every[0], First: 1, Last: maxPort}}
	}
	for i, port := range ranges {
		at := "ports[" + strconv.Itoa(i) + "]"
		first, last := r.port(at+".first", port.GetFirst()), uint16(0)
		switch {
		case port.GetLast() == 0:
			r.reject(at+".last", "is required: the last port of the range, which is first for a single port")
		case port.GetLast() < port.GetFirst():
			r.reject(at+".last", "%d is before the first port, %d; give first and last in order", port.GetLast(),
				port.GetFirst())
		default:
			last = r.port(at+".last", port.GetLast())
		}
		protocols := every
		if p := port.GetProtocol(); p != netpoldv1.Protocol_PROTOCOL_UNSPECIFIED {
			protocols = []engine.Protocol{r.protocol(at+".protocol", p)}
			if only != netpoldv1.Protocol_PROTOCOL_UNSPECIFIED && p != only {
				r.reject(at+".protocol", "%v is not the protocol that the field protocol asks for, %v; leave one of them out",
					p, only)
			}
		}
		for _, protocol := range protocols {
			to = append(to, audit.PortRange{Protocol: protocol, First: first, Last: last})
		}
	}
	return to
}

// maxPort is the last port.
const maxPort = 65535

// A Filtered is a request with the filters of a list.
type Filtered interface {
	GetSrc() *netpoldv1.Ends
	GetDst() *netpoldv1.Ends
	GetPorts() []*netpoldv1.PortRange
}

// FiltersTooLarge refuses a request whose filters name more than one audit looks at; nil for others.
func FiltersTooLarge(req Filtered) *Failure {
	for _, filter := range []struct {
		field string
		words int
	}{
		{"src", endsWords(req.GetSrc())}, {"dst", endsWords(req.GetDst())}, {"ports", len(req.GetPorts())},
	} {
		if filter.words > maxWords {
			return AuditTooLarge(filter.field, "words", filter.words, maxWords,
				"ask in several requests, or name namespaces or labels in place of each Pod")
		}
	}
	return nil
}

func endsWords(e *netpoldv1.Ends) int { return len(e.GetEndpoints()) + len(e.GetNamespaces()) }

// FilterError returns the failure of a request whose filters s could not satisfy.
func FilterError(s *engine.Snapshot, req Filtered, err *audit.RequestError) *Failure {
	field, detail := err.Field, err.Detail
	for _, side := range []struct {
		field string
		ends  *netpoldv1.Ends
	}{{"src", req.GetSrc()}, {"dst", req.GetDst()}} {
		for i, endpoint := range side.ends.GetEndpoints() {
			if err.Field == endpointPath(side.field, i) {
				field += "." + endpointField(endpoint)
				if err.Code == engine.NotFound {
					detail = withAdvice(detail, meant(s, askedName(endpoint), side.field == "dst"))
				}
			}
		}
		for i, namespace := range side.ends.GetNamespaces() {
			if err.Field == fmt.Sprintf("%s.namespaces[%d]", side.field, i) {
				if near := nearNamespace(s, engine.Named{Namespace: namespace}); near != "" {
					detail = withAdvice(detail, "did you mean "+near+"?")
				}
			}
		}
	}
	return RequestFailure(&audit.RequestError{Field: field, Code: err.Code, Detail: detail})
}

// withAdvice returns what is wrong with advice in place of its own; unchanged if there is none.
func withAdvice(detail, advice string) string {
	if advice == "" {
		return detail
	}
	wrong, _, _ := strings.Cut(detail, ": ")
	return wrong + ": " + advice
}
