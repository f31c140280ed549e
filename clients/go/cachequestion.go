package netpold

import (
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A cachedQuestion is a question as the key of a cache. Invariant: it has all that was asked. The watch asks the
// question that [cachedQuestion.request] makes of it, so that no two questions can share an answer.
type cachedQuestion struct {
	src, dst cachedEnd
	port     uint32
	protocol netpoldv1.Protocol
	details  bool
}

// A cachedEnd is an end of a cachedQuestion.
type cachedEnd struct {
	kind endKind
	// name has the address of an end by IP. workload is the kind of a workload.
	namespace, workload, name string
}

// An endKind is which way of naming an end was used. 0 is one that is not remembered.
type endKind uint8

const (
	endByIP endKind = iota + 1
	endPod
	endWorkload
	endService
)

// maxCachedBytes is the most bytes of the names of a question that is remembered. Names that exist have fewer. So
// a message of the watch stays small, whatever is asked.
const maxCachedBytes = 1024

// cachedQuestionOf returns the key of a question. It reports false for questions that are not remembered:
// those about labelled Pods, with at_least, and with fields that this client does not know. It does not
// allocate, and the key shares the question's strings.
func cachedQuestionOf(q *netpoldv1.AllowedRequest) (key cachedQuestion, ok bool) {
	if q.GetAtLeast() != "" || hasUnknown(q) {
		return key, false
	}
	key.src, key.dst = cachedEndOf(q.GetSrc()), cachedEndOf(q.GetDst())
	key.port, key.protocol, key.details = q.GetPort(), q.GetProtocol(), q.GetDetails()
	return key, key.src.kind != 0 && key.dst.kind != 0
}

func cachedEndOf(e *netpoldv1.Endpoint) cachedEnd {
	if hasUnknown(e) {
		return cachedEnd{}
	}
	switch e := e.GetEndpoint().(type) {
	case *netpoldv1.Endpoint_Ip:
		return cachedEnd{kind: endByIP, name: e.Ip}
	case *netpoldv1.Endpoint_Pod:
		if !hasUnknown(e.Pod) {
			return cachedEnd{kind: endPod, namespace: e.Pod.GetNamespace(), name: e.Pod.GetName()}
		}
	case *netpoldv1.Endpoint_Workload:
		if w := e.Workload; !hasUnknown(w) {
			return cachedEnd{endWorkload, w.GetNamespace(), w.GetKind(), w.GetName()}
		}
	case *netpoldv1.Endpoint_Service:
		if !hasUnknown(e.Service) {
			return cachedEnd{kind: endService, namespace: e.Service.GetNamespace(), name: e.Service.GetName()}
		}
	}
	return cachedEnd{}
}

// hasUnknown reports whether a message has fields that this client does not know. They may change the answer.
func hasUnknown(m proto.Message) bool { return len(m.ProtoReflect().GetUnknown()) > 0 }

// own returns a copy that shares no memory with the caller's question. It reports false if the question must not
// go into a message with others, because that could not be sent or would be too large.
func (q cachedQuestion) own() (cachedQuestion, bool) {
	names := [...]*string{
		&q.src.namespace, &q.src.workload, &q.src.name, &q.dst.namespace, &q.dst.workload, &q.dst.name,
	}
	bytes := 0
	for _, s := range names {
		if bytes += len(*s); bytes > maxCachedBytes || !utf8.ValidString(*s) {
			return q, false
		}
	}
	var all strings.Builder // one piece of memory, which is read as a whole
	all.Grow(bytes)
	for _, s := range names {
		all.WriteString(*s)
	}
	for rest, i := all.String(), 0; i < len(names); i++ {
		*names[i], rest = rest[:len(*names[i])], rest[len(*names[i]):]
	}
	return q, true
}

// request returns the question.
func (q *cachedQuestion) request() *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{
		Src: q.src.endpoint(), Dst: q.dst.endpoint(), Port: q.port, Protocol: q.protocol, Details: q.details,
	}
}

func (e *cachedEnd) endpoint() *netpoldv1.Endpoint {
	switch e.kind {
	case endPod:
		return Pod(e.namespace, e.name)
	case endWorkload:
		return Workload(e.namespace, e.workload, e.name)
	case endService:
		return Service(e.namespace, e.name)
	default:
		return IP(e.name)
	}
}
