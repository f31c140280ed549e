// Package netpoldv1 has the messages and services of netpold.v1, and a faster codec for batches.
package netpoldv1

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Codec returns gRPC's codec for protobuf, which writes and reads the messages of BatchAllowed without reflection and in a few
// allocations for each call: for a batch by IP, the library would cost more than everything else together. What is not of the
// usual form is left to the library, message by message, and so are all other messages: of Allowed, nothing would be saved.
//
// The answers of a batch that was read so share memory. Who keeps one of them for long clones it, with proto.Clone.
//
// Of a BatchAllowedRequest with more than maxBatch questions it reads just how many they are: they are nil. So a server that
// refuses such a batch does not hold what may take a hundred times the memory of the message. 0 is no limit.
func Codec(maxBatch int) encoding.CodecV2 {
	return codec{encoding.GetCodecV2(proto.Name), mem.NewTieredBufferPool(bufferSizes()...), maxBatch}
}

// bufferSizes are those of the buffers that messages are written to. gRPC's own have nothing between 32 KiB and 1 MiB, so that a
// thousand batches of some hundred questions on their way would hold a gigabyte.
func bufferSizes() []int {
	return []int{4 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20}
}

// codec does what it does faster, and leaves the rest to the library's.
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
		return c.CodecV2.Marshal(v) // which says what is wrong
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
	// One string, that those of the message are part of.
	if read(text(data)) {
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}
