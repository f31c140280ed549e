package decisionlog

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/netpold/netpold/proto/jsontext"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A rowEncoder has the texts that rows share. Answers of a stream differ in little: so a row is put together of
// texts that are made once, in a fifth of the time:
//
//	start | index | source | address | `"},"dst":{"ip":"` | address | `"},"port":` | number | end
type rowEncoder struct {
	start, source []byte
	// port is that of the row before, portText the same as text.
	port     uint16
	portText []byte
	// ends has the ends of this entry, by reason and allowedBit.
	ends [256]rowEnd
	// entry counts entries. An end of another entry is void.
	entry uint64
	// answers has the answers so far of a revision, by reason and allowedBit.
	answers  [256][]byte
	revision uint64
	stale    bool
}

// A rowEnd is what comes after the port.
type rowEnd struct {
	text     []byte
	entry    uint64
	protocol uint8
}

// betweenQuestionAndAnswer is the rest of a question by address, after its protocol.
const betweenQuestionAndAnswer = `,"atLeast":"","details":false},"answer":`

// stream appends the records of a message of a stream.
func (w *encoder) stream(e *entry) {
	r, fails, size := &w.rows, e.fails, e.rows.size()
	if r.revision != e.revision || r.stale != e.stale {
		r.answers, r.revision, r.stale = [256][]byte{}, e.revision, e.stale
	}
	r.entry++
	r.start = append(append(r.start[:0], w.head...), `,"index":`...)
	r.source = append(append(r.source[:0], w.caller...), `,"question":{"src":{"ip":"`...)
	for i := range e.n {
		p := e.rows.packed[i*size : (i+1)*size] // what is needed of it is read here, and not the whole row
		index, port, protocol, key := binary.BigEndian.Uint32(p), binary.BigEndian.Uint16(p[4:]), p[6], p[reasonAt]
		if key&^allowedBit == 0 && len(fails) > 0 {
			row := e.rows.row(i)
			w.record(e, int(index), row.question(), nil, fails[0])
			fails = fails[1:]
			continue
		}
		from := len(w.b)
		b := strconv.AppendUint(append(w.b, r.start...), uint64(index), 10)
		b = append(appendAddr(append(b, r.source...), p[rowHead:rowHead+e.rows.srcLen]), `"},"dst":{"ip":"`...)
		b = append(appendAddr(b, p[rowHead+e.rows.srcLen:]), `"},"port":`...)
		if r.port != port || r.portText == nil {
			r.port = port
			r.portText = append(strconv.AppendUint(r.portText[:0], uint64(port), 10), `,"protocol":`...)
		}
		b = append(b, r.portText...)
		end := &r.ends[key]
		if end.entry != r.entry || end.protocol != protocol {
			end.entry, end.protocol = r.entry, protocol
			row := e.rows.row(i)
			end.text = w.appendRowEnd(end.text[:0], e, &row, key)
		}
		w.b = append(b, end.text...)
		w.each(e, key&allowedBit == 0, from)
	}
}

// appendRowEnd appends the protocol of a row and what comes after it.
func (w *encoder) appendRowEnd(b []byte, e *entry, row *row, key byte) []byte {
	answer := &w.rows.answers[key]
	if *answer == nil {
		*answer = appendResponse(nil, &netpoldv1.AllowedResponse{Allowed: row.allowed,
			Reason: netpoldv1.Reason(row.reason), Revision: e.revision, Stale: e.stale})
	}
	b = jsontext.AppendEnum(b, netpoldv1.Protocol_name, int32(row.protocol))
	return w.appendEnd(append(append(b, betweenQuestionAndAnswer...), *answer...), e, row.allowed)
}

// An octet is a byte of an address as text.
type octet struct {
	text [4]byte
	n    uint8
}

// octets has all, each with a dot behind it.
var octets = func() (all [256]octet) {
	for i := range all {
		all[i].n = uint8(copy(all[i].text[:], strconv.Itoa(i)+"."))
	}
	return all
}()

// appendAddr appends an address of 4 or 16 bytes. Half of a line's time went into the digits of IPv4.
func appendAddr(b, ip []byte) []byte {
	if len(ip) == 16 {
		addr := netip.AddrFrom16([16]byte(ip)).Unmap()
		return addr.AppendTo(b)
	}
	for _, v := range ip {
		o := &octets[v]
		n := len(b) + int(o.n)
		b = append(b, o.text[:]...)[:n]
	}
	return b[:len(b)-1]
}

// question returns the question of a row.
func (r *row) question() *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{
		Src:  &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: r.src.String()}},
		Dst:  &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: r.dst.String()}},
		Port: uint32(r.port), Protocol: netpoldv1.Protocol(r.protocol),
	}
}
