package decisionlog

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync"
	"time"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A block has the rows of one message of a stream: the questions to write, with their answers. Each row is
// packed, so that a queue full of rows is small, and costs the garbage collector nothing:
//
//	index uint32 | port uint16 | protocol | reason, allowedBit | src | dst
//
// Blocks are reused.
type block struct {
	packed []byte
	// srcLen and dstLen are the lengths of addresses: 4, or 16 for IPv6 and IPv4-mapped ones.
	srcLen, dstLen int
}

const (
	// rowHead is how many bytes of a row come before its addresses.
	rowHead = 8
	// reasonAt is where a row has its reason.
	reasonAt = 7
	// allowedBit is set in the reason of allowed answers. Reasons of the wire are below.
	allowedBit = 0x80
)

// A row is one row of a block.
type row struct {
	index    uint32
	port     uint16
	protocol uint8
	// reason is that of the wire; 0 for a question with an error.
	reason   uint8
	allowed  bool
	src, dst netip.Addr
}

// blocks are those that nobody uses, by the logarithm of their memory: so that a few rows in the queue do not
// hold the memory of many.
var blocks [maxBlock + 1]sync.Pool

// maxBlock is the logarithm of the largest block that is used again, in bytes.
const maxBlock = 18

// newBlock returns a block with memory for the n rows of a message.
func newBlock(req *netpoldv1.StreamAllowedRequest, n int) *block {
	srcLen, dstLen := 4, 4
	if len(req.GetSrcIpv4()) == 0 {
		srcLen = 16
	}
	if len(req.GetDstIpv4()) == 0 {
		dstLen = 16
	}
	class := bits.Len(uint(n*(rowHead+srcLen+dstLen) - 1))
	k := new(block)
	if class > maxBlock {
		k.packed = make([]byte, 0, 1<<class)
	} else if reused, ok := blocks[class].Get().(*block); ok {
		k = reused
	} else {
		k.packed = make([]byte, 0, 1<<class)
	}
	k.srcLen, k.dstLen = srcLen, dstLen
	return k
}

// release lets k be used again.
func (k *block) release() {
	if class := bits.Len(uint(cap(k.packed) - 1)); class <= maxBlock {
		k.packed = k.packed[:0]
		blocks[class].Put(k)
	}
}

// size returns the length of a row.
func (k *block) size() int { return rowHead + k.srcLen + k.dstLen }

// row returns row i.
func (k *block) row(i int) row {
	p := k.packed[i*k.size():]
	src := p[rowHead : rowHead+k.srcLen]
	dst := p[rowHead+k.srcLen : k.size()]
	r := row{index: binary.BigEndian.Uint32(p), port: binary.BigEndian.Uint16(p[4:]), protocol: p[6],
		reason: p[reasonAt] &^ allowedBit, allowed: p[reasonAt]&allowedBit != 0}
	r.src, _ = netip.AddrFromSlice(src)
	r.dst, _ = netip.AddrFromSlice(dst)
	r.src, r.dst = r.src.Unmap(), r.dst.Unmap()
	return r
}

// message queues the records of the questions of a message of a stream that are to be written. It copies
// these, and nothing of those that are left out or do not fit.
func (l *Log) message(c call, at time.Time, req *netpoldv1.StreamAllowedRequest,
	resp *netpoldv1.StreamAllowedResponse) {
	var memory [160]uint64 // of batches of 10,000
	masks, n := l.choose.masks(memory[:0], resp)
	if n == 0 {
		return
	}
	if room := l.queue.room(); n > room {
		l.drop(n - room)
		n = room
	}
	if n == 0 {
		return
	}
	e := newEntry()
	e.call, e.at, e.took, e.rate = c, at, time.Since(at), l.choose.rate
	e.revision, e.stale = resp.GetRevision(), resp.GetStale()
	e.rows = newBlock(req, n)
	e.rows.pack(req, resp, masks, n)
	for i, errs := 0, resp.GetErrors(); i < len(errs); i++ {
		e.fails = append(e.fails, errs[i].GetError())
	}
	l.add(e.weigh(n, 0))
}

// masks appends a bit for each answer of a message, which is set if it is to be written, and returns how many
// are. 64 answers that are all allowed and left out cost one comparison.
func (c *chooser) masks(masks []uint64, resp *netpoldv1.StreamAllowedResponse) (_ []uint64, n int) {
	total, allowed := len(resp.GetReasons()), resp.GetAllowed()
	all, next := c.rate >= 1, c.skip()
	for from := 0; from < total; from += 64 {
		mask := ^word(allowed[from/8:])
		if all {
			mask = ^uint64(0)
		}
		if rest := total - from; rest < 64 {
			mask &= 1<<rest - 1
		}
		for !all && next < min(from+64, total) {
			mask |= 1 << (next - from)
			next += 1 + c.skip()
		}
		n += bits.OnesCount64(mask)
		masks = append(masks, mask)
	}
	return masks, n
}

// pack copies the first n questions whose bits are set.
func (k *block) pack(req *netpoldv1.StreamAllowedRequest, resp *netpoldv1.StreamAllowedResponse,
	masks []uint64, n int) {
	reasons, allowed := resp.GetReasons(), resp.GetAllowed()
	ports, protocols := req.GetPorts(), req.GetProtocols()
	src, dst := req.GetSrcIpv4(), req.GetDstIpv4()
	if k.srcLen == 16 {
		src = req.GetSrcIpv6()
	}
	if k.dstLen == 16 {
		dst = req.GetDstIpv6()
	}
	port, protocol, b := uint16(req.GetPort()), uint8(req.GetProtocol()), k.packed
	for at, mask := range masks {
		for ; mask != 0 && n > 0; mask &= mask - 1 {
			n--
			i := 64*at + bits.TrailingZeros64(mask)
			if len(ports) > 0 {
				port = binary.BigEndian.Uint16(ports[2*i:])
			}
			if len(protocols) > 0 {
				protocol = protocols[i]
			}
			b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(b, uint32(i)), port)
			b = append(b, protocol, reasons[i]|allowed[i/8]>>(i%8)<<7)
			b = append(b, src[k.srcLen*i:k.srcLen*(i+1)]...)
			b = append(b, dst[k.dstLen*i:k.dstLen*(i+1)]...)
		}
	}
	k.packed = b
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

// entries are those that nobody uses.
var entries = sync.Pool{New: func() any { return new(entry) }}

func newEntry() *entry {
	e, _ := entries.Get().(*entry)
	return e
}

// release lets e be used again.
func (e *entry) release() {
	if e.rows != nil {
		e.rows.release()
	}
	*e = entry{}
	entries.Put(e)
}
