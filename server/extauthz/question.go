package extauthz

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/metadata"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/words"
	"github.com/netpold/netpold/server/internal/proxied"
	"github.com/netpold/netpold/server/internal/wire"
)

// The fields of a CheckRequest that errors name.
const (
	fieldSource      = "attributes.source.address"
	fieldDestination = "attributes.destination.address"
)

// The values of src and dst that are no words of netpold check (P7).
const (
	atPeer   = "@peer"
	atSelf   = "@self"
	atHeader = "@header:"
	atLocal  = "@local"
)

// maxWords is the longest endpoint in words, in bytes.
const maxWords = 4 << 10

// A question is what a CheckRequest asks.
type question struct {
	// request is the question as Allowed would get it, and query the same as the engine gets it.
	request netpoldv1.AllowedRequest
	query   engine.Query
	// src and dst are the fields that the ends come from.
	src, dst string
	// http reports whether the HTTP filter asks; otherwise the network or the UDP session filter does.
	http bool
	// badSource means that a header has to name the source, and does not.
	badSource bool
	// srcByClient means that the client's header names the source.
	srcByClient        bool
	knownSrc, knownDst bool
	principal          principal
	shadow             bool
}

// read turns a CheckRequest and the gRPC metadata of its call into a question. It depends on nothing else. The
// failure names each field that is wrong by the proxy's configuration; then only http and shadow of the question
// count. What the client made wrong is no failure (P3).
func read(req *authv3.CheckRequest, md metadata.MD) (*question, *wire.Failure) {
	attrs := req.GetAttributes()
	q := &question{http: attrs.GetRequest().GetHttp() != nil}
	r := reader{attrs: attrs}
	o := r.overrides(attrs, md)
	q.shadow = r.flag(&o[keyShadow])
	r.ends(q, &o)
	r.demands(q, &o)
	r.resolve(q)
	if len(r.violations) > 0 {
		return q, wire.Invalid(r.violations)
	}
	return q, nil
}

// A reader reads a CheckRequest, and collects what is wrong with it.
type reader struct {
	attrs      *authv3.AttributeContext
	violations []*errdetails.BadRequest_FieldViolation
	// portField and protocolField are the fields that the port and the protocol come from.
	portField, protocolField string
}

// reject adds a violation: what is wrong with a field, and what it should be.
func (r *reader) reject(field, format string, args ...any) {
	r.violations = wire.AppendViolation(r.violations, field, fmt.Sprintf(format, args...))
}

// rejected reports whether a violation is about field.
func rejected(violations []*errdetails.BadRequest_FieldViolation, field string) bool {
	return slices.ContainsFunc(violations, func(v *errdetails.BadRequest_FieldViolation) bool {
		return v.GetField() == field
	})
}

// ends reads both ends, the port and the protocol, as words.
func (r *reader) ends(q *question, o *overrides) {
	r.source(q, &o[keySrc])
	if dst := &o[keyDst]; !dst.set() || dst.value == atLocal {
		q.dst, q.request.Dst = fieldDestination, r.socketIP(fieldDestination, r.attrs.GetDestination())
	} else {
		q.dst, q.request.Dst = dst.field, r.words(dst, atLocal)
	}
	local := socketOf(r.attrs.GetDestination())
	r.portField, r.protocolField = fieldDestination, fieldDestination
	switch port := &o[keyPort]; {
	case port.set():
		r.portField, q.request.Port = port.field, r.port(port)
	case local != nil:
		q.request.Port = local.GetPortValue()
	case !rejected(r.violations, fieldDestination):
		r.reject(fieldDestination, "is no address with a number of a port; override port too, for example 8080")
	}
	switch protocol := &o[keyProtocol]; {
	case protocol.set():
		r.protocolField, q.request.Protocol = protocol.field, r.protocol(protocol)
	case local.GetProtocol() == corev3.SocketAddress_UDP:
		q.request.Protocol = netpoldv1.Protocol_PROTOCOL_UDP
	case local.GetProtocol() == corev3.SocketAddress_TCP:
		q.request.Protocol = netpoldv1.Protocol_PROTOCOL_TCP
	default:
		r.reject(fieldDestination, "%d is not a protocol of a socket address; override protocol", local.GetProtocol())
	}
}

// source reads the source.
func (r *reader) source(q *question, src *override) {
	q.src = fieldSource
	if src.set() {
		q.src = src.field
	}
	header, byHeader := strings.CutPrefix(src.value, atHeader)
	switch {
	case !src.set() || src.value == atPeer:
		q.src, q.request.Src = fieldSource, r.socketIP(fieldSource, r.attrs.GetSource())
	case src.value == atSelf:
		q.src, q.request.Src = fieldDestination, r.socketIP(fieldDestination, r.attrs.GetDestination())
	case !byHeader:
		q.request.Src = r.words(src, atPeer+", "+atSelf+" or "+atHeader+"NAME")
	case !q.http:
		r.reject(src.field, "names a header, and only the HTTP filter has headers; give %s, %s or an endpoint", atPeer,
			atSelf)
	case !isToken(header):
		r.reject(src.field, "%s is not the name of a header; write %sx-envoy-external-address, for example",
			wire.Quote(header), atHeader)
	default:
		q.srcByClient = true
		ip, ok := headerIP(r.attrs.GetRequest().GetHttp(), strings.ToLower(header))
		if q.badSource = !ok; ok {
			q.request.Src = words.IP(ip.String())
		}
	}
}

// words reads an endpoint in the words of netpold check. besides are the other values that the key may have.
func (r *reader) words(o *override, besides string) *netpoldv1.Endpoint {
	switch {
	case o.wrong != "":
		return nil
	case strings.HasPrefix(o.value, "@"):
		r.reject(o.field, "%s is not known; give %s or an endpoint, for example deploy/shop/web",
			wire.Quote(o.value), besides)
		return nil
	case len(o.value) > maxWords:
		r.reject(o.field, "is %d bytes long; an endpoint has at most %d", len(o.value), maxWords)
		return nil
	}
	endpoint, err := words.ParseEndpoint(o.value)
	if err != nil {
		r.reject(o.field, "%v; or give %s", err, besides)
	}
	return endpoint
}

// socketIP reads the address of a peer of the connection.
func (r *reader) socketIP(field string, peer *authv3.AttributeContext_Peer) *netpoldv1.Endpoint {
	if socket := socketOf(peer); socket != nil {
		return words.IP(socket.GetAddress())
	}
	if !rejected(r.violations, field) {
		r.reject(field, "is no socket address with an IP and a number of a port; override it, as docs/proxies.md says")
	}
	return nil
}

// socketOf returns the socket address of a peer; nil for a pipe, an internal address and a named port.
func socketOf(peer *authv3.AttributeContext_Peer) *corev3.SocketAddress {
	socket := peer.GetAddress().GetSocketAddress()
	if _, named := socket.GetPortSpecifier().(*corev3.SocketAddress_NamedPort); named {
		return nil
	}
	return socket
}

func (r *reader) port(o *override) uint32 {
	port, err := strconv.ParseUint(o.value, 10, 16)
	if o.wrong == "" && (err != nil || port == 0) {
		r.reject(o.field, "%s is not a port; give 1 to 65535", wire.Quote(o.value))
	}
	return uint32(port)
}

func (r *reader) protocol(o *override) netpoldv1.Protocol {
	protocol, err := words.ParseProtocol(o.value)
	if o.wrong == "" && (err != nil || o.value == "") {
		r.reject(o.field, "%s is not a protocol; give TCP, UDP or SCTP", wire.Quote(o.value))
	}
	return protocol
}

// flag reads a switch, which is off without an override.
func (r *reader) flag(o *override) bool {
	switch {
	case !o.set() || o.wrong != "" || o.value == "false":
		return false
	case o.value == "true":
		return true
	}
	r.reject(o.field, "%s is neither true nor false; give true, or leave it out", wire.Quote(o.value))
	return false
}

// demands reads what must be known of the source and of the client.
func (r *reader) demands(q *question, o *overrides) {
	switch known := &o[keyRequireKnown]; {
	case !known.set() || known.wrong != "":
	case known.value == "src":
		q.knownSrc = true
	case known.value == "dst":
		q.knownDst = true
	case known.value == "src,dst":
		q.knownSrc, q.knownDst = true, true
	default:
		r.reject(known.field, "%s is not one of src; dst; src,dst", wire.Quote(known.value))
	}
	q.principal.demand = demandNone
	if p := &o[keyRequirePrincipal]; p.set() && p.wrong == "" {
		switch q.principal.demand = demand(p.value); q.principal.demand {
		case demandNone, demandPresent, demandMatch:
		default:
			r.reject(p.field, "%s is not one of none, present, match", wire.Quote(p.value))
		}
	}
	trusted := &o[keyTrustDomain]
	if trusted.set() && trusted.wrong == "" && !isTrustDomain(trusted.value) {
		r.reject(trusted.field, "%s is not a trust domain; write it like cluster.local, or leave it out",
			wire.Quote(trusted.value))
	}
	of := r.attrs.GetSource().GetPrincipal()
	a, ok := parsePrincipal(of)
	switch {
	case of == "":
		q.principal.standing = absent
	case !ok || trusted.set() && trusted.value != a.trustDomain:
		q.principal.standing = other
	default:
		q.principal.account = a
	}
}

// resolve turns the words into the engine's question, as Allowed does, and rejects addresses that are not the
// real ones (P5).
func (r *reader) resolve(q *question) {
	in := wire.RequestReader{Index: wire.Alone}
	q.query = in.Query(&q.request)
	read := len(r.violations) // what is missing because of these is no violation of its own
	for _, v := range in.Violations {
		end, _, _ := strings.Cut(v.GetField(), ".")
		field := map[string]string{"src": q.src, "dst": q.dst, "port": r.portField, "protocol": r.protocolField}[end]
		if !rejected(r.violations[:read], field) && !(end == "src" && q.badSource) {
			r.reject(field, "%s", v.GetDescription())
		}
	}
	if wrong := proxied.WrongAddress(q.query.Src.IP()); wrong != "" {
		r.reject(q.src, "%s", wrong)
	}
	if wrong := proxied.WrongAddress(q.query.Dst.IP()); wrong != "" {
		r.reject(q.dst, "%s", wrong)
	}
}

// headerIP returns the one address in a request header, which may have a port. ok is false if there is none,
// several, or one that no client has (P7).
func headerIP(http *authv3.AttributeContext_HttpRequest, name string) (ip netip.Addr, ok bool) {
	var values []string
	if value, found := http.GetHeaders()[name]; found {
		values = append(values, value)
	}
	for _, h := range http.GetHeaderMap().GetHeaders() { // Envoy sends these instead, with encode_raw_headers
		if strings.EqualFold(h.GetKey(), name) {
			values = append(values, h.GetValue()+string(h.GetRawValue()))
		}
	}
	if len(values) != 1 {
		return netip.Addr{}, false
	}
	text := strings.Trim(values[0], " \t")
	if at, err := netip.ParseAddrPort(text); err == nil {
		ip = at.Addr()
	} else if ip, err = netip.ParseAddr(unbracketed(text)); err != nil {
		return netip.Addr{}, false
	}
	ip = ip.Unmap()
	return ip, ip.Zone() == "" && proxied.WrongAddress(ip) == ""
}

// unbracketed returns an IPv6 address without the brackets around it.
func unbracketed(text string) string {
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") && strings.Contains(inner, ":") {
		return inner[:len(inner)-1]
	}
	return text
}

// isToken reports whether s can be the name of a header (RFC 9110).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') &&
			strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
