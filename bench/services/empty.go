package main

import (
	"context"
	"fmt"
	"io"
	"net"

	"google.golang.org/grpc"
)

// emptyMethod is one that takes bytes and answers nothing.
const emptyMethod = "/bench.Empty/Ask"

// empty is a gRPC server with that method and nothing else, by the library that all of the services use. It shows what
// a call costs that decides nothing.
type empty struct {
	proc *process
	addr string
	// connections are those of its callers.
	connections int
}

func (e *empty) process() *process { return e.proc }

func (e *empty) stop() { e.proc.stop() }

// start implements [service].
func (e *empty) start(ctx context.Context, with *environment, _ *model) (err error) {
	e.connections = with.connections
	if e.proc, err = startProcess(ctx, []string{childVariable + "=" + childEmpty}, with.own); err != nil {
		return err
	}
	e.addr, err = e.proc.servesAt(ctx, "the empty server")
	return err
}

// apply implements [service]. Nothing follows from a change here.
func (e *empty) apply(context.Context, *change, bool) error { return nil }

// ways implements [service].
func (e *empty) ways() []way {
	return []way{{service: "an empty method", name: "of grpc-go", encode: encodeCheck,
		dial: dialUnary(e.addr, e.connections, emptyMethod)}}
}

// serveEmpty serves the empty method on the loopback until stdin ends.
func serveEmpty(stdin io.Reader, stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}))
	ask := func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		return new(raw), decode(new(raw))
	}
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "bench.Empty", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Ask", Handler: ask}}}, nil)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Fprintln(stdout, serving+listener.Addr().String())
	_, _ = io.Copy(io.Discard, stdin) // ends with its parent
	server.Stop()
	return <-ended
}
