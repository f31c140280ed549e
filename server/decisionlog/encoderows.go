package decisionlog

import (
	"net/netip"
	"strconv"

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
		key := e.rows.packed[i*size+reasonAt]
		row := e.rows.row(i)
		if row.reason == 0 && len(fails) > 0 {
			w.record(e, int(row.index), row.question(), nil, fails[0])
			fails = fails[1:]
			continue
		}
		from := len(w.b)
		b := strconv.AppendUint(append(w.b, r.start...), uint64(row.index), 10)
		b = append(appendAddr(append(b, r.source...), row.src), `"},"dst":{"ip":"`...)
		b = append(appendAddr(b, row.dst), `"},"port":`...)
		if r.port != row.port || r.portText == nil {
			r.port = row.port
			r.portText = append(strconv.AppendUint(r.portText[:0], uint64(row.port), 10), `,"protocol":`...)
		}
		b = append(b, r.portText...)
		end := &r.ends[key]
		if end.entry != r.entry || end.protocol != row.protocol {
			end.entry, end.protocol = r.entry, row.protocol
			end.text = w.appendRowEnd(end.text[:0], e, &row, key)
		}
		w.b = append(b, end.text...)
		w.each(e, !row.allowed, from)
	}
}

// appendRowEnd appends the protocol of a row and what comes after it.
func (w *encoder) appendRowEnd(b []byte, e *entry, row *row, key byte) []byte {
	answer := &w.rows.answers[key]
	if *answer == nil {
		*answer = appendResponse(nil, &netpoldv1.AllowedResponse{Allowed: row.allowed,
			Reason: netpoldv1.Reason(row.reason), Revision: e.revision, Stale: e.stale})
	}
	b = appendEnum(b, netpoldv1.Protocol_name, int32(row.protocol))
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

// appendAddr appends an address. Half of a line's time went into the digits of IPv4.
func appendAddr(b []byte, ip netip.Addr) []byte {
	if !ip.Is4() {
		return ip.AppendTo(b)
	}
	for _, v := range ip.As4() {
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
