package netpold

import (
	"math"
	"net/netip"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// batchCodec writes [batchQuestions] as a BatchAllowedRequest, and reads a BatchAllowedResponse into [Verdicts]. Other
// messages are left to the codec of all other calls.
var batchCodec encoding.CodecV2 = questionsCodec{netpoldv1.Codec(0)}

type questionsCodec struct{ encoding.CodecV2 }

// batchQuestions are the questions of one call.
type batchQuestions struct {
	questions []Question
	token     string
}

// Marshal implements [encoding.CodecV2].
func (c questionsCodec) Marshal(message any) (mem.BufferSlice, error) {
	batch, ok := message.(*batchQuestions)
	if !ok {
		return c.CodecV2.Marshal(message)
	}
	return mem.BufferSlice{mem.SliceBuffer(batch.encode())}, nil
}

// Unmarshal implements [encoding.CodecV2].
func (c questionsCodec) Unmarshal(data mem.BufferSlice, message any) error {
	answers, ok := message.(*Verdicts)
	if !ok {
		return c.CodecV2.Unmarshal(data, message)
	}
	return answers.decode(data.Materialize())
}

// The numbers of the fields, as in decision.proto.
const (
	fieldQuestions, fieldBatchAtLeast = 1, 2

	fieldSrc, fieldDst, fieldPort, fieldProtocol = 1, 2, 3, 4

	fieldIP = 1

	fieldAnswers, fieldBatchRevision, fieldBatchToken, fieldBatchStale = 1, 2, 3, 4

	fieldResponse = 1

	fieldAllowed, fieldReason = 1, 2
)

// usualQuestion is the wire size of a question between IPv4 addresses of usual length.
const usualQuestion = 44

// encode returns the wire form of a BatchAllowedRequest.
func (b *batchQuestions) encode() []byte {
	wire := make([]byte, 0, len(b.questions)*usualQuestion+len(b.token)+protowire.SizeVarint(uint64(len(b.token)))+1)
	for i := range b.questions {
		wire = append(wire, fieldQuestions<<3|byte(protowire.BytesType))
		if q := &b.questions[i]; q.isSayable() {
			wire = appendQuestion(wire, q)
		} else {
			wire = protowire.AppendBytes(wire, q.unusual())
		}
	}
	if b.token != "" {
		wire = protowire.AppendTag(wire, fieldBatchAtLeast, protowire.BytesType)
		wire = protowire.AppendString(wire, b.token)
	}
	return wire
}

// appendQuestion appends a sayable question after its length, which has one byte: no such question is longer.
func appendQuestion(wire []byte, q *Question) []byte {
	wire = append(wire, 0)
	start := len(wire)
	wire = appendIP(wire, fieldSrc, q.Src)
	wire = appendIP(wire, fieldDst, q.Dst)
	wire = append(wire, fieldPort<<3|byte(protowire.VarintType))
	wire = protowire.AppendVarint(wire, uint64(q.Port))
	wire = append(wire, fieldProtocol<<3|byte(protowire.VarintType))
	wire = protowire.AppendVarint(wire, uint64(q.Protocol)) //nolint:gosec // isSayable: 0 to 255
	wire[start-1] = byte(len(wire) - start)
	return wire
}

// unusual returns the wire form of a question that is not sayable. The server rejects it, and says why.
func (q *Question) unusual() []byte {
	request := &netpoldv1.AllowedRequest{
		Src: &netpoldv1.Endpoint{}, Dst: &netpoldv1.Endpoint{}, Port: uint32(q.Port), Protocol: q.Protocol,
	}
	if q.Src.IsValid() {
		request.Src = IP(strings.ToValidUTF8(q.Src.String(), "?")) // a zone may be anything
	}
	if q.Dst.IsValid() {
		request.Dst = IP(strings.ToValidUTF8(q.Dst.String(), "?"))
	}
	wire, err := proto.Marshal(request)
	if err != nil {
		return nil // an empty question, which is rejected too
	}
	return wire
}

// appendIP appends an endpoint by IP.
func appendIP(wire []byte, field byte, address netip.Addr) []byte {
	wire = append(wire, field<<3|byte(protowire.BytesType), 0, fieldIP<<3|byte(protowire.BytesType), 0)
	start := len(wire)
	wire = address.Unmap().AppendTo(wire)
	n := byte(len(wire) - start)
	wire[start-1], wire[start-3] = n, n+2
	return wire
}

// decode reads a BatchAllowedResponse, which it keeps.
func (v *Verdicts) decode(wire []byte) error {
	if len(wire) > math.MaxUint32 {
		return status.Error(codes.Internal, "the server sent answers of more than 4 GiB")
	}
	*v = Verdicts{wire: wire}
	for at := 0; at < len(wire); {
		field, kind, n := protowire.ConsumeTag(wire[at:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		at += n
		size := protowire.ConsumeFieldValue(field, kind, wire[at:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		value := wire[at : at+size]
		at += size
		switch {
		case field == fieldAnswers && kind == protowire.BytesType:
			in, _ := protowire.ConsumeBytes(value)
			v.spans = append(v.spans, span{uint32(at - len(in)), uint32(at)}) //nolint:gosec // bounded above
			if err := v.add(in); err != nil {
				return err
			}
		case field == fieldBatchRevision && kind == protowire.VarintType:
			v.Revision, _ = protowire.ConsumeVarint(value)
		case field == fieldBatchToken && kind == protowire.BytesType:
			v.Token, _ = protowire.ConsumeString(value)
		case field == fieldBatchStale && kind == protowire.VarintType:
			stale, _ := protowire.ConsumeVarint(value)
			v.Stale = protowire.DecodeBool(stale)
		}
	}
	return nil
}

// add reads a BatchAnswer, the next one. Those of an unusual form, and errors, are left to the library.
func (v *Verdicts) add(wire []byte) error {
	i := len(v.reasons)
	allowed, reason, ok := verdictIn(wire)
	if !ok {
		var answer netpoldv1.BatchAnswer
		if err := proto.Unmarshal(wire, &answer); err != nil {
			return err
		}
		if err := AnswerError(&answer); err != nil {
			v.fail(i, err.(*Error)) //nolint:errorlint,forcetypeassert // it always is
		}
		allowed, reason = answer.GetResponse().GetAllowed(), uint64(answer.GetResponse().GetReason()) //nolint:gosec // bounded below
	}
	if reason > math.MaxUint8 {
		return status.Errorf(codes.Internal, "the server sent a reason of %d", reason)
	}
	v.reasons = append(v.reasons, byte(reason))
	if i%8 == 0 {
		v.allowed = append(v.allowed, 0)
	}
	if allowed {
		v.allowed[i/8] |= 1 << (i % 8)
	}
	return nil
}

// verdictIn reads the verdict of a BatchAnswer. It reports false if that is not one AllowedResponse with a reason.
func verdictIn(wire []byte) (allowed bool, reason uint64, ok bool) {
	field, kind, n := protowire.ConsumeTag(wire)
	if n < 0 || field != fieldResponse || kind != protowire.BytesType {
		return false, 0, false
	}
	response, size := protowire.ConsumeBytes(wire[n:])
	if size != len(wire)-n {
		return false, 0, false
	}
	for len(response) > 0 {
		field, kind, n := protowire.ConsumeTag(response)
		if n < 0 {
			return false, 0, false
		}
		value := response[n:]
		size := protowire.ConsumeFieldValue(field, kind, value)
		if size < 0 {
			return false, 0, false
		}
		if kind == protowire.VarintType {
			number, _ := protowire.ConsumeVarint(value)
			switch field {
			case fieldAllowed:
				allowed = protowire.DecodeBool(number)
			case fieldReason:
				reason = number
			default: // not part of the verdict
			}
		}
		response = value[size:]
	}
	return allowed, reason, reason != 0
}
