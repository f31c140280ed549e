package server

import (
	"encoding/binary"
	"net/netip"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// columns are the n questions of a batch by IP. They refer to the request's memory.
type columns struct {
	n        int
	src, dst addresses
	// ports and protocols are nil where one value serves all.
	ports, protocols []byte
	port             uint16
	protocol         engine.Protocol
}

// addresses are a column of them.
type addresses struct {
	field  string
	packed []byte
	// width is 4 or 16.
	width int
}

func (a *addresses) len() int { return len(a.packed) / a.width }

// at is the address of question i; an IPv4-mapped one is the IPv4 address (S9).
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

// readColumns checks what is true of the batch as a whole: that it is not too large, and that the columns fit together. What
// is wrong with one question is found by [columns.question].
func readColumns(req *netpoldv1.StreamAllowedRequest, limit int) (columns, *failure) {
	var c columns
	r := reading{at: alone}
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
	c.n = max(c.src.len(), c.dst.len())
	if c.n > limit {
		return columns{}, batchTooLarge(longer(&c).field, c.n, limit)
	}
	r.addresses(&c.src, c.n)
	r.addresses(&c.dst, c.n)
	r.ports(req, &c)
	r.protocols(req, &c)
	if len(r.violations) > 0 {
		return columns{}, invalid(r.violations)
	}
	return c, nil
}

func longer(c *columns) *addresses {
	if c.dst.len() > c.src.len() {
		return &c.dst
	}
	return &c.src
}

func (r *reading) addresses(a *addresses, n int) {
	switch {
	case len(a.packed) == 0 && n > 0:
		r.reject(a.field, "is required: the column has no address, of %d questions", n)
	case len(a.packed) != n*a.width:
		r.reject(a.field, "is %d bytes long; %d questions need %d, %d for each", len(a.packed), n, n*a.width, a.width)
	}
}

func (r *reading) ports(req *netpoldv1.StreamAllowedRequest, c *columns) {
	switch {
	case len(req.GetPorts()) > 0 && req.GetPort() != 0:
		r.reject("port", "%d is given beside ports; give one of them", req.GetPort())
	case len(req.GetPorts()) > 0:
		c.ports = req.GetPorts()
		r.length("ports", len(c.ports), c.n, portWidth)
	case c.n > 0 && req.GetPort() == 0:
		r.reject("port", "is required: give the port of all questions, 1 to 65535, or one for each in ports")
	case req.GetPort() != 0:
		c.port = r.port("port", req.GetPort())
	}
}

func (r *reading) protocols(req *netpoldv1.StreamAllowedRequest, c *columns) {
	if len(req.GetProtocols()) == 0 {
		c.protocol = r.protocol("protocol", req.GetProtocol())
		return
	}
	if req.GetProtocol() != netpoldv1.Protocol_PROTOCOL_UNSPECIFIED {
		r.reject("protocol", "%v is given beside protocols; give one of them", req.GetProtocol())
	}
	c.protocols = req.GetProtocols()
	r.length("protocols", len(c.protocols), c.n, 1)
}

func (r *reading) length(field string, got, n, width int) {
	if got != n*width {
		r.reject(field, "is %d bytes long; %d questions need %d, %d for each", got, n, n*width, width)
	}
}

// byIP is one question of a batch.
type byIP struct {
	src, dst netip.Addr
	port     uint16
	protocol engine.Protocol
}

// query is the question as the engine asks it of anybody.
func (q *byIP) query() engine.Query {
	return engine.Query{Src: engine.ByIP(q.src), Dst: engine.ByIP(q.dst), Port: q.port, Protocol: q.protocol}
}

// question is question i, or what is wrong with it, as if it had been asked alone (S28).
func (c *columns) question(i int) (byIP, *failure) {
	port, protocol := c.port, c.protocol
	if c.ports != nil {
		port = binary.BigEndian.Uint16(c.ports[i*portWidth:])
	}
	if c.protocols != nil {
		protocol = engineProtocol(c.protocols[i])
	}
	if port == 0 || protocol == noProtocol {
		return byIP{}, c.invalid(i, port)
	}
	return byIP{src: c.src.at(i), dst: c.dst.at(i), port: port, protocol: protocol}, nil
}

// noProtocol is what [engineProtocol] makes of a number that is none.
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

func (c *columns) invalid(i int, port uint16) *failure {
	r := reading{at: alone}
	r.port("port", uint32(port))
	if c.protocols != nil {
		r.protocol("protocol", netpoldv1.Protocol(c.protocols[i]))
	}
	return invalid(r.violations)
}

// unaskedByIP is the failure of a question that the engine could not answer, as if it had been asked alone.
func unaskedByIP(err error) *failure {
	return refused(err, func(dst bool) (end, field string) {
		if dst {
			return "dst", "dst.ip"
		}
		return "src", "src.ip"
	})
}
