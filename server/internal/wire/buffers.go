package wire

import (
	"math/bits"
	"sync"
)

// sizedBuffers is a pool of buffers by the logarithm of their size. Those of gRPC are cleared each time, which for a
// batch costs as much as a tenth of deciding it; here only what is written is sent.
type sizedBuffers [maxBuffer + 1]sync.Pool

// The logarithms of the smallest and the largest buffer that is used again.
const (
	minBuffer = 12
	maxBuffer = 20
)

// Get implements [google.golang.org/grpc/mem.BufferPool].
func (s *sizedBuffers) Get(length int) *[]byte {
	size := max(minBuffer, bits.Len(uint(max(length, 1)-1)))
	if size > maxBuffer {
		b := make([]byte, length)
		return &b
	}
	if b, ok := s[size].Get().(*[]byte); ok {
		*b = (*b)[:length]
		return b
	}
	b := make([]byte, length, 1<<size)
	return &b
}

// Put implements [google.golang.org/grpc/mem.BufferPool].
func (s *sizedBuffers) Put(b *[]byte) {
	size := bits.Len(uint(cap(*b))) - 1
	if size < minBuffer || size > maxBuffer || cap(*b) != 1<<size {
		return
	}
	s[size].Put(b)
}
