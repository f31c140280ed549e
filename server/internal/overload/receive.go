package overload

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
	// readBytes are read at once. What is read comes in frames, which may be of one byte each.
	readBytes = 4 << 10
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
	// held is what the present message takes of the memory.
	held int64
}

// receive reads a message and decodes it. At the end of the stream it returns io.EOF.
func (r *receiver) receive(into any) error {
	var header [headerBytes]byte
	if err := r.raw.ReadMessageHeader(header[:]); err != nil {
		return received(err)
	}
	return r.body(header, into)
}

// body reads and decodes what follows a header.
func (r *receiver) body(header [headerBytes]byte, into any) error {
	data, err := r.read(int(binary.BigEndian.Uint32(header[1:])))
	if err != nil {
		return err
	}
	if header[0] != 0 {
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
	data := make([]byte, 0, min(n, freeBytes))
	for len(data) < n {
		part, err := r.raw.Read(min(readBytes, n-len(data)))
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, received(err)
		}
		if err := r.hold(len(data) + part.Len()); err != nil {
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
	return r.hold(2*len(data) + elements*decodedPerElement)
}

// hold takes n bytes of the memory for the present message in all, beyond those that are free.
func (r *receiver) hold(n int) error {
	more := int64(n) - freeBytes - r.held
	if more <= 0 || r.exempt {
		return nil
	}
	if refused := r.gate.memory.take(more, r.account); refused != nil {
		r.gate.metrics.Shed(refused.Failure)
		r.gate.metrics.Failed(refused.Failure)
		return refused.Status
	}
	r.held += more
	return nil
}

// release gives back what the present message takes.
func (r *receiver) release() {
	if r.held > 0 {
		r.gate.memory.give(r.held, r.account)
		r.held = 0
	}
}

// end reads the end of the request of a unary call.
func (r *receiver) end() error {
	var header [headerBytes]byte
	switch err := r.raw.ReadMessageHeader(header[:]); {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return status.Error(codes.Internal, "cardinality violation: received multiple request messages for a unary call")
	default:
		return received(err)
	}
}

// unaryRequest reads the only message of a unary call.
func (r *receiver) unaryRequest(into any) error {
	err := r.receive(into)
	if errors.Is(err, io.EOF) {
		return status.Error(codes.Internal, "cardinality violation: received no request message of a unary call")
	}
	if err != nil {
		return err
	}
	return r.end()
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
}

// RecvMsg implements [grpc.ServerStream].
func (s *meteredStream) RecvMsg(into any) error {
	s.release() // the message before is done with
	if s.overdue != nil {
		defer s.overdue.Stop()
		if s.owed {
			s.overdue.Reset(s.within)
		}
	}
	var header [headerBytes]byte
	if err := s.raw.ReadMessageHeader(header[:]); err != nil {
		return s.ended(received(err))
	}
	if s.overdue != nil && !s.owed {
		s.overdue.Reset(s.within)
	}
	s.owed = false
	return s.ended(s.body(header, into))
}

// ended returns the error of a message; another one if it is over because it was overdue.
func (s *meteredStream) ended(err error) error {
	if err != nil && errors.Is(context.Cause(s.Context()), context.DeadlineExceeded) && s.Context().Err() != nil {
		return status.Error(codes.DeadlineExceeded, "the message did not come to its end in time: send it faster, or in parts")
	}
	return err
}
