package wire

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Columns holds the questions of a batch of StreamAllowed. It shares memory with the request.
type Columns struct {
	N        int
	src, dst addresses
	// ports and protocols are nil if all questions have the same.
	ports, protocols []byte
	port             uint16
	protocol         engine.Protocol
}

// An addresses is a column of packed addresses.
type addresses struct {
	field  string
	packed []byte
	// width is 4 or 16.
	width int
}

func (a *addresses) len() int { return len(a.packed) / a.width }

// missing reports whether the request has no such column, not even an empty one.
func (a *addresses) missing() bool { return a.field == "src" || a.field == "dst" }

// at returns the address of question i. An IPv4-mapped one becomes the IPv4 address (S9).
func (a *addresses) at(i int) netip.Addr {
	if a.width == net4 {
		return netip.AddrFrom4([net4]byte(a.packed[i*net4:]))
	}
	return netip.AddrFrom16([net16]byte(a.packed[i*net16:])).Unmap()
}

// The widths of addresses and ports, in bytes.
const (
	net4      = 4
	net16     = 16
	portWidth = 2
)

// ReadColumns checks the batch as a whole: it must have at most limit questions, and columns of the same
// length. [Columns.Question] checks each question.
func ReadColumns(req *netpoldv1.StreamAllowedRequest, limit int) (Columns, *Failure) {
	var c Columns
	r := RequestReader{Index: Alone}
	switch src := req.GetSrc().(type) {
	case *netpoldv1.StreamAllowedRequest_SrcIpv4:
		c.src = addresses{"src_ipv4", src.SrcIpv4, net4}
	case *netpoldv1.StreamAllowedRequest_SrcIpv6:
		c.src = addresses{"src_ipv6", src.SrcIpv6, net16}
	default:
		c.src = addresses{"src", nil, net4}
	}
	switch dst := req.GetDst().(type) {
	case *netpoldv1.StreamAllowedRequest_DstIpv4:
		c.dst = addresses{"dst_ipv4", dst.DstIpv4, net4}
	case *netpoldv1.StreamAllowedRequest_DstIpv6:
		c.dst = addresses{"dst_ipv6", dst.DstIpv6, net16}
	default:
		c.dst = addresses{"dst", nil, net4}
	}
	c.N = max(c.src.len(), c.dst.len())
	if c.N > limit {
		return Columns{}, BatchTooLarge(longer(&c).field, c.N, limit)
	}
	r.noUnknownField(req)
	beside := fieldWithoutColumn(req)
	r.addresses(&c.src, c.N, beside)
	r.addresses(&c.dst, c.N, beside)
	r.ports(req, &c)
	r.protocols(req, &c)
	if len(r.Violations) > 0 {
		return Columns{}, Invalid(r.Violations)
	}
	return c, nil
}

func longer(c *Columns) *addresses {
	if c.dst.len() > c.src.len() {
		return &c.dst
	}
	return &c.src
}

// addresses checks a column of n addresses. beside names a field that asks something even if the batch has no
// question.
func (r *RequestReader) addresses(a *addresses, n int, beside string) {
	switch {
	case len(a.packed) == 0 && n > 0:
		r.reject(a.field, "is required: the column has no address, of %d questions", n)
	case a.missing() && beside != "":
		r.reject(a.field, "is required beside %s: give the packed addresses in %s_ipv4 or %s_ipv6; did the "+
			"encoder drop them?",
			beside, a.field, a.field)
	case len(a.packed) != n*a.width:
		r.reject(a.field, "is %d bytes long; %d questions need %d, %d for each", len(a.packed), n, n*a.width,
			a.width)
	}
}

// fieldWithoutColumn returns a field of the batch that asks something; "" if the batch asks nothing. A caller
// whose encoder dropped the columns must not get an empty answer.
func fieldWithoutColumn(req *netpoldv1.StreamAllowedRequest) string {
	switch {
	case req.GetSrc() != nil:
		return "src"
	case req.GetDst() != nil:
		return "dst"
	case req.GetPort() != 0:
		return "port"
	case len(req.GetPorts()) > 0:
		return "ports"
	case req.GetProtocol() != netpoldv1.Protocol_PROTOCOL_UNSPECIFIED:
		return "protocol"
	case len(req.GetProtocols()) > 0:
		return "protocols"
	}
	return ""
}

// noUnknownField rejects a field that this server does not know. A column is part of every question, so the
// server would answer another question without it.
func (r *RequestReader) noUnknownField(req *netpoldv1.StreamAllowedRequest) {
	if unknown := req.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		number, _, _ := protowire.ConsumeTag(unknown)
		r.reject(strconv.Itoa(int(number)),
			"is the number of a field that this server does not know; leave it out, or ask a newer server")
	}
}

func (r *RequestReader) ports(req *netpoldv1.StreamAllowedRequest, c *Columns) {
	switch {
	case len(req.GetPorts()) > 0 && req.GetPort() != 0:
		r.reject("port", "%d is given beside ports; give one of them", req.GetPort())
	case len(req.GetPorts()) > 0:
		c.ports = req.GetPorts()
		r.length("ports", len(c.ports), c.N, portWidth)
	case c.N > 0 && req.GetPort() == 0:
		r.reject("port", "is required: give the port of all questions, 1 to 65535, or one for each in ports")
	case req.GetPort() != 0:
		c.port = r.port("port", req.GetPort())
	}
}

func (r *RequestReader) protocols(req *netpoldv1.StreamAllowedRequest, c *Columns) {
	if len(req.GetProtocols()) == 0 {
		c.protocol = r.protocol("protocol", req.GetProtocol())
		return
	}
	if req.GetProtocol() != netpoldv1.Protocol_PROTOCOL_UNSPECIFIED {
		r.reject("protocol", "%v is given beside protocols; give one of them", req.GetProtocol())
	}
	c.protocols = req.GetProtocols()
	r.length("protocols", len(c.protocols), c.N, 1)
}

func (r *RequestReader) length(field string, got, n, width int) {
	if got != n*width {
		r.reject(field, "is %d bytes long; %d questions need %d, %d for each", got, n, n*width, width)
	}
}

// IPQuery is one question of [Columns].
type IPQuery struct {
	Src, Dst netip.Addr
	Port     uint16
	Protocol engine.Protocol
}

// Query returns the question as an [engine.Query].
func (q *IPQuery) Query() engine.Query {
	return engine.Query{Src: engine.ByIP(q.Src), Dst: engine.ByIP(q.Dst), Port: q.Port, Protocol: q.Protocol}
}

// Question returns question i, or the failure of the same question alone (S28).
func (c *Columns) Question(i int) (IPQuery, *Failure) {
	port, protocol := c.port, c.protocol
	if c.ports != nil {
		port = binary.BigEndian.Uint16(c.ports[i*portWidth:])
	}
	if c.protocols != nil {
		protocol = engineProtocol(c.protocols[i])
	}
	if port == 0 || protocol == noProtocol {
		return IPQuery{}, c.invalid(i, port)
	}
	return IPQuery{Src: c.src.at(i), Dst: c.dst.at(i), Port: port, Protocol: protocol}, nil
}

// noProtocol is the result of [engineProtocol] for a number that is no protocol.
const noProtocol = engine.Protocol(255)

func engineProtocol(value byte) engine.Protocol {
	switch netpoldv1.Protocol(value) {
	case netpoldv1.Protocol_PROTOCOL_UNSPECIFIED, netpoldv1.Protocol_PROTOCOL_TCP:
		return engine.TCP
	case netpoldv1.Protocol_PROTOCOL_UDP:
		return engine.UDP
	case netpoldv1.Protocol_PROTOCOL_SCTP:
		return engine.SCTP
	default:
		return noProtocol
	}
}

func (c *Columns) invalid(i int, port uint16) *Failure {
	r := RequestReader{Index: Alone}
	r.port("port", uint32(port))
	if c.protocols != nil {
		r.protocol("protocol", netpoldv1.Protocol(c.protocols[i]))
	}
	return Invalid(r.Violations)
}

// EngineErrorByIP returns the failure of a question by IP that the engine could not answer, as if it were alone.
func EngineErrorByIP(err error) *Failure { return EngineErrorByIPAt(Alone, err) }

// EngineErrorByIPAt returns the failure of a question by IP in a batch that the engine could not answer.
func EngineErrorByIPAt(index QuestionIndex, err error) *Failure {
	return EngineErrorAt(err, func(dst bool) (endpoint, field string) {
		endpoint = index.Path("src")
		if dst {
			endpoint = index.Path("dst")
		}
		return endpoint, endpoint + ".ip"
	})
}
