// Package door opens doors of netpold to tests: a server of one snapshot, and the command.
package door

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/netpold/netpold/cmd/cli"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/manifests"
	"github.com/netpold/netpold/server"
)

// Serve starts a server of one snapshot, which reads overlays as files are read, and returns its address. It
// stops when the test ends, after what was given to [Close] later.
func Serve(t *testing.T, snapshot *engine.Snapshot) (addr string) {
	t.Helper()
	return start(t, still{snapshotState(snapshot)}, "").Addr()
}

// ServeSource is [Serve] of a source whose states change.
func ServeSource(t *testing.T, source mirror.Source) (addr string) {
	t.Helper()
	return start(t, source, "").Addr()
}

// ServeProxies is [Serve] with forward-auth, whose address it also returns.
func ServeProxies(t *testing.T, snapshot *engine.Snapshot) (addr, forwardAuth string) {
	t.Helper()
	s := start(t, still{snapshotState(snapshot)}, "127.0.0.1:0")
	return s.Addr(), s.ForwardAuthAddr()
}

func snapshotState(s *engine.Snapshot) mirror.State {
	return mirror.State{Snapshot: s, Token: "still:1", Published: time.Unix(1_750_000_000, 0)}
}

func start(t *testing.T, source mirror.Source, forwardAuth string) *server.Server {
	t.Helper()
	config := server.Defaults()
	config.Source = source
	config.Listen, config.AdminListen, config.DrainDelay = "127.0.0.1:0", "", 0
	config.ForwardAuthListen = forwardAuth
	config.Overlay = func(base *engine.Snapshot, o *mirror.Overlay) ([]engine.Change, []mirror.OverlayProblem, error) {
		return manifests.ReadOverlay(base, o, manifests.Options{})
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// Close closes c when the test ends.
func Close(t *testing.T, c io.Closer) {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Command runs the command in this process.
func Command(ctx context.Context, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = cli.Run(ctx, args, strings.NewReader(stdin), &out, &errs, nil)
	return code, out.String(), errs.String()
}

// still is a source whose state never changes.
type still struct{ state mirror.State }

func (s still) State() (mirror.State, bool) { return s.state, true }

func (s still) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

func (s still) Wait(context.Context, string) (mirror.State, error) { return s.state, nil }

func (s still) Stale() (bool, <-chan struct{}) { return false, nil }

func (s still) Changed() <-chan struct{} { return nil }

func (s still) Status() mirror.Status { return mirror.Status{Source: "test", Ready: true} }
