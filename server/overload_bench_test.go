package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/netpold/netpold/bench/synthetic"
	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
)

// BenchmarkLimits measures Allowed over mutual TLS on a server without limits, policy and metrics, and on one with
// all of them. Compare the lines of one run; cpu-ns/question is that of client and server together.
//
//	go test ./server -run xxx -bench Limits -benchtime 3s -count 6
func BenchmarkLimits(b *testing.B) {
	ca := newAuthority(b, "all")
	told := synthetic.New(synthetic.Sizes[1])
	source := synced()
	source.Apply(told.Changes()...)
	config := server.Defaults()
	config.Source, config.Logger, config.TLS = source, slog.New(slog.DiscardHandler), tlsFiles(b)
	config.Listen, config.AdminListen, config.DrainDelay = "127.0.0.1:0", "", 0
	config.AuthzPolicy = filepath.Join(b.TempDir(), "policy.json")
	cert, key := ca.issue(1, time.Now().Add(time.Hour))
	write(b, map[string][]byte{config.TLS.Cert: cert, config.TLS.Key: key, config.TLS.ClientCA: ca.pem,
		config.AuthzPolicy: []byte(proxies)})
	ask := func(i int) *netpoldv1.AllowedRequest {
		ip := func(i int) netip.Addr { return told.Pods[i%len(told.Pods)].IPs[0] }
		return &netpoldv1.AllowedRequest{
			Src: netpold.IP(ip(i * 31).String()), Dst: netpold.IP(ip(i * 17).String()), Port: 8080,
		}
	}
	allowed := func(conn *grpc.ClientConn) func(ctx context.Context, i int) error {
		client := netpoldv1.NewDecisionServiceClient(conn)
		return func(ctx context.Context, i int) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // as callers do
			defer cancel()
			_, err := client.Allowed(ctx, ask(i))
			return err
		}
	}
	b.Run("None", func(b *testing.B) {
		s, err := server.Bare(&config)
		if err != nil {
			b.Fatal(err)
		}
		listener, err := net.Listen("tcp", config.Listen)
		if err != nil {
			b.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(listener) }()
		conn := dialAs(b, ca, listener.Addr().String())
		callers(b, 1, allowed(conn))
		err = conn.Close()
		s.Stop()
		if err := errors.Join(err, <-ended); err != nil {
			b.Error(err)
		}
	})
	b.Run("All", func(b *testing.B) {
		s, err := server.New(config)
		if err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		conn := dialAs(b, ca, s.Addr())
		callers(b, 1, allowed(conn))
		err = conn.Close()
		stop()
		if err := errors.Join(err, <-ended); err != nil {
			b.Error(err)
		}
	})
}

// dialAs returns a connection of a client that the policy lets ask.
func dialAs(b *testing.B, ca *authority, addr string) *grpc.ClientConn {
	b.Helper()
	uri, err := url.Parse("spiffe://td/ns/mesh/sa/proxy")
	if err != nil {
		b.Fatal(err)
	}
	config := ca.client(nil)
	config.Certificates = []tls.Certificate{ca.certify(&x509.Certificate{URIs: []*url.URL{uri}})}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		b.Fatal(err)
	}
	return conn
}

// BenchmarkShedding measures calls that are refused for their caller's limit, beside those that are answered.
func BenchmarkShedding(b *testing.B) {
	w := wire(b)
	b.Run("Answered", func(b *testing.B) { callers(b, 1, w.allowed) })
	full := wire(b, func(c *server.Config) { c.MaxInFlight, c.MaxInFlightPerCaller = 1, 1 })
	held, err := full.conn.NewStream(b.Context(), &grpc.StreamDesc{ClientStreams: true},
		netpoldv1.DecisionService_Allowed_FullMethodName)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = held.CloseSend() }()
	for full.allowed(b.Context(), 0) == nil { // until the stream has the only place
		continue
	}
	b.Run("Refused", func(b *testing.B) {
		callers(b, 1, func(ctx context.Context, i int) error {
			if full.allowed(ctx, i) == nil {
				return errors.New("a call beyond the limit is answered")
			}
			return nil
		})
	})
}
