package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/bench/synthetic"
	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// question is one by IP, over TCP.
type question = netpold.Question

// questionCount is how many different questions there are: they are asked again and again.
const questionCount = 1024

// newQuestions are between any two Pods, the same for every run.
func newQuestions(c *synthetic.Cluster) []question {
	rng := rand.New(rand.NewPCG(4, 4))
	ip := func() netip.Addr { return c.Pods[rng.IntN(len(c.Pods))].IPs[0] }
	list := make([]question, questionCount)
	for i := range list {
		list[i] = question{Src: ip(), Dst: ip(), Port: []uint16{8080, 8080, 9090, 5432}[rng.IntN(4)]}
	}
	return list
}

// requestOf is a question as Allowed takes it.
func requestOf(q question) *netpoldv1.AllowedRequest {
	end := func(ip netip.Addr) *netpoldv1.Endpoint {
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: ip.String()}}
	}
	return &netpoldv1.AllowedRequest{Src: end(q.Src), Dst: end(q.Dst), Port: uint32(q.Port)}
}

// batchesOf are batches of n, beginning at different questions.
func batchesOf(questions []question, n int) []*netpoldv1.BatchAllowedRequest {
	const batches = 16
	list := make([]*netpoldv1.BatchAllowedRequest, batches)
	for i := range list {
		list[i] = &netpoldv1.BatchAllowedRequest{}
		for j := range n {
			q := questions[(i*len(questions)/batches+j)%len(questions)]
			list[i].Questions = append(list[i].Questions, requestOf(q))
		}
	}
	return list
}

// verify asks all questions once, and fails where the server does not answer as the engine does: then it does not serve the
// cluster that is meant, and its speed says nothing.
func verify(ctx context.Context, addr string, c *synthetic.Cluster, questions []question) (err error) {
	held := engine.NewCluster(engine.Options{})
	snapshot := held.Apply(c.Changes()...)
	client, err := netpold.Dial(addr, netpold.WithInsecure())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	next := 0
	for verdict, err := range client.AllowedMany(ctx, slices.Values(questions)) {
		if err != nil {
			return err
		}
		q := questions[next]
		next++
		if verdict.Err != nil {
			return verdict.Err
		}
		want, err := snapshot.Allowed(engine.Query{Src: engine.ByIP(q.Src), Dst: engine.ByIP(q.Dst), Port: q.Port})
		if err != nil {
			return err
		}
		if verdict.Allowed != want.Allowed {
			return fmt.Errorf("%v to %v port %d is answered %t, though the cluster makes it %t: the manifests written are not the cluster",
				q.Src, q.Dst, q.Port, verdict.Allowed, want.Allowed)
		}
	}
	if next != len(questions) {
		return fmt.Errorf("%d of %d questions were answered", next, len(questions))
	}
	return nil
}
