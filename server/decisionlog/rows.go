package decisionlog

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	spb "google.golang.org/genproto/googleapis/rpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A row is one question of a message of a stream, with its answer. It has no pointers, so that a queue full
// of rows costs the garbage collector nothing.
type row struct {
	// src and dst are IPv6, or IPv4-mapped.
	src, dst [16]byte
	index    uint32
	port     uint16
	protocol uint8
	// reason is that of the wire; 0 for a question with an error.
	reason  uint8
	allowed bool
}

// rowsOf returns the questions of a message that are to be written, and the errors of those that have one.
// Eight bytes of answers that are all allowed and left out cost one comparison.
func (l *Log) rowsOf(req *netpoldv1.StreamAllowedRequest,
	resp *netpoldv1.StreamAllowedResponse) (rows []row, fails []*spb.Status) {
	n, allowed := len(resp.GetReasons()), resp.GetAllowed()
	all, next := l.choose.rate >= 1, l.choose.skip()
	if all {
		rows = make([]row, 0, n)
	}
	errs := resp.GetErrors()
	for from := 0; from < n; from += 64 {
		// write has a bit for each question to write: at first those that are not allowed.
		write := ^word(allowed[from/8:])
		if all {
			write = ^uint64(0)
		}
		if rest := n - from; rest < 64 {
			write &= 1<<rest - 1
		}
		for next < min(from+64, n) {
			write |= 1 << (next - from)
			next += 1 + l.choose.skip()
		}
		for ; write != 0; write &= write - 1 {
			i := from + bits.TrailingZeros64(write)
			rows = append(rows, rowOf(req, resp, i))
			for len(errs) > 0 && int(errs[0].GetIndex()) <= i {
				fails, errs = append(fails, errs[0].GetError()), errs[1:]
			}
		}
	}
	return rows, fails
}

// word returns up to 8 bytes of b, the first one lowest.
func word(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.LittleEndian.Uint64(b)
	}
	var w uint64
	for i, v := range b {
		w |= uint64(v) << (8 * i)
	}
	return w
}

// rowOf copies question i of a message whose columns fit together.
func rowOf(req *netpoldv1.StreamAllowedRequest, resp *netpoldv1.StreamAllowedResponse, i int) row {
	r := row{index: uint32(i), port: uint16(req.GetPort()), protocol: uint8(req.GetProtocol()),
		reason: resp.GetReasons()[i], allowed: resp.GetAllowed()[i/8]>>(i%8)&1 != 0}
	if ports := req.GetPorts(); len(ports) > 0 {
		r.port = binary.BigEndian.Uint16(ports[2*i:])
	}
	if protocols := req.GetProtocols(); len(protocols) > 0 {
		r.protocol = protocols[i]
	}
	r.src = address(req.GetSrcIpv4(), req.GetSrcIpv6(), i)
	r.dst = address(req.GetDstIpv4(), req.GetDstIpv6(), i)
	return r
}

func address(v4, v6 []byte, i int) [16]byte {
	if len(v4) > 0 {
		return netip.AddrFrom4([4]byte(v4[4*i:])).As16()
	}
	return [16]byte(v6[16*i:])
}
