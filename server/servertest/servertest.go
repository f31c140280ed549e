// Package servertest starts a netpold server inside a test of a program that asks netpold.
//
// The cluster consists of the engine's objects. The server answers as a real netpold does for such a cluster.
package servertest

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server"
)

// An Instance is a running server. Its methods are safe for concurrent use, except Client and Conn: call
// those from the test's goroutine.
type Instance struct {
	tb     testing.TB
	source *Source
	server *server.Server
}

// Start serves a cluster of objects on a free port of the loopback, without TLS, until the test ends. The
// server is ready when Start returns, and owns the objects.
func Start(tb testing.TB, objects ...engine.Object) *Instance {
	tb.Helper()
	return StartWith(tb, nil, objects...)
}

// StartWith does what Start does, and the server reads the overlays of requests by overlay. Without one it refuses
// them, since what reads Kubernetes' objects is not part of a server.
func StartWith(tb testing.TB, overlay mirror.OverlayReader, objects ...engine.Object) *Instance {
	tb.Helper()
	source := NewSource()
	changes := make([]engine.Change, len(objects))
	for i, object := range objects {
		changes[i] = engine.Change{Object: object}
	}
	source.Apply(changes...)
	config := server.Defaults()
	config.Source, config.Overlay = source, overlay
	config.Version = "test"
	config.Listen = "127.0.0.1:0"
	config.AdminListen = ""
	config.DrainDelay = 0
	s, err := server.New(config)
	if err != nil {
		tb.Fatalf("servertest: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("servertest: %v", err)
		}
	})
	return &Instance{tb: tb, source: source, server: s}
}

// Addr returns the address of the server, as HOST:PORT.
func (i *Instance) Addr() string { return i.server.Addr() }

// Apply changes the cluster. Answers given after it returns include the change. The token names the new
// snapshot, for at_least.
func (i *Instance) Apply(changes ...engine.Change) (token string) {
	return i.source.Apply(changes...).Token
}

// SetStale makes the server report its state as stale, or as current again. While it is stale, answers have
// stale set, and the health of DecisionService is NOT_SERVING.
func (i *Instance) SetStale(stale bool) { i.source.SetStale(stale) }

// Client returns a new client of the server, with options such as [netpold.WithCache]. It is closed when the test
// ends.
func (i *Instance) Client(options ...netpold.Option) *netpold.Client {
	i.tb.Helper()
	client, err := netpold.Dial(i.Addr(), append([]netpold.Option{netpold.WithInsecure()}, options...)...)
	if err != nil {
		i.tb.Fatalf("servertest: %v", err)
	}
	i.tb.Cleanup(func() {
		if err := client.Close(); err != nil {
			i.tb.Errorf("servertest: %v", err)
		}
	})
	return client
}

// Conn returns a new plain gRPC connection to the server. It is closed when the test ends.
func (i *Instance) Conn() *grpc.ClientConn {
	i.tb.Helper()
	conn, err := grpc.NewClient(i.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		i.tb.Fatalf("servertest: %v", err)
	}
	i.tb.Cleanup(func() {
		if err := conn.Close(); err != nil {
			i.tb.Errorf("servertest: %v", err)
		}
	})
	return conn
}
