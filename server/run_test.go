package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// A clock replaces time.After: the test gets each wait and says when it is over.
type clock struct{ waits chan wait }

type wait struct {
	d    time.Duration
	over chan time.Time
}

func newClock() *clock { return &clock{waits: make(chan wait, 2)} }

func (c *clock) after(d time.Duration) <-chan time.Time {
	w := wait{d: d, over: make(chan time.Time)}
	c.waits <- w
	return w.over
}

// A gated is a source whose State blocks while it is shut.
type gated struct {
	*servertest.Source
	shut    chan struct{}
	waiting chan struct{}
	open    chan struct{}
}

func newGated() *gated {
	return &gated{
		Source: synced(shop()...), shut: make(chan struct{}), waiting: make(chan struct{}, 1),
		open: make(chan struct{}),
	}
}

func (g *gated) State() (mirror.State, bool) {
	select {
	case <-g.shut:
		g.waiting <- struct{}{}
		<-g.open
	default:
	}
	return g.Source.State()
}

// A waitingSource reports when a call begins to wait for its token.
type waitingSource struct {
	mirror.Source
	waits chan context.Context
}

func (w *waitingSource) Wait(ctx context.Context, token string) (mirror.State, error) {
	w.waits <- ctx
	return w.Source.Wait(ctx, token)
}

func drained(c *server.Config) {
	c.DrainDelay, c.DrainTimeout = 3*time.Second, 15*time.Second
}

// The drain: health first, calls still answered during the delay, then streams and waits end, then calls in
// progress get their time, and the admin pages go last.
func TestP45DrainOrder(t *testing.T) {
	t.Parallel()
	clock, gate := newClock(), newGated()
	source := &waitingSource{Source: gate, waits: make(chan context.Context, 1)}
	r := startWith(t, source, drained, func(s *server.Server) { server.SetAfter(s, clock.after) })

	watch, err := healthv1.NewHealthClient(r.conn).Watch(soon(t), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for got := notServing; got != serving; {
		response, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		got = response.GetStatus()
	}
	tokenWait := allowedLater(t, r, atLeast("servertest:99"))
	within(t, source.waits, "the call to wait for its token")

	r.stop()
	delay := within(t, clock.waits, "the drain delay")
	if delay.d != 3*time.Second {
		t.Errorf("the first wait is %v", delay.d)
	}
	// 1. Health says so, on gRPC and HTTP.
	nextHealth(t, watch, notServing)
	if code, body := get(t, r, "/readyz"); code != http.StatusServiceUnavailable ||
		body != "not ready: the server is shutting down\n" {
		t.Errorf("/readyz: %d %q", code, body)
	}
	// 2. Calls are still answered, on new connections too, and those that wait still wait.
	if _, err := netpoldv1.NewDecisionServiceClient(r.dial(t)).Allowed(soon(t), ask()); err != nil {
		t.Errorf("during the delay: %v", err)
	}
	select {
	case o := <-tokenWait:
		t.Errorf("a call ended during the delay: %v", o.err)
	default:
	}
	close(gate.shut)
	inProgress := allowedLater(t, r, ask())
	within(t, gate.waiting, "a call to be in progress")
	close(delay.over)

	// 3. Streams and waits end.
	want := details{
		Code: codes.Unavailable, Reason: "SHUTTING_DOWN", Retry: time.Second,
		Message: "the server is shutting down; retry on another connection",
	}
	_, err = watch.Recv()
	if diff := cmp.Diff(want, detailsOf(t, status.Convert(err))); diff != "" {
		t.Errorf("the stream: -want +got:\n%s", diff)
	}
	want.Message = "at_least: " + want.Message
	if diff := cmp.Diff(want, detailsOf(t,
		status.Convert(within(t, tokenWait, "the waiting call to end").err))); diff != "" {
		t.Errorf("the waiting call: -want +got:\n%s", diff)
	}
	// 4. Calls in progress get their time, 5. while the admin pages still answer.
	timeout := within(t, clock.waits, "the drain timeout")
	if timeout.d != 15*time.Second {
		t.Errorf("the second wait is %v", timeout.d)
	}
	if code, _ := get(t, r, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
	close(gate.open)
	if o := within(t, inProgress, "the call in progress to end"); o.err != nil || !o.response.GetAllowed() {
		t.Errorf("the call in progress: %v, %v", o.response, o.err)
	}
	if err := r.wait(t); err != nil {
		t.Errorf("Run: %v", err)
	}
	for _, address := range []string{r.Addr(), r.AdminAddr()} {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			t.Errorf("%s is still listened on", address)
		}
	}
}

// A call that is still in progress when the drain's time is over is cut.
func TestP45DrainTimeoutCutsCalls(t *testing.T) {
	t.Parallel()
	clock, gate := newClock(), newGated()
	r := startWith(t, gate, func(c *server.Config) { c.DrainTimeout = 15 * time.Second },
		func(s *server.Server) {
			server.SetAfter(s, clock.after)
		})
	close(gate.shut)
	inProgress := allowedLater(t, r, ask())
	within(t, gate.waiting, "a call to be in progress")
	r.stop()
	close(within(t, clock.waits, "the drain timeout").over)
	if o := within(t, inProgress, "the call to be cut"); status.Code(o.err) != codes.Unavailable {
		t.Errorf("the call: %v, %v", o.response, o.err)
	}
	close(gate.open)
	if err := r.wait(t); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// Stop cuts the drain delay short.
func TestStopDuringTheDrain(t *testing.T) {
	t.Parallel()
	clock := newClock()
	r := startWith(t, synced(), drained, func(s *server.Server) { server.SetAfter(s, clock.after) })
	r.stop()
	within(t, clock.waits, "the drain delay")
	r.Stop()
	if err := r.wait(t); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// Stop closes the ports of a server that never ran, and of one that did.
func TestStopFreesThePorts(t *testing.T) {
	t.Parallel()
	config := server.Defaults()
	config.Source = synced()
	config.Listen, config.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s.Stop()
	for _, address := range []string{s.Addr(), s.AdminAddr()} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		_ = listener.Close()
	}
	if err := s.Run(t.Context()); err != nil {
		t.Errorf("Run after Stop: %v", err)
	}
}

type outcome struct {
	response *netpoldv1.AllowedResponse
	err      error
}

// allowedLater asks a question, and returns a channel for the outcome.
func allowedLater(t *testing.T, r *running, question *netpoldv1.AllowedRequest) <-chan outcome {
	ctx := soon(t)
	outcomes := make(chan outcome, 1)
	go func() {
		response, err := r.decisions().Allowed(ctx, question)
		outcomes <- outcome{response, err}
	}()
	return outcomes
}

// get reads an admin page.
func get(t *testing.T, r *running, path string) (code int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Get("http://" + r.AdminAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// A listener that fails under the server ends Run with the reason.
func TestRunReturnsWhyItCouldNotServe(t *testing.T) {
	t.Parallel()
	config := server.Defaults()
	config.Source = synced()
	config.Listen, config.AdminListen, config.DrainDelay = "127.0.0.1:0", "", 0
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if s.AdminAddr() != "" {
		t.Errorf("the admin pages are off, at %s", s.AdminAddr())
	}
	server.CloseListener(s)
	err = s.Run(t.Context())
	if !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "serving gRPC on "+s.Addr()) {
		t.Errorf("%v", err)
	}
}
