package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/netpold/netpold/cmd/cli"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// serveOn serves source at an address until stop is called, which drains.
func serveOn(
	t *testing.T, source *servertest.Source, addr string, change ...func(*server.Config),
) (at string, stop func()) {
	t.Helper()
	settings := server.Defaults()
	settings.Source, settings.Listen, settings.AdminListen, settings.DrainDelay = source, addr, "", 0
	for _, apply := range change {
		apply(&settings)
	}
	s, err := server.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s.Addr(), func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// P25: when the server goes, a watch says so and resumes by itself. What changed meanwhile is printed once, and nothing
// else is printed again.
func TestP25WatchResumes(t *testing.T) {
	t.Parallel()
	source := servertest.NewSource()
	webPod := engine.Change{Object: &engine.Pod{Namespace: "shop", Name: "web-0"}}
	source.Apply(engine.Change{Object: &engine.Namespace{Name: "shop"}})
	addr, stop := serveOn(t, source, "127.0.0.1:0")
	questions := `{"src":{"pod":{"namespace":"shop","name":"web-0"}},"dst":{"ip":"192.0.2.2"},"port":80}` + "\n" +
		`{"src":{"ip":"192.0.2.1"},"dst":{"ip":"192.0.2.2"},"port":80}` + "\n"

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		ended <- cli.Run(ctx, []string{"watch", "--server", addr, "-f", "-"}, strings.NewReader(questions), in, &stderr, nil)
		in.Close() //nolint:errcheck // always nil
	}()
	type line struct {
		ID       int
		Response *struct{ Revision string }
	}
	decoder := json.NewDecoder(out)
	next := func(id int, answered bool, when string) {
		t.Helper()
		var got line
		if err := decoder.Decode(&got); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if got.ID != id || (got.Response != nil) != answered {
			t.Errorf("%s: %+v, want question %d, answered %v", when, got, id, answered)
		}
	}
	next(1, false, "at first")
	next(2, true, "at first")

	stop()
	source.Apply(webPod)
	_, stop = serveOn(t, source, addr)
	next(1, true, "after a restart and a change")

	stop()
	webPod.Delete = true
	source.Apply(webPod)
	_, stop = serveOn(t, source, addr)
	next(1, false, "after another")
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d", code)
	}
	stop()
	if n := strings.Count(stderr.String(), "resuming in "); n < 2 || !strings.Contains(stderr.String(), "the server is shutting down") {
		t.Errorf("%d notices of resuming:\n%s", n, &stderr)
	}
}

// P23, P25: a server that takes fewer questions in one request than the command sends is asked in smaller ones.
func TestP25WatchInSmallRequests(t *testing.T) {
	t.Parallel()
	source := servertest.NewSource()
	source.Apply(engine.Change{Object: &engine.Namespace{Name: "shop"}})
	addr, stop := serveOn(t, source, "127.0.0.1:0", func(c *server.Config) { c.MaxBatch = 2 })
	defer stop()
	questions := strings.Repeat(`{"src":{"ip":"192.0.2.1"},"dst":{"ip":"192.0.2.2"},"port":80}`+"\n", 5)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	args := []string{"watch", "--server", addr, "--once", "-f", "-"}
	code := cli.Run(ctx, args, strings.NewReader(questions), &stdout, &stderr, nil)
	if n := strings.Count(stdout.String(), "\n"); code != 0 || n != 5 {
		t.Errorf("exit %d, %d lines:\n%s%s", code, n, &stdout, &stderr)
	}
}
