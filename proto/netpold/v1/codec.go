// Package netpoldv1 has the messages and services of netpold.v1, and a faster codec for batches.
package netpoldv1

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Codec returns gRPC's codec for protobuf with a faster path for the messages of BatchAllowed: without
// reflection and with a few allocations for each call. For a batch by IP the library would cost more than
// everything else together. Messages of an unusual form are left to the library, one by one. So are all other
// messages: for Allowed nothing would be saved.
//
// The answers of a decoded batch share memory. To keep one of them for long, clone it with proto.Clone.
//
// If a BatchAllowedRequest has more than maxBatch questions, they are decoded as nil. So a server that
// refuses the batch does not allocate up to a hundred times the size of the message. 0 means no limit.
func Codec(maxBatch int) encoding.CodecV2 {
	return codec{encoding.GetCodecV2(proto.Name), mem.NewTieredBufferPool(bufferSizes()...), maxBatch}
}

// bufferSizes returns the sizes of buffers for encoded messages. gRPC's own have none between 32 KiB and 1
// MiB, so a thousand batches of some hundred questions in progress would hold a gigabyte.
func bufferSizes() []int {
	return []int{4 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20}
}

// A codec encodes and decodes some messages faster, and leaves the rest to the library.
type codec struct {
	encoding.CodecV2
	pool     mem.BufferPool
	maxBatch int
}

// Marshal implements [encoding.CodecV2].
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	e := encoder{pool: c.pool}
	switch m := v.(type) {
	case *BatchAllowedRequest:
		if m == nil || len(m.unknownFields) > 0 {
			return c.CodecV2.Marshal(v)
		}
		e.start(boundBatch(m))
		e.batch(m)
	case *BatchAllowedResponse:
		if m == nil || len(m.unknownFields) > 0 {
			return c.CodecV2.Marshal(v)
		}
		e.start(boundAnswers(m))
		e.answers(m)
	default:
		return c.CodecV2.Marshal(v)
	}
	if e.wrong {
		e.free()
		return c.CodecV2.Marshal(v) // the library's error says what is wrong
	}
	return mem.BufferSlice{e.buffer()}, nil
}

// Unmarshal implements [encoding.CodecV2].
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	var read func(wire string) bool
	switch m := v.(type) {
	case *BatchAllowedRequest:
		read = func(wire string) bool { return m.read(wire, c.maxBatch) }
	case *BatchAllowedResponse:
		read = m.read
	default:
		return c.CodecV2.Unmarshal(data, v)
	}
	// The strings of the message share the memory of this one.
	if read(text(data)) {
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}
