package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
	traceparent  = "00-" + callersTrace + "-" + callersSpan + "-01"
)

// A spans keeps the spans that a server makes.
type spans struct {
	sdktrace.SpanProcessor // a nil one: nothing is flushed
	started                atomic.Int32
	ended                  chan sdktrace.ReadOnlySpan
}

func (s *spans) OnStart(context.Context, sdktrace.ReadWriteSpan) { s.started.Add(1) }
func (s *spans) OnEnd(span sdktrace.ReadOnlySpan)                { s.ended <- span }

// traced sets a provider whose spans are kept.
func traced(c *server.Config) *spans {
	s := &spans{ended: make(chan sdktrace.ReadOnlySpan, 100)}
	c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s))
	return s
}

// next waits for the next span that ends, which may be after its answer is sent.
func (s *spans) next(t *testing.T) sdktrace.ReadOnlySpan {
	t.Helper()
	return within(t, s.ended, "a span")
}

// attributes returns the attributes of a span by key, as text.
func attributes(span sdktrace.ReadOnlySpan) map[string]string {
	all := map[string]string{}
	for _, a := range span.Attributes() {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

// startTraced serves all ports, the HTTP one too, with spans and a decision log.
func startTraced(t *testing.T, source mirror.Source, change func(*server.Config)) (*running, *spans) {
	t.Helper()
	var kept *spans
	r := start(t, source, func(c *server.Config) {
		kept = traced(c)
		c.ForwardAuthListen, c.TrustedProxies = "127.0.0.1:0", "127.0.0.0/8"
		if change != nil {
			change(c)
		}
	})
	return r, kept
}

// P46: one span a call, in the caller's trace, with the verdict, the reason, the revision and the id of the decision.
func TestP46OneSpanACall(t *testing.T) {
	t.Parallel()
	r, kept := startTraced(t, synced(shop()...), func(c *server.Config) {
		c.DecisionLog, c.Stdout = "-", &logBuffer{}
	})
	httpClient := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	denied := ask()
	denied.Port = 8081
	allowed := func(q *netpoldv1.AllowedRequest) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			_, err := r.decisions().Allowed(ctx, q)
			return "", err
		}
	}
	tests := map[string]struct {
		call   func(ctx context.Context) (id string, err error)
		span   string
		want   map[string]string
		status codes.Code
		noID   bool
	}{
		"Allowed, allowed": {call: allowed(ask()), span: "netpold.v1.DecisionService/Allowed", want: map[string]string{
			"netpold.verdict": "allowed", "netpold.reason": "ALLOWED_BY_RULE", "netpold.revision": "1",
			"rpc.response.status_code": "OK", "rpc.system.name": "grpc",
		}},
		"Allowed, denied": {call: allowed(denied), span: "netpold.v1.DecisionService/Allowed", want: map[string]string{
			"netpold.verdict": "denied", "netpold.reason": "DENIED_AT_INGRESS", "netpold.revision": "1",
		}},
		"Allowed, wrong": {call: allowed(&netpoldv1.AllowedRequest{}), span: "netpold.v1.DecisionService/Allowed",
			want: map[string]string{"netpold.verdict": "error", "rpc.response.status_code": "INVALID_ARGUMENT"}},
		"batch": {span: "netpold.v1.DecisionService/BatchAllowed", want: map[string]string{"netpold.revision": "1"},
			call: func(ctx context.Context) (string, error) {
				_, err := r.decisions().BatchAllowed(ctx, &netpoldv1.BatchAllowedRequest{
					Questions: []*netpoldv1.AllowedRequest{ask(), denied}})
				return "", err
			}},
		"forward-auth": {span: "GET /authz", want: map[string]string{
			"netpold.verdict": "denied", "netpold.reason": "DENIED_AT_INGRESS", "netpold.revision": "1",
			"http.response.status_code": "403", "http.request.method": "GET", "http.route": "/authz",
		}, call: func(ctx context.Context) (string, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet,
				"http://"+r.ForwardAuthAddr()+"/authz/x?dst=shop/cart-0&port=8081&src=10.0.1.4", nil)
			if err != nil {
				return "", err
			}
			req.Header.Set("Traceparent", traceparent)
			response, err := httpClient.Do(req)
			if err != nil {
				return "", err
			}
			return response.Header.Get("X-Netpold-Decision-Id"), response.Body.Close()
		}},
		"status": {span: "netpold.v1.StatusService/GetStatus", noID: true, call: func(ctx context.Context) (string, error) {
			_, err := netpoldv1.NewStatusServiceClient(r.conn).GetStatus(ctx, &netpoldv1.GetStatusRequest{})
			return "", err
		}},
	}
	for name, test := range tests {
		id, err := test.call(metadata.AppendToOutgoingContext(soon(t), "traceparent", traceparent))
		if err != nil && !strings.HasSuffix(name, "wrong") {
			t.Fatalf("%s: %v", name, err)
		}
		span := kept.next(t)
		got := attributes(span)
		for key, value := range test.want {
			if got[key] != value {
				t.Errorf("%s: %s is %q, want %q", name, key, got[key], value)
			}
		}
		if given := got["netpold.decision_id"]; !test.noID && len(given) != 32 || id != "" && given != id {
			t.Errorf("%s: the id in the span is %q, the caller's %q", name, given, id)
		}
		if span.Name() != test.span || span.SpanKind() != trace.SpanKindServer ||
			span.Parent().SpanID().String() != callersSpan || span.SpanContext().TraceID().String() != callersTrace ||
			span.Status().Code != test.status {
			t.Errorf("%s: %s %v of %v, status %v", name, span.Name(), span.SpanKind(), span.Parent(), span.Status())
		}
	}
	if started, calls := kept.started.Load(), int32(len(tests)); started != calls {
		t.Errorf("%d spans of %d calls", started, calls)
	}
}

// P46: a server that cannot answer fails its spans; what the caller did wrong does not.
func TestP46FailedSpans(t *testing.T) {
	t.Parallel()
	r, kept := startTraced(t, servertest.NewSource(), nil)
	if _, err := r.decisions().Allowed(soon(t), ask()); err == nil {
		t.Fatal("it is answered before the first sync")
	}
	span := kept.next(t)
	if got := attributes(span); span.Status().Code != codes.Error || got["netpold.reason"] != "NOT_SYNCED" ||
		got["netpold.verdict"] != "error" || got["rpc.response.status_code"] != "UNAVAILABLE" {
		t.Errorf("%v, %v", span.Status(), got)
	}
	response, err := http.Get("http://" + r.ForwardAuthAddr() + "/authz?dst=shop/cart-0&port=80&src=10.0.1.4")
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	defer response.Body.Close()
	span = kept.next(t)
	if got := attributes(span); span.Status().Code != codes.Error || got["netpold.reason"] != "NOT_SYNCED" ||
		got["http.response.status_code"] != "503" || span.Parent().IsValid() {
		t.Errorf("%v, %v, parent %v", span.Status(), got, span.Parent())
	}
}

// P46: health and reflection make no span, by gRPC and by HTTP.
func TestP46HealthMakesNoSpan(t *testing.T) {
	t.Parallel()
	r, kept := startTraced(t, synced(shop()...), nil)
	if _, err := healthv1.NewHealthClient(r.conn).Check(soon(t), &healthv1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	watch, err := healthv1.NewHealthClient(r.conn).Watch(soon(t), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	about, err := reflectionv1.NewServerReflectionClient(r.conn).ServerReflectionInfo(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := about.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := about.Recv(); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get("http://" + r.ForwardAuthAddr() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	response.Body.Close() //nolint:errcheck // it was only read
	if _, err := r.decisions().Allowed(soon(t), ask()); err != nil {
		t.Fatal(err)
	}
	if span := kept.next(t); !strings.HasSuffix(span.Name(), "/Allowed") || kept.started.Load() != 1 {
		t.Errorf("%d spans were started, the first to end is of %s", kept.started.Load(), span.Name())
	}
}

// P46: a watch is one span, however many answers it has, without events.
func TestP46WatchIsOneSpan(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	r, kept := startTraced(t, source, func(c *server.Config) { c.DecisionLog, c.Stdout = "-", &logBuffer{} })
	ctx, end := context.WithCancel(soon(t))
	watch, err := r.decisions().WatchAllowed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Send(&netpoldv1.WatchAllowedRequest{
		Add: []*netpoldv1.WatchQuestion{{Id: 1, Question: ask()}}}); err != nil {
		t.Fatal(err)
	}
	for answers := 0; answers < 5; {
		response, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for range response.GetAnswers() {
			if answers++; answers%2 == 1 {
				source.Apply(engine.Change{Object: allowCart(), Delete: true})
			} else {
				source.Apply(upserts(shop())...)
			}
		}
	}
	if len(kept.ended) != 0 {
		t.Error("its span ended before it")
	}
	end()
	span := kept.next(t)
	if !strings.HasSuffix(span.Name(), "/WatchAllowed") || len(span.Events()) != 0 ||
		len(attributes(span)["netpold.decision_id"]) != 32 || kept.started.Load() != 1 {
		t.Errorf("%s with %v and %d events, one of %d", span.Name(), attributes(span), len(span.Events()),
			kept.started.Load())
	}
}

// P37, P46: spans have nothing that a caller sent: no token, no query, no message of an error.
func TestP46NoTokenInSpans(t *testing.T) {
	t.Parallel()
	const secret = "TOKEN-s3cret"
	reviews := newReviewer()
	var kept *spans
	r := startReviewed(t, reviews, &logBuffer{}, func(c *server.Config) {
		kept = traced(c)
		c.ForwardAuthListen = "127.0.0.1:0"
	})
	ctx := metadata.AppendToOutgoingContext(with(soon(t), "Bearer "+secret), "tracestate", "a="+secret)
	if _, err := r.decisions().Allowed(ctx, ask()); err == nil {
		t.Fatal("an unknown caller is answered")
	}
	req, err := http.NewRequestWithContext(soon(t), secret, "http://"+r.ForwardAuthAddr()+
		"/authz/"+secret+"?dst="+secret+"&port=80&src="+secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Traceparent", "00-"+secret)
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	response.Body.Close() //nolint:errcheck // it was only read
	for range 2 {
		span := kept.next(t)
		if text := fmt.Sprintf("%s %v %v %v", span.Name(), span.Attributes(), span.Status(), span.Events()); strings.Contains(text, "s3cret") {
			t.Errorf("a span has the token: %s", text)
		}
	}
}
