package netpold

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A Question asks by address: may Src open a connection to Dst on Port?
type Question struct {
	// Src and Dst are IPv4 or IPv6 addresses. Required. An IPv4-mapped one is the IPv4 address.
	Src, Dst netip.Addr
	// Port is the destination port. Required.
	Port uint16
	// Protocol is the protocol; TCP if left out.
	Protocol netpoldv1.Protocol
}

// unsaid holds the errors of questions that the columns cannot express, by index. Other errors are found by
// the server.
type unsaid map[int]*Error

// pack writes questions into columns. A question that they cannot express gets port 0, which every server
// rejects.
func pack(questions []Question) (*netpoldv1.StreamAllowedRequest, unsaid) {
	n := len(questions)
	addresses, wide := packAddresses(questions, 4)
	if wide {
		addresses, _ = packAddresses(questions, 16)
	}
	request := &netpoldv1.StreamAllowedRequest{}
	if src, dst := addresses[:len(addresses)/2], addresses[len(addresses)/2:]; wide {
		request.Src = &netpoldv1.StreamAllowedRequest_SrcIpv6{SrcIpv6: src}
		request.Dst = &netpoldv1.StreamAllowedRequest_DstIpv6{DstIpv6: dst}
	} else {
		request.Src = &netpoldv1.StreamAllowedRequest_SrcIpv4{SrcIpv4: src}
		request.Dst = &netpoldv1.StreamAllowedRequest_DstIpv4{DstIpv4: dst}
	}
	request.Ports = make([]byte, 2*n)
	var wrong unsaid
	for i := range questions {
		q := &questions[i]
		if !q.isSayable() {
			if wrong == nil {
				wrong = make(unsaid)
			}
			wrong[i] = q.wrong()
			continue
		}
		binary.BigEndian.PutUint16(request.Ports[2*i:], q.Port)
		if q.Protocol > netpoldv1.Protocol_PROTOCOL_TCP {
			if request.Protocols == nil {
				request.Protocols = make([]byte, n)
			}
			request.Protocols[i] = byte(q.Protocol)
		}
	}
	return request, wrong
}

// packAddresses packs the sources and then the destinations, each in width bytes. It stops at an address that
// needs more and reports wide.
func packAddresses(questions []Question, width int) (packed []byte, wide bool) {
	n := len(questions)
	packed = make([]byte, 2*n*width)
	src, dst := packed[:n*width], packed[n*width:]
	for i := range questions {
		q := &questions[i]
		if width == 16 {
			a, b := q.Src.As16(), q.Dst.As16()
			copy(src[16*i:], a[:])
			copy(dst[16*i:], b[:])
			continue
		}
		if !narrow(q.Src) || !narrow(q.Dst) {
			return nil, true
		}
		a, b := q.Src.As4(), q.Dst.As4()
		copy(src[4*i:], a[:])
		copy(dst[4*i:], b[:])
	}
	return packed, false
}

func narrow(a netip.Addr) bool { return a.Is4() || a.Is4In6() }

func sayable(a netip.Addr) bool { return a.IsValid() && (a.Is4() || a.Zone() == "") }

// isSayable reports whether the columns can express a question.
func (q *Question) isSayable() bool {
	return sayable(q.Src) && sayable(q.Dst) && q.Protocol >= 0 && q.Protocol <= math.MaxUint8
}

// wrong returns the error that the server would return; nil if the columns can express q.
func (q *Question) wrong() *Error {
	bad := &errdetails.BadRequest{}
	reject := func(field, description string) {
		bad.FieldViolations = append(bad.FieldViolations,
			&errdetails.BadRequest_FieldViolation{Field: field, Description: description})
	}
	for _, end := range []struct {
		field string
		addr  netip.Addr
	}{{"src.ip", q.Src}, {"dst.ip", q.Dst}} {
		switch {
		case !end.addr.IsValid():
			reject(end.field, "is no address; give an IPv4 or IPv6 address")
		case !sayable(end.addr):
			reject(end.field, strconv.Quote(end.addr.String())+
				" has a zone, which means nothing to a cluster; give the address without it")
		}
	}
	if q.Protocol < 0 || q.Protocol > math.MaxUint8 {
		reject("protocol", strconv.Itoa(int(q.Protocol))+
			" is not a protocol; give PROTOCOL_TCP (1), PROTOCOL_UDP (2) or PROTOCOL_SCTP (3)")
	}
	first := bad.GetFieldViolations()[0]
	st, err := status.New(codes.InvalidArgument, first.GetField()+": "+first.GetDescription()).
		WithDetails(&errdetails.ErrorInfo{Reason: "INVALID_QUESTION", Domain: "netpold"}, bad)
	if err != nil {
		st = status.New(codes.InvalidArgument, err.Error())
	}
	return fromStatus(st)
}

// A Verdict answers a [Question]. The zero Verdict denies.
type Verdict struct {
	// Allowed is false if Err is not nil.
	Allowed bool
	// Stale means that the server's state was older than its limit.
	Stale bool
	// Reason says which rule decided.
	Reason netpoldv1.Reason
	// Revision names the snapshot that decided.
	Revision uint64
	// Err is why this question has no answer: an [*Error] whose fields are those of netpoldv1.AllowedRequest, in a
	// batch of [Client.Verdicts] those of netpoldv1.BatchAllowedRequest; nil if there is an answer.
	Err error
}

// Answers holds the answers to one batch, from one snapshot.
type Answers struct {
	// Revision names the snapshot in the server's process, Token across replicas.
	Revision uint64
	Token    string
	// Stale means that the server's state was older than its limit.
	Stale bool

	allowed, reasons []byte
	wrong            unsaid
}

// Len returns the number of questions in the batch.
func (a *Answers) Len() int { return len(a.reasons) }

// At returns the verdict on question i of the batch, from 0.
func (a *Answers) At(i int) Verdict {
	v := Verdict{Revision: a.Revision, Stale: a.Stale}
	switch reason := a.reasons[i]; {
	case a.wrong != nil && a.wrong[i] != nil:
		v.Err = a.wrong[i]
	case reason == 0:
		v.Err = broken("neither an answer nor an error for a question")
	default:
		v.Reason = netpoldv1.Reason(reason)
		v.Allowed = a.allowed[i/8]&(1<<(i%8)) != 0
	}
	return v
}

// unpack checks that a response answers n questions, and keeps its memory. wrong are the questions that were
// not asked.
func unpack(response *netpoldv1.StreamAllowedResponse, n int, wrong unsaid) (*Answers, error) {
	a := &Answers{
		Revision: response.GetRevision(), Token: response.GetToken(), Stale: response.GetStale(),
		allowed: response.GetAllowed(), reasons: response.GetReasons(), wrong: wrong,
	}
	if len(a.reasons) != n || len(a.allowed) != (n+7)/8 {
		return nil, broken("answers to " + strconv.Itoa(len(a.reasons)) + " of " + strconv.Itoa(n) + " questions")
	}
	for _, e := range response.GetErrors() {
		i := int(e.GetIndex())
		switch {
		case i >= n:
			return nil, broken("an error for question " + strconv.Itoa(i) + " of " + strconv.Itoa(n))
		case wrong[i] != nil: // the client's own error
			continue
		case a.wrong == nil:
			a.wrong = make(unsaid)
		}
		if e.GetError().GetCode() == int32(codes.OK) {
			a.wrong[i] = broken("an error that is none")
		} else {
			a.wrong[i] = fromStatus(status.FromProto(e.GetError()))
		}
	}
	return a, nil
}

// broken returns the error of a server that violates the protocol.
func broken(sent string) *Error {
	return fromStatus(status.New(codes.Internal, "the server sent "+sent))
}
