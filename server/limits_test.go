package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
)

// A panicking is a source that panics when switched on.
type panicking struct {
	*servertest.Source
	now chan struct{}
}

// Ready never closes, so that only calls read the state.
func (*panicking) Ready() <-chan struct{} { return nil }

func (p *panicking) State() (mirror.State, bool) {
	select {
	case <-p.now:
		panic("the engine met the impossible")
	default:
		return p.Source.State()
	}
}

// A panic fails only its call, shows the caller nothing internal, is logged with its stack and counted.
func TestP43Recovery(t *testing.T) {
	t.Parallel()
	source, log := &panicking{Source: synced(shop()...), now: make(chan struct{}, 1)}, &logBuffer{}
	r := start(t, source, func(c *server.Config) { c.Logger = log.logger() })
	source.now <- struct{}{}
	_, err := r.decisions().Allowed(soon(t), ask())
	want := details{Code: codes.Internal,
		Message: "internal error; this is a defect of netpold: its log has the stack"}
	if diff := cmp.Diff(want, detailsOf(t, status.Convert(err))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, part := range []string{"the engine met the impossible", "panicking).State",
		"method=/netpold.v1.DecisionService/Allowed"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log does not have %q:\n%s", part, log.String())
		}
	}
	if _, err := r.decisions().Allowed(soon(t), ask()); err != nil {
		t.Errorf("the next call: %v", err)
	}
	source.now <- struct{}{}
	batch := &netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{ask()}}
	_, err = r.decisions().BatchAllowed(soon(t), batch)
	if diff := cmp.Diff(want, detailsOf(t, status.Convert(err))); diff != "" {
		t.Errorf("a batch: -want +got:\n%s", diff)
	}
	if _, err := r.decisions().BatchAllowed(soon(t), batch); err != nil {
		t.Errorf("the next batch: %v", err)
	}
	exposition := metricsOf(t, r)
	expectMetrics(t, exposition, map[string]string{
		"netpold_panics_total": "2",
		`grpc_server_handled_total{grpc_code="Internal",grpc_method="Allowed",grpc_service="netpold.v1.DecisionService",grpc_type="unary"}`: "1",
	})
}

// Callers that give no deadline, or a longer one, get the server's; a shorter one stays.
func TestDeadlineCap(t *testing.T) {
	t.Parallel()
	source := &waitingSource{Source: synced(shop()...), waits: make(chan context.Context, 1)}
	r := start(t, source, func(c *server.Config) { c.MaxDeadline = time.Hour })
	for name, test := range map[string]struct{ asked, least, most time.Duration }{
		"none":    {0, 50 * time.Minute, time.Hour},
		"longer":  {48 * time.Hour, 50 * time.Minute, time.Hour},
		"shorter": {time.Minute, 0, time.Minute},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if test.asked > 0 {
			ctx, cancel = context.WithTimeout(t.Context(), test.asked)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := r.decisions().Allowed(ctx, atLeast("servertest:99"))
			ended <- err
		}()
		waiting := within(t, source.waits, "the call to wait")
		deadline, ok := waiting.Deadline()
		if left := time.Until(deadline); !ok || left < test.least || left > test.most {
			t.Errorf("%s: the call has %v left", name, left)
		}
		cancel()
		if err := within(t, ended, "the call to end"); status.Code(err) != codes.Canceled {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The cap is not only set but kept: a call that waits for ever ends by itself.
func TestDeadlineCapEndsACall(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.MaxDeadline = 200 * time.Millisecond })
	_, err := r.decisions().Allowed(t.Context(), atLeast("servertest:99"))
	if diff := cmp.Diff(notReached, detailsOf(t, status.Convert(err))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMessageLimit(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.MaxMessageBytes = 1024 })
	batch := &netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{ask()}}
	if _, err := r.decisions().BatchAllowed(soon(t), batch); err != nil {
		t.Errorf("a small message: %v", err)
	}
	for range 100 {
		batch.Questions = append(batch.Questions, ask())
	}
	if _, err := r.decisions().BatchAllowed(soon(t), batch); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a large message: %v", err)
	}
}

// The default limit has room for the largest batch of ordinary questions.
func TestLargestBatchFits(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	question := ask()
	question.Src = netpold.Labels("shop", map[string]string{
		"app.kubernetes.io/name": strings.Repeat("n", 63), "app.kubernetes.io/instance": strings.Repeat("i", 63),
		"app.kubernetes.io/version": "v1.2.3", "pod-template-hash": "7d9f8c6b5d", "app": "frontend",
	})
	batch := &netpoldv1.BatchAllowedRequest{}
	for range decisions.DefaultMaxBatch {
		batch.Questions = append(batch.Questions, question)
	}
	client, err := netpold.Dial(r.Addr(), netpold.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	response, err := client.BatchAllowed(soon(t), batch)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(response.GetAnswers()); n != decisions.DefaultMaxBatch {
		t.Errorf("%d answers", n)
	}
}

// Errors are logged at debug, with who asked what.
func TestErrorsAreLoggedAtDebug(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	r := start(t, synced(shop()...), func(c *server.Config) { c.Logger = log.logger() })
	_, err := r.decisions().Allowed(soon(t), &netpoldv1.AllowedRequest{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{
		"level=DEBUG", `msg="call failed"`, "method=/netpold.v1.DecisionService/Allowed", "peer=127.0.0.1:",
		"code=InvalidArgument",
		"src: is required",
	} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log does not have %q:\n%s", part, log.String())
		}
	}
}

// Tools find the services by reflection, those that know only its first version too.
func TestReflection(t *testing.T) {
	t.Parallel()
	r := start(t, synced(), nil)
	want := []string{
		"envoy.service.auth.v3.Authorization", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
		"grpc.reflection.v1alpha.ServerReflection",
		"netpold.v1.AuditService", "netpold.v1.DecisionService", "netpold.v1.StatusService",
	}
	for _, version := range []string{"v1", "v1alpha"} {
		if diff := cmp.Diff(want, services(t, r.conn, version)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", version, diff)
		}
	}
}

// services asks a version of reflection for the names of the services. The messages of both versions are
// alike on the wire.
func services(t *testing.T, conn *grpc.ClientConn, version string) []string {
	t.Helper()
	stream, err := conn.NewStream(soon(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
		"/grpc.reflection."+version+".ServerReflection/ServerReflectionInfo")
	if err != nil {
		t.Fatal(err)
	}
	request := &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}
	response := &reflectionv1.ServerReflectionResponse{}
	if err := errors.Join(stream.SendMsg(request), stream.CloseSend(), stream.RecvMsg(response)); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range response.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	return names
}
