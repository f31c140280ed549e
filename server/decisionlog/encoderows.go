package decisionlog

import (
	"strconv"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A rowEncoder has the texts that rows share. Answers of a stream differ in little: so a row is put together of
// texts that are made once, in a third of the time.
type rowEncoder struct {
	// start is between the index and the source.
	start []byte
	// answers has the answers so far of a revision, by reason and allowedBit.
	answers  [256][]byte
	revision uint64
	stale    bool
}

// betweenQuestionAndAnswer is the rest of a question by address, after its protocol.
const betweenQuestionAndAnswer = `,"atLeast":"","details":false},"answer":`

// stream appends the records of a message of a stream.
func (w *encoder) stream(e *entry) {
	r, fails, size := &w.rows, e.fails, e.rows.size()
	if r.revision != e.revision || r.stale != e.stale {
		r.answers, r.revision, r.stale = [256][]byte{}, e.revision, e.stale
	}
	r.start = append(append(r.start[:0], w.caller...), `,"question":{"src":{"ip":"`...)
	for i := range e.n {
		key := e.rows.packed[i*size+reasonAt]
		row := e.rows.row(i)
		if row.reason == 0 && len(fails) > 0 {
			w.record(e, int(row.index), row.question(), nil, fails[0])
			fails = fails[1:]
			continue
		}
		from := len(w.b)
		b := append(append(w.b, w.head...), `,"index":`...)
		b = append(strconv.AppendUint(b, uint64(row.index), 10), r.start...)
		b = append(row.src.AppendTo(b), `"},"dst":{"ip":"`...)
		b = append(row.dst.AppendTo(b), `"},"port":`...)
		b = append(strconv.AppendUint(b, uint64(row.port), 10), `,"protocol":`...)
		b = append(appendProtocol(b, row.protocol), betweenQuestionAndAnswer...)
		if r.answers[key] == nil {
			r.answers[key] = appendResponse(nil, &netpoldv1.AllowedResponse{Allowed: row.allowed,
				Reason: netpoldv1.Reason(row.reason), Revision: e.revision, Stale: e.stale})
		}
		w.b = w.appendEnd(append(b, r.answers[key]...), e, row.allowed)
		w.each(e, !row.allowed, from)
	}
}

// question returns the question of a row.
func (r *row) question() *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{
		Src:  &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: r.src.String()}},
		Dst:  &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: r.dst.String()}},
		Port: uint32(r.port), Protocol: netpoldv1.Protocol(r.protocol),
	}
}

// appendProtocol appends a protocol as a question has it.
func appendProtocol(b []byte, protocol uint8) []byte {
	switch netpoldv1.Protocol(protocol) {
	case netpoldv1.Protocol_PROTOCOL_TCP:
		return append(b, `"PROTOCOL_TCP"`...)
	case netpoldv1.Protocol_PROTOCOL_UDP:
		return append(b, `"PROTOCOL_UDP"`...)
	default:
		return appendEnum(b, netpoldv1.Protocol_name, int32(protocol))
	}
}
