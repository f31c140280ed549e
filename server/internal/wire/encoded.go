package wire

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// An Encoded is an AllowedResponse or a BatchAllowedResponse in its wire form, written without a message. It is sent
// once at most. Its getters return what those of the message would.
type Encoded struct {
	of      OfSnapshot
	allowed bool
	reason  netpoldv1.Reason

	b    []byte
	held *[]byte // of encodedBuffers; nil for a small one
	// shared is what every answer of a batch says of the snapshot.
	shared []byte
	err    error
}

// OfSnapshot is what an answer says of the snapshot that it rests on (S25).
type OfSnapshot struct {
	Revision uint64
	Token    string
	Stale    bool
}

// encodedBuffers are those of batches. They come back once a batch is sent.
var encodedBuffers = new(sizedBuffers)

// GetAllowed returns the verdict of an AllowedResponse.
func (e *Encoded) GetAllowed() bool { return e.allowed }

// GetReason returns the reason of an AllowedResponse.
func (e *Encoded) GetReason() netpoldv1.Reason { return e.reason }

// GetRevision returns the revision of the response.
func (e *Encoded) GetRevision() uint64 { return e.of.Revision }

// EncodeAnswer returns the AllowedResponse of a decision.
func EncodeAnswer(d *engine.Decision, of OfSnapshot) *Encoded {
	var memory [128]byte
	shared := of.appendTo(memory[:0])
	b := appendAnswer(make([]byte, 0, typicalAnswer+len(shared)), d, shared, of.Stale)
	return &Encoded{of: of, allowed: d.Allowed, reason: reasons.proto(d.Reason), b: b}
}

// typicalAnswer is about how many bytes an answer has without what it says of the snapshot.
const typicalAnswer = 96

// encodedSlack is room beyond, so that the last answers do not ask for more.
const encodedSlack = 12 << 10

// EncodeBatch returns a BatchAllowedResponse for n answers, which are then added.
func EncodeBatch(n int, of OfSnapshot) *Encoded {
	e := &Encoded{of: of, shared: of.appendTo(nil)}
	e.room(n*(typicalAnswer+len(e.shared)) + encodedSlack)
	return e
}

// Add adds a decision to the batch.
func (e *Encoded) Add(d *engine.Decision) {
	e.room(answerBound(d) + len(e.shared))
	b, wrapper := open(e.b, bytes1)
	b, answer := open(b, bytes1)
	b = appendAnswer(b, d, e.shared, e.of.Stale)
	e.b = closed(closed(b, answer), wrapper)
}

// AddMessage adds an answer that is a message to the batch.
func (e *Encoded) AddMessage(answer *netpoldv1.BatchAnswer) {
	size := proto.Size(answer)
	e.room(1 + protowire.SizeBytes(size))
	e.b = protowire.AppendVarint(append(e.b, bytes1), uint64(size))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(e.b, answer)
	if err != nil {
		e.err = err
		return
	}
	e.b = b
}

// End adds what the batch says as a whole. Nothing may be added afterwards.
func (e *Encoded) End() {
	e.room(3*(1+maxVarint) + len(e.of.Token))
	if e.of.Revision != 0 {
		e.b = protowire.AppendVarint(append(e.b, number2), e.of.Revision)
	}
	e.b = appendText(e.b, bytes3, e.of.Token)
	e.b = appendTrue(e.b, number4, e.of.Stale)
}

// maxVarint is the most bytes of a number.
const maxVarint = 10

// room makes room for n bytes more.
func (e *Encoded) room(n int) {
	if n <= cap(e.b)-len(e.b) {
		return
	}
	next := encodedBuffers.Get(max(len(e.b)+n, 2*len(e.b)))
	grown := append((*next)[:0], e.b...)
	if e.held != nil {
		encodedBuffers.Put(e.held)
	}
	e.b, e.held = grown, next
}

// buffer returns the bytes, which the Encoded has no more.
func (e *Encoded) buffer() (mem.Buffer, error) {
	b, held := e.b, e.held
	e.b, e.held = nil, nil
	if held == nil {
		return mem.SliceBuffer(b), e.err
	}
	*held = b
	return mem.NewBuffer(held, encodedBuffers), e.err
}

// appendTo appends the revision and the token as fields of an AllowedResponse.
func (of *OfSnapshot) appendTo(b []byte) []byte {
	if of.Revision != 0 {
		b = protowire.AppendVarint(append(b, number6), of.Revision)
	}
	return appendText(b, bytes7, of.Token)
}
