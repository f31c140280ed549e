package decisionlog

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/decisionid"
)

// messageOf returns a message of n questions and its answers: some denied, with addresses of both families,
// every reason, and protocols that there are and are not.
func messageOf(rng *rand.Rand, n int, v6 bool) (*netpoldv1.StreamAllowedRequest, *netpoldv1.StreamAllowedResponse) {
	text := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	req := &netpoldv1.StreamAllowedRequest{Ports: text(2 * n), Protocols: text(n),
		Src: &netpoldv1.StreamAllowedRequest_SrcIpv4{SrcIpv4: text(4 * n)},
		Dst: &netpoldv1.StreamAllowedRequest_DstIpv4{DstIpv4: text(4 * n)}}
	if v6 {
		req.Dst = &netpoldv1.StreamAllowedRequest_DstIpv6{DstIpv6: text(16 * n)}
	}
	resp := &netpoldv1.StreamAllowedResponse{Allowed: text((n + 7) / 8), Reasons: make([]byte, n),
		Revision: rng.Uint64(), Stale: rng.IntN(2) == 0}
	for i := range n {
		req.Protocols[i] %= 5
		resp.Reasons[i] = byte(1 + rng.IntN(len(netpoldv1.Reason_name)-1))
	}
	return req, resp
}

// TestG1RowsAreRecords proves that the rows of a stream are written as all other records are, in every
// combination of addresses, protocols, reasons and sampling.
func TestG1RowsAreRecords(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var fast, plain encoder
	fast.each, plain.each = func(*entry, bool, int) {}, func(*entry, bool, int) {}
	for round := range 200 {
		req, resp := messageOf(rng, 1+rng.IntN(200), round%2 == 0)
		l := open(t, Options{Path: Stdout, Stdout: &disk{}, Sample: 0.5})
		l.message(call{id: decisionid.New(), method: methodStream, requestID: "r"}, time.Now(), req, resp)
		for _, e := range l.queue.take(nil) {
			fast.entry(e)
			plain.entry(&entry{call: e.call, at: e.at, took: e.took, rate: e.rate}) // makes the texts that are shared
			plain.b = plain.b[:0]
			for i := range e.n {
				r := e.rows.row(i)
				at := int(r.index)
				if r.allowed != (resp.Allowed[at/8]>>(at%8)&1 != 0) || !bytes.Equal(r.src.AsSlice(), req.GetSrcIpv4()[4*at:4*at+4]) {
					t.Fatalf("row %d is %+v", at, r)
				}
				plain.record(e, at, r.question(), &netpoldv1.AllowedResponse{Allowed: r.allowed,
					Reason: netpoldv1.Reason(resp.Reasons[at]), Revision: resp.Revision, Stale: resp.Stale}, nil)
			}
		}
		if diff := cmp.Diff(string(plain.b), string(fast.b)); diff != "" {
			t.Fatalf("(-records +rows):\n%s", diff)
		}
		fast.b, plain.b = fast.b[:0], plain.b[:0]
	}
}

// TestG2StreamSample proves that all denials of a message are written, and the share of allowed answers that is
// asked for.
func TestG2StreamSample(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	c := newChooser(0.1, false)
	const n, denials = 100_000, 100
	resp := &netpoldv1.StreamAllowedResponse{Reasons: make([]byte, n), Allowed: bytes.Repeat([]byte{0xff}, n/8)}
	for _, i := range rng.Perm(n)[:denials] {
		resp.Allowed[i/8] &^= 1 << (i % 8)
	}
	masks, chosen := c.masks(nil, resp)
	for i := range n {
		if resp.Allowed[i/8]>>(i%8)&1 == 0 && masks[i/64]>>(i%64)&1 == 0 {
			t.Errorf("denial %d is left out", i)
		}
	}
	if chosen < denials+n/10-1000 || chosen > denials+n/10+1000 { // ten deviations
		t.Errorf("%d of %d are written", chosen, n)
	}
}

// TestG3FullQueueCopiesNothing proves that a message that finds the queue full is counted, and allocates
// nothing.
func TestG3FullQueueCopiesNothing(t *testing.T) {
	l := open(t, Options{Path: Stdout, Stdout: &disk{}, Queue: 1})
	record(l, 1, 1)
	req, resp := messageOf(rand.New(rand.NewPCG(5, 6)), 1000, false)
	const runs = 100
	if n := testing.AllocsPerRun(runs, func() { l.message(call{}, time.Time{}, req, resp) }); n != 0 {
		t.Errorf("%v allocations for a message that is dropped", n)
	}
	if n := l.counts.dropped[queueFull].Load(); n != (runs+1)*1000 {
		t.Errorf("%d dropped, want %d", n, (runs+1)*1000)
	}
}

// TestG3FewRowsHoldLittle proves that a message of which one question is written does not hold the memory of
// all: a queue may be full of such.
func TestG3FewRowsHoldLittle(t *testing.T) {
	t.Parallel()
	l := open(t, Options{Path: Stdout, Stdout: &disk{}, DenialsOnly: true})
	req, resp := messageOf(rand.New(rand.NewPCG(7, 8)), 10_000, true)
	l.message(call{}, time.Time{}, req, resp)
	for i := range resp.Allowed {
		resp.Allowed[i] = 0xff
	}
	resp.Allowed[0] = 0xfe
	for _, e := range l.queue.take(nil) {
		e.release()
	}
	l.message(call{}, time.Time{}, req, resp)
	for _, e := range l.queue.take(nil) {
		if e.n != 1 || cap(e.rows.packed) > 64 {
			t.Errorf("%d rows hold %d bytes", e.n, cap(e.rows.packed))
		}
	}
}

// BenchmarkRows measures the writer's work for a message of a stream whose questions are all denied, at either
// end.
func BenchmarkRows(b *testing.B) {
	l, err := Open(Options{Path: "/dev/null", Sample: 1})
	if err != nil {
		b.Fatal(err)
	}
	req, resp := messageOf(rand.New(rand.NewPCG(9, 10)), 1000, false)
	req.Protocols, req.Protocol = nil, netpoldv1.Protocol_PROTOCOL_TCP
	for i := range resp.Reasons {
		resp.Reasons[i] = byte(netpoldv1.Reason_REASON_DENIED_AT_EGRESS)
		if i%2 == 0 {
			resp.Reasons[i] = byte(netpoldv1.Reason_REASON_DENIED_AT_INGRESS)
		}
	}
	clear(resp.Allowed)
	l.message(callOf(context.Background(), decisionid.New(), methodStream), time.Now(), req, resp)
	w := encoder{each: func(*entry, bool, int) {}}
	entries := l.queue.take(nil)
	b.ReportAllocs()
	for b.Loop() {
		w.b = w.b[:0]
		w.entry(entries[0])
	}
	b.SetBytes(int64(len(w.b)))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/record")
	b.ReportMetric(float64(len(w.b))/1000, "B/record")
}
