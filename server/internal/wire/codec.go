package wire

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Codec returns gRPC's codec of a server: that of [netpoldv1.Codec], and for [Question], [Questions] and what answers
// them. maxBatch is the same.
func Codec(maxBatch int) encoding.CodecV2 { return codec{netpoldv1.Codec(maxBatch)} }

type codec struct{ encoding.CodecV2 }

// Marshal implements [encoding.CodecV2].
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if e, ok := v.(*Encoded); ok {
		b, err := e.buffer()
		return mem.BufferSlice{b}, err
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements [encoding.CodecV2].
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch v := v.(type) {
	case *Question:
		return v.Decode(one(data))
	case *Questions:
		return v.Decode(one(data), c.CodecV2)
	}
	return c.CodecV2.Unmarshal(data, v)
}

// one returns the bytes of a message in one part.
func one(data mem.BufferSlice) []byte {
	if len(data) == 1 {
		return data[0].ReadOnlyData()
	}
	return data.Materialize()
}
