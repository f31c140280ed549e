package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/netpold/netpold/bench/synthetic"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// callers is how many callers share a connection when a server is kept as busy as it can be.
const callers = 32

// measureLog measures how many calls of Allowed a server answers that writes each to its decision log, and one without, in
// turns, and prints a table. The callers wait for each answer, so that the rate is the most that client and server manage.
func measureLog(
	ctx context.Context, s settings, dir, manifests string, c *synthetic.Cluster, questions []question, stdout, stderr io.Writer,
) error {
	ways := []struct {
		name  string
		flags []string
		srv   *server
		// rate is the best of all turns, in calls a second, and cpu the least that the server took for a call.
		rate float64
		cpu  time.Duration
	}{
		{name: "without"},
		{name: "with `--decision-log` to a file", flags: []string{"--decision-log", filepath.Join(dir, "decisions")}},
	}
	for i := range ways {
		srv, err := startServer(ctx, s.netpold, manifests, ways[i].flags...)
		if err != nil {
			return err
		}
		defer srv.stop()
		if err := verify(ctx, srv.addr, c, questions); err != nil {
			return errors.Join(srv.ended(), err)
		}
		ways[i].srv = srv
	}
	for turn := range s.logRounds {
		for i := range ways {
			w := &ways[(i+turn)%len(ways)] // who is first in one turn is last in the next
			r, err := busyStep(ctx, s, w.srv, questions)
			if err != nil {
				return errors.Join(w.srv.ended(), err)
			}
			cpu := time.Duration(r.cores / r.achieved * float64(time.Second))
			fmt.Fprintf(stderr, "%s: %s calls/s, %v of the server's CPU a call\n", w.name, thousands(r.achieved), cpu)
			w.rate = max(w.rate, r.achieved)
			if w.cpu == 0 || cpu < w.cpu {
				w.cpu = cpu
			}
		}
	}
	fmt.Fprintf(stdout, "%v, %d turns of %v, %d connections of %d callers, client and server on the same %d CPUs. The best of all "+
		"turns.\n\n", s.size, s.logRounds, s.step, s.connections, callers, runtime.NumCPU())
	fmt.Fprintln(stdout, "| Allowed | calls/s | over without | server CPU a call | without, over it |\n|---|---|---|---|---|")
	for i := range ways {
		w, without := &ways[i], &ways[0]
		fmt.Fprintf(stdout, "| %s | %s | %.2f | %.1f us | %.2f |\n", w.name, thousands(w.rate), w.rate/without.rate,
			float64(w.cpu)/float64(time.Microsecond), float64(without.cpu)/float64(w.cpu))
	}
	return nil
}

// busyStep asks as fast as answers come for as long as s says.
func busyStep(ctx context.Context, s settings, srv *server, questions []question) (r row, err error) {
	var clients []netpoldv1.DecisionServiceClient
	for range s.connections {
		conn, err := grpc.NewClient(srv.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return r, err
		}
		defer func() { _ = conn.Close() }() // all its calls have ended
		clients = append(clients, netpoldv1.NewDecisionServiceClient(conn))
	}
	before, err := srv.usage(ctx)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var answered atomic.Int64
	start := time.Now()
	for i := range callers * len(clients) {
		group.Go(func() {
			n := int64(0)
			defer func() { answered.Add(n) }()
			for next := i; ctx.Err() == nil && time.Since(start) < s.step; next++ {
				if _, err := clients[i%len(clients)].Allowed(ctx, requestOf(questions[next%len(questions)])); err != nil {
					cancel(err)
					return
				}
				n++
			}
		})
	}
	group.Wait()
	took := time.Since(start)
	if err := context.Cause(ctx); err != nil {
		return r, err
	}
	after, err := srv.usage(ctx)
	if err != nil {
		return r, err
	}
	r.achieved = float64(answered.Load()) / took.Seconds()
	r.cores, r.resident = after.coresSince(before), after.resident
	return r, nil
}
