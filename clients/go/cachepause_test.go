//go:build unix

package netpold_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

// pausedServer is the environment variable that makes the test's own program the one that is paused.
const pausedServer = "NETPOLD_TEST_PAUSED_SERVER"

// pausedMaxAge is the MaxAge of the process that is paused.
const pausedMaxAge = 300 * time.Millisecond

// askForEver prints answers of a client with a cache, and when each was asked for. It is a process of its own.
func askForEver(address string) {
	client, err := netpold.Dial(address, netpold.WithInsecure(), netpold.WithCache(netpold.CacheConfig{
		MaxAge: pausedMaxAge, Heartbeat: 100 * time.Millisecond,
	}))
	if err != nil {
		panic(err)
	}
	for {
		asked := time.Now()
		answer, err := client.Allowed(context.Background(), cartOn(8080))
		if err != nil {
			panic(err)
		}
		fmt.Println(answer.GetAllowed(), asked.UnixNano(), client.CacheStats().Hits) //nolint:forbidigo // to the parent
	}
}

// A process that was paused while heartbeats and a denial waited in its buffers does not answer from what it
// remembers when it goes on.
func TestP27PausedProcess(t *testing.T) {
	if address := os.Getenv(pausedServer); address != "" {
		askForEver(address)
	}
	t.Parallel()
	server := servertest.Start(t, shop()...)
	server.Apply(cartFrom(8000))
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestP27PausedProcess$")
	child.Env = append(os.Environ(), pausedServer+"="+server.Addr())
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}()
	lines := bufio.NewScanner(out)
	next := func() (allowed bool, asked time.Time, hits int) {
		var nanos int64
		if !lines.Scan() {
			t.Fatalf("the process ended: %v", lines.Err())
		} else if _, err := fmt.Sscan(lines.Text(), &allowed, &nanos, &hits); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		return allowed, time.Unix(0, nanos), hits
	}
	for range 5 {
		for allowed, _, hits := next(); !allowed || hits == 0; allowed, _, hits = next() {
		}
		if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		heartbeats(t, server, 2) // so that it has stopped
		server.Apply(cartFrom(9000))
		closed := time.Now()
		heartbeats(t, server, 6) // longer than MaxAge
		if err := child.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		for allowed, asked, _ := next(); allowed; allowed, asked, _ = next() { // many are from before
			if asked.After(closed.Add(pausedMaxAge)) {
				t.Errorf("allowed %v after it was denied", asked.Sub(closed))
			}
		}
		server.Apply(cartFrom(8000))
	}
}

// heartbeats waits for some heartbeats of 0.1 s of the server.
func heartbeats(t *testing.T, server *servertest.Instance, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	watch, err := server.Client().Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Send(&netpoldv1.WatchAllowedRequest{Heartbeat: durationpb.New(100 * time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	for range n + 1 {
		if _, err := watch.Recv(); err != nil {
			t.Fatal(err)
		}
	}
}
