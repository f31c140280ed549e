package proxied

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/words"
	"github.com/netpold/netpold/server/internal/wire"
)

// A Question is what a proxy asks.
type Question struct {
	// Request is the question as Allowed would get it, and Query the same as the engine gets it.
	Request netpoldv1.AllowedRequest
	Query   engine.Query
	// Src and Dst are the fields that the ends come from.
	Src, Dst string
	// BadSource means that a header has to name the source, and does not.
	BadSource bool
	// SrcByClient means that the client may have written the source.
	SrcByClient bool
	// KnownSrc and KnownDst ask that an address belongs to something in the cluster.
	KnownSrc, KnownDst bool
	// Shadow lets the client through, whatever the answer is (P12).
	Shadow bool

	// outcome is what it came to, and answer what the policies say: so all of a question is one allocation.
	outcome Outcome
	answer  wire.Answer
	// src and dst are the ends of Request if they are addresses.
	src, dst addressed
}

// An addressed is an endpoint by IP.
type addressed struct {
	endpoint netpoldv1.Endpoint
	ip       netpoldv1.Endpoint_Ip
}

// set makes a the endpoint of an address in its canonical form, and returns it.
func (a *addressed) set(ip string) *netpoldv1.Endpoint {
	a.ip.Ip = ip
	a.endpoint.Endpoint = &a.ip
	return &a.endpoint
}

// SetSrc makes an address, as text has it, the source.
func (q *Question) SetSrc(ip netip.Addr, text string) { q.Request.Src = q.src.set(canonical(ip, text)) }

// SetDst makes the words of an endpoint the destination, if they are an address. It reports whether they are.
func (q *Question) SetDst(text string) bool {
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return false
	}
	q.Request.Dst = q.dst.set(canonical(ip.Unmap(), text))
	return true
}

// canonical returns the text of an address. Most are written so, and then it is text itself.
func canonical(ip netip.Addr, text string) string {
	var space [len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")]byte
	if own := ip.AppendTo(space[:0]); string(own) != text {
		return string(own)
	}
	return text
}

// unused has questions that nobody reads any more.
var unused = sync.Pool{New: func() any { return new(Question) }}

// TakeQuestion returns an empty question. [Door.Release] gives it back.
func TakeQuestion() *Question {
	q, _ := unused.Get().(*Question)
	return q
}

// locate returns what errors call an end, and the field that it comes from.
func (q *Question) locate(dst bool) (endpoint, field string) {
	if dst {
		return "dst", q.Dst
	}
	return "src", q.Src
}

// A Reader reads a question from words of the proxy's configuration, and collects what is wrong with it.
type Reader struct {
	Violations []*errdetails.BadRequest_FieldViolation
	// PortField and ProtocolField are the fields that the port and the protocol come from.
	PortField, ProtocolField string
}

// maxWords is the longest endpoint in words, in bytes.
const maxWords = 4 << 10

// Reject adds a violation: what is wrong with a field, and what it should be.
func (r *Reader) Reject(field, format string, args ...any) {
	r.Violations = wire.AppendViolation(r.Violations, field, fmt.Sprintf(format, args...))
}

// Rejected reports whether a violation is about field.
func (r *Reader) Rejected(field string) bool { return rejected(r.Violations, field) }

func rejected(violations []*errdetails.BadRequest_FieldViolation, field string) bool {
	return slices.ContainsFunc(violations, func(v *errdetails.BadRequest_FieldViolation) bool {
		return v.GetField() == field
	})
}

// Endpoint reads an endpoint in the words of netpold check. besides are the other values that it may have; empty
// for none.
func (r *Reader) Endpoint(field, value, besides string) *netpoldv1.Endpoint {
	or := func(before, after string) string {
		if besides == "" {
			return ""
		}
		return before + besides + after
	}
	switch {
	case strings.HasPrefix(value, "@"):
		r.Reject(field, "%s is not known; give %san endpoint, for example deploy/shop/web", wire.Quote(value),
			or("", " or "))
		return nil
	case len(value) > maxWords:
		r.Reject(field, "is %d bytes long; an endpoint has at most %d", len(value), maxWords)
		return nil
	}
	endpoint, err := words.ParseEndpoint(value)
	if err != nil {
		r.Reject(field, "%v%s", err, or("; or give ", ""))
	}
	return endpoint
}

// Port reads a port.
func (r *Reader) Port(field, value string) uint32 {
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil || port == 0 {
		r.Reject(field, "%s is not a port; give 1 to 65535", wire.Quote(value))
	}
	return uint32(port)
}

// Protocol reads a protocol.
func (r *Reader) Protocol(field, value string) netpoldv1.Protocol {
	protocol, err := words.ParseProtocol(value)
	if err != nil || value == "" {
		r.Reject(field, "%s is not a protocol; give TCP, UDP or SCTP", wire.Quote(value))
	}
	return protocol
}

// Flag reads a switch.
func (r *Reader) Flag(field, value string) bool {
	if value != "true" && value != "false" {
		r.Reject(field, "%s is neither true nor false; give true, or leave it out", wire.Quote(value))
	}
	return value == "true"
}

// Known reads require_known: whose address must belong to something in the cluster.
func (r *Reader) Known(q *Question, field, value string) {
	switch value {
	case "src":
		q.KnownSrc = true
	case "dst":
		q.KnownDst = true
	case "src,dst":
		q.KnownSrc, q.KnownDst = true, true
	default:
		r.Reject(field, "%s is not one of src; dst; src,dst", wire.Quote(value))
	}
}

// Resolve turns the words into the engine's question, as Allowed does, and rejects addresses that are not the
// real ones (P5).
func (r *Reader) Resolve(q *Question) {
	in := wire.RequestReader{Index: wire.Alone}
	q.Query = in.Query(&q.Request)
	read := len(r.Violations) // what is missing because of these is no violation of its own
	for _, v := range in.Violations {
		end, _, _ := strings.Cut(v.GetField(), ".")
		field := map[string]string{"src": q.Src, "dst": q.Dst, "port": r.PortField, "protocol": r.ProtocolField}[end]
		if !rejected(r.Violations[:read], field) && !(end == "src" && q.BadSource) {
			r.Reject(field, "%s", v.GetDescription())
		}
	}
	if wrong := WrongAddress(q.Query.Src.IP()); wrong != "" {
		r.Reject(q.Src, "%s", wrong)
	}
	if wrong := WrongAddress(q.Query.Dst.IP()); wrong != "" {
		r.Reject(q.Dst, "%s", wrong)
	}
}

// Failure returns the failure that names each violation; nil if there is none.
func (r *Reader) Failure() *wire.Failure {
	if len(r.Violations) == 0 {
		return nil
	}
	return wire.Invalid(r.Violations)
}

// HeaderIP returns the address in the value of a request header, which may have a port. ok is false for anything
// else, and for a zone. An IPv4-mapped address is IPv4.
func HeaderIP(text string) (ip netip.Addr, ok bool) {
	text = strings.Trim(text, " \t")
	ip, err := netip.ParseAddr(unbracketed(text))
	if err != nil { // most have no port
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		ip = at.Addr()
	}
	ip = ip.Unmap()
	return ip, ip.Zone() == ""
}

// unbracketed returns an IPv6 address without the brackets around it.
func unbracketed(text string) string {
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") && strings.Contains(inner, ":") {
		return inner[:len(inner)-1]
	}
	return text
}

// IsHeader reports whether s can be the name of a header (RFC 9110).
func IsHeader(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') &&
			strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
