//go:build linux

package hostile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// crowd is how many Pods each of two more workloads has, left and right. A policy of right has a block, so that each of
// their 9 million pairs is decided by itself.
const crowd = 3000

const crowdPolicy = `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: right, namespace: shop}
spec:
  podSelector: {matchLabels: {app: right}}
  policyTypes: [Ingress]
  ingress: [{from: [{ipBlock: {cidr: 10.64.0.0/10}}]}]
`

// writeCrowds writes the cluster with the workloads left and right.
func writeCrowds(t *testing.T) (dir string) {
	t.Helper()
	dir = writeCluster(t)
	text := &strings.Builder{}
	writePods(text, "left", "10.64.0.0", crowd)
	writePods(text, "right", "10.65.0.0", crowd)
	text.WriteString(crowdPolicy)
	if err := os.WriteFile(filepath.Join(dir, "crowds.yaml"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// expensive returns a question about all pairs of two workloads. Questions of different n are not alike, so that none is
// answered from what is remembered.
func expensive(src, dst string, n int) *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{Src: netpold.Workload("shop", "StatefulSet", src),
		Dst: netpold.Workload("shop", "StatefulSet", dst), Port: uint32(1 + n%60_000)}
}

// An expensiveWay is a way to ask expensive questions: the request with a number.
type expensiveWay struct {
	name    string
	callers int
	method  string
	request func(n int) []byte
}

func expensiveWays(t *testing.T) []expensiveWay {
	return []expensiveWay{
		{"one caller", 1, netpoldv1.DecisionService_Allowed_FullMethodName,
			func(n int) []byte { return encode(t, expensive("left", "right", n)) }},
		{"many callers", attackers, netpoldv1.DecisionService_Allowed_FullMethodName,
			func(n int) []byte { return encode(t, expensive("left", "right", n)) }},
		{"batches", 1, netpoldv1.DecisionService_BatchAllowed_FullMethodName, func(n int) []byte {
			batch := &netpoldv1.BatchAllowedRequest{}
			for i := range 100 {
				batch.Questions = append(batch.Questions, expensive("left", "right", 100*n+i))
			}
			return encode(t, batch)
		}},
		{"batches of many that are cheap alone", 1, netpoldv1.DecisionService_BatchAllowed_FullMethodName,
			func(n int) []byte {
				batch := &netpoldv1.BatchAllowedRequest{}
				for i := range 100 {
					q := expensive("left", "right", n)
					q.Src = netpold.Pod("shop", fmt.Sprint("left-", i))
					batch.Questions = append(batch.Questions, q)
				}
				return encode(t, batch)
			}},
	}
}

// 200 questions at once about 9 million pairs each, of one caller and of as many callers, alone and in batches.
func TestExpensiveQuestions(t *testing.T) {
	for _, c := range expensiveWays(t) {
		t.Run(c.name, func(t *testing.T) {
			n := start(t, writeCrowds(t))
			n.timed = true
			conns, ended := n.dialAll(t, c.callers), &tally{}
			var asked atomic.Int64
			n.besiege(t, attackTime, func(ctx context.Context) {
				each(ctx, attackers, func(ctx context.Context, from string) {
					conn := conns[from]
					if conn == nil {
						conn = conns[attackerAddress(0)]
					}
					var answer []byte
					ended.add(conn.Invoke(ctx, c.method, c.request(int(asked.Add(1))), &answer, grpc.WaitForReady(true)))
				})
			})
			t.Logf("the attackers' calls:\n%v", ended)
			if ended.of(codes.OK)+ended.of(codes.DeadlineExceeded)+ended.of(codes.Canceled) < attackers/2 {
				t.Error("few of the attackers' questions were taken")
			}
		})
	}
}

// A caller's expensive question waits for one or two of another caller, not for all that this one asks.
func TestExpensiveQuestionsTakeTurns(t *testing.T) {
	n := start(t, writeCrowds(t))
	greedy, other := n.dial(t, attackerAddress(0)), n.dial(t, attackerAddress(1))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var asked, answered atomic.Int64
	attacked := make(chan struct{})
	attack, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer close(attacked)
		each(attack, 100, func(ctx context.Context, _ string) {
			var answer []byte
			request := encode(t, expensive("left", "right", int(asked.Add(1))))
			if greedy.Invoke(ctx, netpoldv1.DecisionService_Allowed_FullMethodName, request, &answer) == nil {
				answered.Add(1)
			}
		})
	}()
	for answered.Load() < 1 && ctx.Err() == nil { // so that all the others wait
		if _, err := n.metrics(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []*netpoldv1.AllowedRequest{expensive("web", "cart", 1), expensive("right", "left", 1)} {
		before := answered.Load()
		var answer []byte
		err := other.Invoke(ctx, netpoldv1.DecisionService_Allowed_FullMethodName, encode(t, q), &answer)
		if between := answered.Load() - before; err != nil || between > 3 {
			t.Errorf("%v after %d of another caller", err, between)
		}
	}
	stop()
	<-attacked
}
