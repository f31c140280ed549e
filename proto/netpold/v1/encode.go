package netpoldv1

import (
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// An encoder writes a message in one pass. The length of a nested message is filled in after the message. It
// takes one byte if it is below 128, as nearly all lengths are.
type encoder struct {
	b []byte
	// wrong means that the library returns an error for the message.
	wrong bool

	pool mem.BufferPool
	held *[]byte // of pool; nil where the message is too small for it
}

// start allocates bound bytes.
func (e *encoder) start(bound int) {
	if mem.IsBelowBufferPoolingThreshold(bound) {
		e.b = make([]byte, 0, bound)
		return
	}
	e.held = e.pool.Get(bound)
	e.b = (*e.held)[:0]
}

// buffer returns the encoded message.
func (e *encoder) buffer() mem.Buffer {
	if e.held == nil {
		return mem.SliceBuffer(e.b)
	}
	*e.held = e.b
	return mem.NewBuffer(e.held, e.pool)
}

func (e *encoder) free() {
	if e.held != nil {
		e.pool.Put(e.held)
	}
}

// The tags of fields are those of decision.proto: the number times 8, plus the wire type.
const (
	asVarint = 0
	asBytes  = 2
)

// open begins a nested message. close ends it, given the result of open.
func (e *encoder) open(number byte) int {
	e.b = append(e.b, number<<3|asBytes, 0)
	return len(e.b)
}

func (e *encoder) close(from int) {
	n := len(e.b) - from
	if n < 0x80 {
		e.b[from-1] = byte(n)
		return
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	e.b = append(e.b, make([]byte, more)...)
	copy(e.b[from+more:], e.b[from:from+n])
	protowire.AppendVarint(e.b[:from-1], uint64(n))
}

func (e *encoder) number(number byte, value uint64) {
	if value != 0 {
		e.b = protowire.AppendVarint(append(e.b, number<<3|asVarint), value)
	}
}

func (e *encoder) bool(number byte, value bool) {
	if value {
		e.b = append(e.b, number<<3|asVarint, 1)
	}
}

// string writes a string even if it is empty, as a member of a oneof or of a list is.
func (e *encoder) string(number byte, value string) {
	e.wrong = e.wrong || !utf8.ValidString(value)
	e.b = protowire.AppendString(append(e.b, number<<3|asBytes), value)
}

func (e *encoder) optional(number byte, value string) {
	if value != "" {
		e.string(number, value)
	}
}

// library leaves a message to the library.
func (e *encoder) library(m proto.Message) {
	b, err := proto.MarshalOptions{}.MarshalAppend(e.b, m)
	e.b, e.wrong = b, e.wrong || err != nil
}

func (e *encoder) batch(m *BatchAllowedRequest) {
	for _, q := range m.Questions {
		at := e.open(1)
		e.request(q)
		e.close(at)
	}
	e.optional(2, m.AtLeast)
}

func (e *encoder) request(q *AllowedRequest) {
	if q == nil {
		return
	}
	src, srcOK := ipOf(q.Src)
	dst, dstOK := ipOf(q.Dst)
	if !srcOK || !dstOK || len(q.unknownFields) > 0 {
		e.library(q)
		return
	}
	for number, end := range [...]*Endpoint_Ip{1: src, 2: dst} {
		if end != nil {
			at := e.open(byte(number))
			e.string(1, end.Ip)
			e.close(at)
		}
	}
	e.number(3, uint64(q.Port))
	e.number(4, uint64(int64(q.Protocol)))
	e.optional(5, q.AtLeast)
	e.bool(6, q.Details)
}

// ipOf returns the address that an endpoint is asked by; nil if there is no endpoint. It returns false if the
// library must encode the endpoint.
func ipOf(e *Endpoint) (*Endpoint_Ip, bool) {
	if e == nil {
		return nil, true
	}
	ip, ok := e.Endpoint.(*Endpoint_Ip)
	return ip, ok && ip != nil && len(e.unknownFields) == 0
}

func (e *encoder) answers(m *BatchAllowedResponse) {
	for _, a := range m.Answers {
		at := e.open(1)
		e.answer(a)
		e.close(at)
	}
	e.number(2, m.Revision)
	e.optional(3, m.Token)
	e.bool(4, m.Stale)
}

func (e *encoder) answer(a *BatchAnswer) {
	if a == nil {
		return
	}
	response, ok := a.Answer.(*BatchAnswer_Response)
	if !ok || response == nil || response.Response == nil || len(a.unknownFields) > 0 {
		e.library(a)
		return
	}
	at := e.open(1)
	e.response(response.Response)
	e.close(at)
}

func (e *encoder) response(r *AllowedResponse) {
	if r == nil {
		return
	}
	if len(r.unknownFields) > 0 || hasDetails(r) {
		e.library(r)
		return
	}
	e.bool(1, r.Allowed)
	e.number(2, uint64(int64(r.Reason)))
	e.side(3, r.Egress)
	e.side(4, r.Ingress)
	if len(r.Families) > 0 {
		at := e.open(5)
		for _, family := range r.Families {
			e.b = protowire.AppendVarint(e.b, uint64(int64(family)))
		}
		e.close(at)
	}
	e.number(6, r.Revision)
	e.optional(7, r.Token)
	e.number(8, uint64(r.BackendsAllowed))
	e.number(9, uint64(r.BackendsTotal))
	e.bool(10, r.Stale)
}

// hasDetails reports whether r has fields that only a question with details gets.
func hasDetails(r *AllowedResponse) bool {
	return r.Src != nil || r.Dst != nil || r.Port != 0 || r.Protocol != 0 || len(r.Notes) > 0
}

func (e *encoder) side(number byte, s *Side) {
	if s == nil {
		return
	}
	at := e.open(number)
	e.bool(1, s.Allowed)
	e.bool(2, s.Isolated)
	e.optional(3, s.Policy)
	if s.RuleIndex != nil {
		e.b = protowire.AppendVarint(append(e.b, 4<<3|asVarint), uint64(*s.RuleIndex))
	}
	for _, name := range s.IsolatedBy {
		e.string(5, name)
	}
	e.number(6, uint64(s.IsolatedByTotal))
	e.number(7, uint64(int64(s.Tier)))
	e.optional(8, s.Kind)
	e.optional(9, s.RuleName)
	if s.Priority != nil {
		e.b = protowire.AppendVarint(append(e.b, 10<<3|asVarint), uint64(int64(*s.Priority)))
	}
	e.b = append(e.b, s.unknownFields...)
	e.close(at)
}

// The bounds are the largest sizes of messages of the usual form. For others the buffer grows.
const (
	// boundString is the size of a string's tag and length, boundFixed that of the rest of any message here.
	boundString = 6
	boundFixed  = 64
)

func boundBatch(m *BatchAllowedRequest) int {
	n := boundFixed + len(m.AtLeast)
	for _, q := range m.Questions {
		n += boundRequest(q)
	}
	return n
}

func boundRequest(q *AllowedRequest) int {
	return boundFixed + len(q.GetSrc().GetIp()) + len(q.GetDst().GetIp()) + len(q.GetAtLeast())
}

func boundAnswers(m *BatchAllowedResponse) int {
	n := boundFixed + len(m.Token)
	for _, a := range m.Answers {
		n += boundFixed + boundResponse(a.GetResponse())
	}
	return n
}

func boundResponse(r *AllowedResponse) int {
	return boundFixed + len(r.GetToken()) + boundSide(r.GetEgress()) + boundSide(r.GetIngress())
}

func boundSide(s *Side) int {
	if s == nil {
		return 0
	}
	n := boundFixed/2 + len(s.Policy) + len(s.Kind) + len(s.RuleName)
	for _, name := range s.IsolatedBy {
		n += boundString + len(name)
	}
	return n
}
