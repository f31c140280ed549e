package overload

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// freeBytes of each message are not counted: an ordinary question never waits for the memory of large ones.
	freeBytes = 64 << 10
	// readBytes are read at once: a frame of the largest size. Frames may be of one byte each.
	readBytes = 16 << 10
	// exemptBytes is the largest message of a method without places.
	exemptBytes = 64 << 10
	// headerBytes come before each message: whether it is compressed, and its length.
	headerBytes = 5
	// decodedPerElement is what an element takes at most, about, in bytes: an entry of a map, a message of a few fields,
	// and its part of the answer.
	decodedPerElement = 400
)

// Messages says what messages of callers may be like.
type Messages struct {
	// Codec decodes them.
	Codec encoding.CodecV2
	// MaxBytes is the largest one.
	MaxBytes int
	// Elements returns how many messages, map entries and entries of lists the wire form of a request has; a failure if
	// there are too many. Default: they are not counted.
	Elements func(wire []byte, request any) (int, *wire.Failure)
}

// A rawStream is the stream of a call as gRPC's own receiver reads it. Reading it here, a message is bounded while it
// comes, and counted before it is decoded; gRPC would take all of what is announced.
type rawStream interface {
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
	RecvCompress() string
	// WriteStatus ends the call, from any goroutine. Later ones do nothing.
	WriteStatus(*status.Status) error
}

// rawOf returns the stream of a call; nil if this version of gRPC has another one.
func rawOf(ctx context.Context) rawStream {
	s, _ := grpc.ServerTransportStreamFromContext(ctx).(rawStream)
	return s
}

// A receiver receives the messages of one call.
type receiver struct {
	gate    *Gate
	raw     rawStream
	account *account
	// exempt calls are not refused for lack of memory. Their messages are small.
	exempt bool
	// held is what the present message takes of the memory; over when the call has ended. A stream's handler may return
	// while a message of it is being read.
	held atomic.Int64
	// header is that of the present message.
	header [headerBytes]byte
	// buffer has the bytes of the present message while it is read; nil for a small or a very large one.
	buffer *[]byte
}

// buffers are what messages are read into, but for very large ones. Their sizes are powers of two, so that none is much
// larger than what is in it. A decoded message shares no memory with its bytes.
var buffers = mem.NewTieredBufferPool(2<<10, 4<<10, 8<<10, 16<<10, 32<<10, freeBytes, 128<<10, largestBuffer)

// largestBuffer is the size of the largest buffers that are used again: of more, those that nobody uses would be much.
const largestBuffer = 256 << 10

// receive reads a message and decodes it. At the end of the stream it returns io.EOF.
func (r *receiver) receive(into any) error {
	if err := r.raw.ReadMessageHeader(r.header[:]); err != nil {
		return received(err)
	}
	return r.body(into)
}

// body reads and decodes what follows the header.
func (r *receiver) body(into any) error {
	defer r.free()
	data, err := r.read(int(binary.BigEndian.Uint32(r.header[1:])))
	if err != nil {
		return err
	}
	if r.header[0] != 0 {
		if data, err = r.decompress(data); err != nil {
			return err
		}
	}
	if err := r.weigh(data, into); err != nil {
		return err
	}
	if err := r.gate.messages.Codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, into); err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	return nil
}

// read reads n bytes of a message.
func (r *receiver) read(n int) ([]byte, error) {
	limit := r.gate.messages.MaxBytes
	if r.exempt {
		limit = min(limit, exemptBytes)
	}
	if n > limit {
		return nil, tooLong(n, limit)
	}
	data, err := r.grow(nil, min(n, freeBytes), n)
	if err != nil {
		return nil, err
	}
	for len(data) < n {
		part, err := r.raw.Read(min(readBytes, n-len(data)))
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, received(err)
		}
		if data, err = r.grow(data, part.Len(), n); err != nil {
			part.Free()
			return nil, err
		}
		for _, b := range part {
			data = append(data, b.ReadOnlyData()...)
		}
		part.Free()
	}
	return data, nil
}

// grow returns data with room for more bytes, of a message of n bytes. What has not come has no room. All of the room
// counts, used or not.
func (r *receiver) grow(data []byte, more, n int) ([]byte, error) {
	size := len(data) + more
	if size <= cap(data) {
		return data, nil
	}
	size = min(n, max(size, 2*cap(data)))
	if mem.IsBelowBufferPoolingThreshold(size) {
		return append(make([]byte, 0, size), data...), nil
	}
	size = bufferSize(size)
	if err := r.hold(size); err != nil {
		return nil, err
	}
	var next *[]byte
	var grown []byte
	if size > largestBuffer {
		grown = append(make([]byte, 0, size), data...)
	} else {
		next = buffers.Get(size)
		grown = append((*next)[:0:size], data...)
	}
	r.free()
	r.buffer = next
	return grown, nil
}

// bufferSize returns the size of the buffer that has room for n bytes.
func bufferSize(n int) int {
	if n > largestBuffer {
		return n
	}
	return 1 << bits.Len(uint(n-1))
}

// free gives the buffer back.
func (r *receiver) free() {
	if r.buffer != nil {
		buffers.Put(r.buffer)
		r.buffer = nil
	}
}

// decompress returns what a message is uncompressed.
func (r *receiver) decompress(data []byte) ([]byte, error) {
	compressor := encoding.GetCompressor(r.raw.RecvCompress())
	if compressor == nil {
		return nil, status.Errorf(codes.Internal, "grpc: compressed flag set with the encoding %q", r.raw.RecvCompress())
	}
	reader, err := compressor.Decompress(mem.BufferSlice{mem.SliceBuffer(data)}.Reader())
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: failed to decompress the message: %v", err)
	}
	if closer, ok := reader.(io.Closer); ok {
		defer closer.Close() //nolint:errcheck // it was only read
	}
	plain, limit := make([]byte, 0, min(4*len(data), freeBytes)), r.gate.messages.MaxBytes
	var part [readBytes]byte
	for {
		n, err := reader.Read(part[:])
		plain = append(plain, part[:n]...)
		switch {
		case len(plain) > limit:
			return nil, tooLong(len(plain), limit)
		case errors.Is(err, io.EOF):
			return plain, nil
		case err != nil:
			return nil, status.Errorf(codes.Internal, "grpc: failed to decompress the message: %v", err)
		}
		if err := r.hold(len(data) + len(plain)); err != nil {
			return nil, err
		}
	}
}

// weigh takes the memory that a message takes once it is decoded, and that of its answers.
func (r *receiver) weigh(data []byte, into any) error {
	count := r.gate.messages.Elements
	if count == nil || len(data)/2*decodedPerElement <= freeBytes {
		return nil
	}
	elements, fail := count(data, into)
	if fail != nil {
		r.gate.metrics.Failed(fail)
		return fail.Err()
	}
	return r.hold(cap(data) + len(data) + elements*decodedPerElement)
}

// hold takes n bytes of the memory for the present message in all, beyond those that are free.
func (r *receiver) hold(n int) error {
	had := r.held.Load()
	more := int64(n) - freeBytes - max(0, had)
	if more <= 0 || r.exempt {
		return nil
	}
	if refused := r.gate.memory.take(more, r.account); refused != nil {
		r.gate.metrics.Shed(refused.Failure)
		r.gate.metrics.Failed(refused.Failure)
		return refused.Status
	}
	if had == over || !r.held.CompareAndSwap(had, had+more) {
		r.gate.memory.give(more, r.account)
		return status.Error(codes.Canceled, "the call has ended")
	}
	return nil
}

// over is what receiver.held is when the call has ended.
const over = -1

// release gives back what the present message takes.
func (r *receiver) release() {
	if had := r.held.Load(); had > 0 && r.held.CompareAndSwap(had, 0) {
		r.gate.memory.give(had, r.account)
	}
}

// finish gives it back for good.
func (r *receiver) finish() {
	if had := r.held.Swap(over); had > 0 {
		r.gate.memory.give(had, r.account)
	}
}

// received returns an error of a stream as that of a call.
func received(err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return status.FromContextError(err).Err()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return status.Error(codes.Internal, err.Error())
	default:
		return status.Error(codes.Unavailable, err.Error())
	}
}

func tooLong(n, limit int) error {
	return status.Error(codes.ResourceExhausted, fmt.Sprintf("grpc: received message larger than max (%d vs. %d): ask in "+
		"several messages, or raise the server's --max-message-bytes", n, limit))
}

// A meteredStream bounds the messages of a stream while they come.
type meteredStream struct {
	grpc.ServerStream
	receiver
	// overdue ends the stream when a message does not come to its end.
	overdue *time.Timer
	within  time.Duration
	// owed means that the caller owes a message from the start: the server alone streams.
	owed bool
	// to is the connection whose answers count.
	to *Connection
	// open is what the stream has of the limits; nil if it has a place for as long as it is open.
	open *openStream
}

// SendMsg implements [grpc.ServerStream].
func (s *meteredStream) SendMsg(message any) error {
	s.open.rest()                                          // the caller may not read
	return s.ServerStream.SendMsg(answerTo(s.to, message)) //nolint:wrapcheck // it is a status
}

// RecvMsg implements [grpc.ServerStream].
func (s *meteredStream) RecvMsg(into any) error {
	s.release() // the message before is done with
	s.open.rest()
	if s.overdue != nil {
		defer s.overdue.Stop()
		if s.owed {
			s.overdue.Reset(s.within)
		}
	}
	if err := s.raw.ReadMessageHeader(s.header[:]); err != nil {
		return s.ended(received(err))
	}
	if s.overdue != nil && !s.owed {
		s.overdue.Reset(s.within)
	}
	s.owed = false
	err := s.body(into)
	if err == nil {
		s.open.work()
	}
	return s.ended(err)
}

// ended returns the error of a message; another one if it is over because it was overdue.
func (s *meteredStream) ended(err error) error {
	if err != nil && errors.Is(context.Cause(s.Context()), context.DeadlineExceeded) && s.Context().Err() != nil {
		return status.Error(codes.DeadlineExceeded, "the message did not come to its end in time: send it faster, or in parts")
	}
	return err
}
