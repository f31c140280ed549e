package decisionlog

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/decisionid"
)

// BenchmarkRecord measures what the record of one Allowed costs: the call, up to its append to the queue, and the
// writer.
func BenchmarkRecord(b *testing.B) {
	ip := func(text string) *netpoldv1.Endpoint {
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: text}}
	}
	q := &netpoldv1.AllowedRequest{Src: ip("10.0.1.4"), Dst: ip("10.0.113.27"), Port: 8080}
	a := &netpoldv1.AllowedResponse{Allowed: true, Reason: netpoldv1.Reason_REASON_ALLOWED_BY_RULE, Revision: 4711,
		Egress:   &netpoldv1.Side{Allowed: true},
		Ingress:  &netpoldv1.Side{Allowed: true, Isolated: true, Policy: "shop/cart", RuleIndex: new(uint32), Kind: "NetworkPolicy"},
		Families: []netpoldv1.IpFamily{netpoldv1.IpFamily_IP_FAMILY_IPV4}, Token: "x"}
	ctx := peer.NewContext(context.Background(),
		&peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40123}})
	ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(":authority", "127.0.0.1:9480", "content-type", "application/grpc",
		"user-agent", "grpc-go/1.85.0", "grpc-accept-encoding", "gzip"))
	l, err := Open(Options{Path: "/dev/null", Sample: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("call", func(b *testing.B) {
		b.ReportAllocs()
		var spare []*entry
		for i := 0; b.Loop(); i++ {
			l.one(callOf(ctx, decisionid.New(), methodAllowed), time.Time{}, 0, q, a, nil)
			if i%1000 == 999 {
				spare = l.queue.take(spare)
				for _, e := range spare {
					l.queue.free(e.weight)
					e.release()
				}
			}
		}
	})
	b.Run("writer", func(b *testing.B) {
		w := encoder{each: func(*entry, bool, int) {}}
		now := time.Now()
		e := &entry{call: callOf(ctx, decisionid.New(), methodAllowed), at: now, rate: 1, question: q, answer: a, n: 1}
		b.ReportAllocs()
		for b.Loop() {
			w.b = w.b[:0]
			e.at = e.at.Add(20 * time.Microsecond)
			w.entry(e)
		}
		b.SetBytes(int64(len(w.b)))
	})
}
