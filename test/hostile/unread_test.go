//go:build linux

package hostile

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// An unreadWay is a way to ask for answers that nobody reads: what is sent of each call, whether it ends there, and how
// many calls a connection has at once.
type unreadWay struct {
	name, method string
	data         []byte
	end          bool
	calls        int
}

func unreadWays(t *testing.T) []unreadWay {
	batch, watch := &netpoldv1.BatchAllowedRequest{}, &netpoldv1.WatchAllowedRequest{}
	all := questions()
	for i := range 500 {
		q := all[i%len(all)].request
		batch.Questions = append(batch.Questions, q)
		watch.Add = append(watch.Add, &netpoldv1.WatchQuestion{Id: uint64(i + 1), Question: q})
	}
	stream := &netpoldv1.StreamAllowedRequest{Port: 8080}
	src, dst := &netpoldv1.StreamAllowedRequest_SrcIpv4{}, &netpoldv1.StreamAllowedRequest_DstIpv4{}
	for range 1000 {
		src.SrcIpv4, dst.DstIpv4 = append(src.SrcIpv4, 10, 1, 0, 1), append(dst.DstIpv4, 10, 2, 0, 1)
	}
	stream.Src, stream.Dst = src, dst
	peer := func(ip string) []byte { // of ext_authz
		port := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 8080)
		return inside(append(inside([]byte(ip), 2), port...), 1, 1)
	}
	check := inside(append(inside(peer("10.1.0.1"), 1), inside(peer("10.2.0.1"), 2)...), 1)
	explain := &netpoldv1.ExplainRequest{Question: all[0].request}
	return []unreadWay{
		{"Allowed", netpoldv1.DecisionService_Allowed_FullMethodName, framed(encode(t, all[0].request), 0), true, 50},
		{"BatchAllowed", netpoldv1.DecisionService_BatchAllowed_FullMethodName, framed(encode(t, batch), 0), true, 40},
		{"StreamAllowed", netpoldv1.DecisionService_StreamAllowed_FullMethodName,
			bytes.Repeat(framed(encode(t, stream), 0), 8), false, 40},
		{"WatchAllowed", netpoldv1.DecisionService_WatchAllowed_FullMethodName, framed(encode(t, watch), 0), false, 10},
		{"Check", checkMethod, framed(check, 0), true, 50},
		{"GetStatus", netpoldv1.StatusService_GetStatus_FullMethodName, framed(nil, 0), true, 1000},
		{"Explain", netpoldv1.AuditService_Explain_FullMethodName, framed(encode(t, explain), 0), true, 50},
		{"ListConnections", netpoldv1.AuditService_ListConnections_FullMethodName, framed(nil, 0), true, 10},
	}
}

// attack returns the attack of one connection. It adds to what calls, answers, data and resets count.
func (w *unreadWay) attack(calls, answers, data, resets *atomic.Int64) attack {
	return func(ctx context.Context, n *child, from string, _ *atomic.Int64) {
		c, err := n.openRaw(ctx, from, 0, true)
		if err != nil {
			return
		}
		c.closeWith(ctx)
		for range w.calls {
			if _, err := c.call(w.method, w.data, w.end); err != nil {
				break
			}
			calls.Add(1)
		}
		<-c.ended
		answers.Add(int64(c.answers))
		data.Add(int64(c.data))
		resets.Add(int64(c.resets))
	}
}

// Answers that nobody reads are not kept without end.
func TestUnreadAnswers(t *testing.T) {
	for _, way := range unreadWays(t) {
		t.Run(way.name, func(t *testing.T) {
			n := start(t, writeCluster(t))
			var calls, answers, data, resets atomic.Int64
			least := attackers * int64(way.calls) / 4
			n.enough = func() bool { return calls.Load() >= least }
			attack := way.attack(&calls, &answers, &data, &resets)
			n.besiege(t, attackTime, func(ctx context.Context) {
				each(ctx, attackers, func(ctx context.Context, from string) { attack(ctx, n, from, nil) })
			})
			t.Logf("%d calls, %d answers of %d bytes, %d resets", calls.Load(), answers.Load(), data.Load(), resets.Load())
			if calls.Load() < least {
				t.Errorf("%d calls were made", calls.Load())
			}
		})
	}
}
