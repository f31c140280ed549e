package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
)

// raw is a message that is bytes already, and stays so.
type raw []byte

// rawCodec sends and takes messages as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*raw)
	if !ok {
		return nil, fmt.Errorf("a message of type %T is not bytes", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*m)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*raw)
	if !ok {
		return fmt.Errorf("a message of type %T is not bytes", v)
	}
	*m = data.Materialize()
	return nil
}

// dial connects to a gRPC server on the loopback.
func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
}

// conns are several connections as one that is closed.
type conns []*grpc.ClientConn

// Close implements [io.Closer].
func (c conns) Close() error {
	var all error
	for _, conn := range c {
		all = errors.Join(all, conn.Close())
	}
	return all
}

func dialSome(addr string, n int) (conns, error) {
	var list conns
	for range n {
		conn, err := dial(addr)
		if err != nil {
			return nil, errors.Join(err, list.Close())
		}
		list = append(list, conn)
	}
	return list, nil
}

// unary calls a method.
type unary struct {
	conn   *grpc.ClientConn
	method string
	// header are keys and values of metadata.
	header []string
}

func (u *unary) call(ctx context.Context, request []byte) ([]byte, error) {
	if len(u.header) > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, u.header...)
	}
	out, in := raw(request), raw(nil)
	err := u.conn.Invoke(ctx, u.method, &out, &in, grpc.ForceCodecV2(rawCodec{}))
	return in, err
}

// dialUnary dials for a method with a gRPC server on n connections.
func dialUnary(addr string, n int, method string, header ...string) func(int) ([]caller, io.Closer, error) {
	return func(callers int) ([]caller, io.Closer, error) {
		list, err := dialSome(addr, n)
		if err != nil {
			return nil, nil, err
		}
		var to []caller
		for i := range callers {
			to = append(to, &unary{list[i%n], method, header})
		}
		return to, list, nil
	}
}

// stream is a bidirectional stream with an answer to each request.
type stream struct{ grpc.ClientStream }

func (s *stream) call(_ context.Context, request []byte) ([]byte, error) {
	out, in := raw(request), raw(nil)
	if err := s.SendMsg(&out); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	err := s.RecvMsg(&in) // says why, if sending ended
	return in, err
}

// dialStreams dials for a stream for each caller on n connections.
func dialStreams(addr string, n int, method string) func(int) ([]caller, io.Closer, error) {
	return func(callers int) ([]caller, io.Closer, error) {
		list, err := dialSome(addr, n)
		if err != nil {
			return nil, nil, err
		}
		var to []caller
		both := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
		for i := range callers {
			// It ends with its connection.
			s, err := list[i%n].NewStream(context.Background(), both, method, grpc.ForceCodecV2(rawCodec{}))
			if err != nil {
				return nil, nil, errors.Join(err, list.Close())
			}
			to = append(to, &stream{s})
		}
		return to, list, nil
	}
}
