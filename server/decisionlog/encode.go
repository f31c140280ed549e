package decisionlog

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strconv"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/peer"

	"github.com/netpold/netpold/proto/jsontext"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/caller"
)

// A timeEncoder writes times as RFC 3339 in UTC with all nanoseconds, so that lines sort by it as text. Most times
// are of the same second as the one before: its text is kept, which saves a third of a record's time.
type timeEncoder struct {
	// text is the time at second, in Unix seconds, up to the dot.
	text   []byte
	second int64
}

// append appends a time in quotes.
func (e *timeEncoder) append(b []byte, t time.Time) []byte {
	if second := t.Unix(); second != e.second || e.text == nil {
		e.text = t.UTC().AppendFormat(e.text[:0], `"2006-01-02T15:04:05.`)
		e.second = second
	}
	b = append(b, e.text...)
	from, ns := len(b), t.Nanosecond()
	b = append(b, `000000000Z"`...)
	for i := from + 8; ns > 0; i-- {
		b[i] = '0' + byte(ns%10)
		ns /= 10
	}
	return b
}

// An encoder writes entries as lines of JSON. It is the writer's alone.
type encoder struct {
	// b has whole lines.
	b []byte
	// head, caller and tail are what all records of the entry share.
	head, caller, tail []byte
	// each is called after each line, which is b from there on. It may take lines off.
	each  func(e *entry, denied bool, from int)
	times timeEncoder
	rows  rowEncoder
}

// entry appends the records of e.
func (w *encoder) entry(e *entry) {
	w.head = w.times.append(append(w.head[:0], `{"time":`...), e.at)
	w.head = append(w.head, `,"decision_id":"`...)
	w.head = append(hex.AppendEncode(w.head, e.id[:]), `","method":"`...)
	w.head = append(append(w.head, e.method...), '"')
	w.caller = appendCaller(append(w.caller[:0], `,"caller":`...), e.peer)
	w.tail = strconv.AppendInt(append(w.tail[:0], `,"latency_us":`...), e.took.Microseconds(), 10)
	if id := traceID(e.traceparent); id != "" {
		w.tail = jsontext.AppendString(append(w.tail, `,"trace_id":`...), id)
	}
	left := e.n
	switch {
	case e.rows != nil:
		w.stream(e)
	case e.batch != nil:
		for i := range e.answers {
			if left == 0 {
				return
			}
			if e.chosen != nil {
				if i == len(e.chosen) {
					return
				}
				i = int(e.chosen[i])
			}
			left--
			w.record(e, i, e.batch.GetQuestions()[i], e.answers[i].GetResponse(), e.answers[i].GetError())
		}
	default:
		w.record(e, alone, e.question, e.answer, e.fail)
	}
}

// alone is the index of a question that is in no batch and no message of a stream.
const alone = -1

// record appends one line. One of a and fail is nil.
func (w *encoder) record(e *entry, index int, q *netpoldv1.AllowedRequest, a *netpoldv1.AllowedResponse,
	fail *spb.Status) {
	from, b := len(w.b), append(w.b, w.head...)
	if index != alone {
		b = strconv.AppendInt(append(b, `,"index":`...), int64(index), 10)
	}
	b = append(b, w.caller...)
	if q != nil {
		b = appendRequest(append(b, `,"question":`...), q)
	}
	if a != nil {
		b = appendResponse(append(b, `,"answer":`...), a)
	} else {
		b = appendMessage(append(b, `,"error":`...), fail)
	}
	w.b = w.appendEnd(b, e, a.GetAllowed())
	w.each(e, !a.GetAllowed(), from)
}

// appendEnd appends what comes after the answer.
func (w *encoder) appendEnd(b []byte, e *entry, allowed bool) []byte {
	b = append(append(b, w.tail...), `,"sampled":`...)
	if allowed && e.rate != 1 {
		b = strconv.AppendFloat(b, e.rate, 'f', -1, 64)
	} else {
		b = append(b, '1')
	}
	if e.shadow {
		b = append(b, `,"shadow":true`...)
	}
	if e.requestID != "" {
		b = jsontext.AppendString(append(b, `,"request_id":`...), e.requestID)
	}
	return append(b, "}\n"...)
}

func appendCaller(b []byte, p *peer.Peer) []byte {
	identity := ""
	b = append(b, `{"address":`...)
	if p == nil {
		b = append(b, `""`...)
	} else {
		b = appendAddress(b, p.Addr)
		identity = caller.Certified(p.AuthInfo)
	}
	return append(jsontext.AppendString(append(b, `,"identity":`...), identity), '}')
}

// appendAddress appends the address of a caller. Nearly all are of TCP, and cost no memory.
func appendAddress(b []byte, a net.Addr) []byte {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.Zone == "" {
		if ip := tcp.AddrPort(); ip.IsValid() {
			ip = netip.AddrPortFrom(ip.Addr().Unmap(), ip.Port())
			return append(ip.AppendTo(append(b, '"')), '"')
		}
	}
	if a == nil {
		return append(b, `""`...)
	}
	return jsontext.AppendString(b, a.String())
}

// The form of a traceparent: a version, the trace, the parent and flags, with dashes between them.
const (
	traceFrom   = 3
	traceTo     = traceFrom + 32
	traceLength = 55
)

// traceID returns the trace-id of a traceparent; "" if it is none.
func traceID(traceparent string) string {
	if len(traceparent) < traceLength || traceparent[traceFrom-1] != '-' || traceparent[traceTo] != '-' {
		return ""
	}
	id, zero := traceparent[traceFrom:traceTo], true
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
		zero = zero && c == '0'
	}
	if zero {
		return ""
	}
	return id
}

// appendDropped appends the line that tells how many records were dropped since the last one (G3).
func (w *encoder) appendDropped(at time.Time, n uint64) {
	w.b = w.times.append(append(w.b, `{"time":`...), at)
	w.b = append(strconv.AppendUint(append(w.b, `,"dropped":`...), n, 10), "}\n"...)
}
