// Package servertest starts a netpold server inside a test, for those who test a program that asks netpold.
//
// The cluster is made of the engine's objects; what it answers is what a real netpold answers for such a cluster.
package servertest

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/server"
)

// Instance is a running server. Its methods are safe for concurrent use, save for those that make connections: they belong to
// the test's goroutine.
type Instance struct {
	tb     testing.TB
	source *Source
	server *server.Server
}

// Start serves a cluster of objects on a free port of the loopback, without TLS, until the test ends. The server is ready when
// Start returns. The objects belong to the server from then on.
func Start(tb testing.TB, objects ...engine.Object) *Instance {
	tb.Helper()
	source := NewSource()
	changes := make([]engine.Change, len(objects))
	for i, object := range objects {
		changes[i] = engine.Change{Object: object}
	}
	source.Apply(changes...)
	config := server.Defaults()
	config.Source = source
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

// Addr is where the server listens, as HOST:PORT.
func (i *Instance) Addr() string { return i.server.Addr() }

// Apply changes the cluster. Answers given after it has returned rest on the change. The token names the new snapshot, for at_least.
func (i *Instance) Apply(changes ...engine.Change) (token string) {
	return i.source.Apply(changes...).Token
}

// SetStale makes the server say that its state is stale, as when the cluster was not heard of for too long, or current again:
// answers then have stale set, and the health of DecisionService turns.
func (i *Instance) SetStale(stale bool) { i.source.SetStale(stale) }

// Client is a new client of the server, closed when the test ends.
func (i *Instance) Client() *netpold.Client {
	i.tb.Helper()
	client, err := netpold.Dial(i.Addr(), netpold.WithInsecure())
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

// Conn is a new plain gRPC connection to the server, closed when the test ends.
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
