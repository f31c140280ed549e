package extauthz

import (
	"net/netip"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/metadata"

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

// A question is what a CheckRequest asks.
type question struct {
	proxied.Question
	// http reports whether the HTTP filter asks; otherwise the network or the UDP session filter does.
	http      bool
	principal principal
}

// read turns a CheckRequest and the gRPC metadata of its call into a question. It depends on nothing else. The
// failure names each field that is wrong by the proxy's configuration; then only http and shadow of the question
// count. What the client made wrong is no failure (P3).
func read(req *authv3.CheckRequest, md metadata.MD) (*question, *wire.Failure) {
	attrs := req.GetAttributes()
	q := &question{http: attrs.GetRequest().GetHttp() != nil}
	r := reader{attrs: attrs}
	o := r.overrides(attrs, md)
	if shadow := &o[keyShadow]; shadow.given() {
		q.Shadow = r.Flag(shadow.field, shadow.value)
	}
	r.ends(q, &o)
	r.demands(q, &o)
	r.Resolve(&q.Question)
	return q, r.Failure()
}

// A reader reads a CheckRequest.
type reader struct {
	proxied.Reader
	attrs *authv3.AttributeContext
}

// ends reads both ends, the port and the protocol, as words.
func (r *reader) ends(q *question, o *overrides) {
	r.source(q, &o[keySrc])
	if dst := &o[keyDst]; !dst.set() || dst.value == atLocal {
		q.Dst, q.Request.Dst = fieldDestination, r.socketIP(fieldDestination, r.attrs.GetDestination())
	} else {
		q.Dst, q.Request.Dst = dst.field, r.words(dst, atLocal)
	}
	local := socketOf(r.attrs.GetDestination())
	r.PortField, r.ProtocolField = fieldDestination, fieldDestination
	switch port := &o[keyPort]; {
	case port.wrong != "":
		r.PortField = port.field
	case port.set():
		r.PortField, q.Request.Port = port.field, r.Port(port.field, port.value)
	case local != nil:
		q.Request.Port = local.GetPortValue()
	case !r.Rejected(fieldDestination):
		r.Reject(fieldDestination, "is no address with a number of a port; override port too, for example 8080")
	}
	switch protocol := &o[keyProtocol]; {
	case protocol.wrong != "":
		r.ProtocolField = protocol.field
	case protocol.set():
		r.ProtocolField, q.Request.Protocol = protocol.field, r.Protocol(protocol.field, protocol.value)
	case local.GetProtocol() == corev3.SocketAddress_UDP:
		q.Request.Protocol = netpoldv1.Protocol_PROTOCOL_UDP
	case local.GetProtocol() == corev3.SocketAddress_TCP:
		q.Request.Protocol = netpoldv1.Protocol_PROTOCOL_TCP
	default:
		r.Reject(fieldDestination, "%d is not a protocol of a socket address; override protocol", local.GetProtocol())
	}
}

// source reads the source.
func (r *reader) source(q *question, src *override) {
	q.Src = fieldSource
	if src.set() {
		q.Src = src.field
	}
	header, byHeader := strings.CutPrefix(src.value, atHeader)
	switch {
	case !src.set() || src.value == atPeer:
		q.Src, q.Request.Src = fieldSource, r.socketIP(fieldSource, r.attrs.GetSource())
	case src.value == atSelf:
		q.Src, q.Request.Src = fieldDestination, r.socketIP(fieldDestination, r.attrs.GetDestination())
	case !byHeader:
		q.Request.Src = r.words(src, atPeer+", "+atSelf+" or "+atHeader+"NAME")
	case !q.http:
		r.Reject(src.field, "names a header, and only the HTTP filter has headers; give %s, %s or an endpoint", atPeer,
			atSelf)
	case !proxied.IsHeader(header):
		r.Reject(src.field, "%s is not the name of a header; write %sx-envoy-external-address, for example",
			wire.Quote(header), atHeader)
	default:
		q.SrcByClient = true
		ip, ok := headerIP(r.attrs.GetRequest().GetHttp(), strings.ToLower(header))
		if q.BadSource = !ok; ok {
			q.Request.Src = words.IP(ip.String())
		}
	}
}

// words reads an override in the words of netpold check.
func (r *reader) words(o *override, besides string) *netpoldv1.Endpoint {
	if o.wrong != "" {
		return nil
	}
	return r.Endpoint(o.field, o.value, besides)
}

// socketIP reads the address of a peer of the connection.
func (r *reader) socketIP(field string, peer *authv3.AttributeContext_Peer) *netpoldv1.Endpoint {
	if socket := socketOf(peer); socket != nil {
		return words.IP(socket.GetAddress())
	}
	if !r.Rejected(field) {
		r.Reject(field, "is no socket address with an IP and a number of a port; override it, as docs/proxies.md says")
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

// demands reads what must be known of the source and of the client.
func (r *reader) demands(q *question, o *overrides) {
	if known := &o[keyRequireKnown]; known.given() {
		r.Known(&q.Question, known.field, known.value)
	}
	q.principal.demand = demandNone
	if p := &o[keyRequirePrincipal]; p.given() {
		switch q.principal.demand = demand(p.value); q.principal.demand {
		case demandNone, demandPresent, demandMatch:
		default:
			r.Reject(p.field, "%s is not one of none, present, match", wire.Quote(p.value))
		}
	}
	trusted := &o[keyTrustDomain]
	if trusted.given() && !isTrustDomain(trusted.value) {
		r.Reject(trusted.field, "%s is not a trust domain; write it like cluster.local, or leave it out",
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
	ip, ok = proxied.HeaderIP(values[0])
	return ip, ok && proxied.WrongAddress(ip) == ""
}
