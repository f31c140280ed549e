package extauthz_test

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/server"
)

// A spans keeps the spans that end.
type spans struct {
	sdktrace.SpanProcessor // a nil one: nothing is flushed
	ended                  chan sdktrace.ReadOnlySpan
}

func (s *spans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (s *spans) OnEnd(span sdktrace.ReadOnlySpan)                { s.ended <- span }

// P46: a Check is one span, in the trace of Envoy, with what its dynamic metadata say.
func TestP46Span(t *testing.T) {
	t.Parallel()
	kept := &spans{ended: make(chan sdktrace.ReadOnlySpan, 10)}
	d := open(t, func(c *server.Config) {
		c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(kept))
	})
	for _, test := range []struct {
		src  string
		want map[string]string
	}{
		{"10.0.0.1", map[string]string{"netpold.verdict": "allowed", "netpold.reason": "ALLOWED_BY_RULE",
			"netpold.revision": "1"}},
		{"10.0.0.3", map[string]string{"netpold.verdict": "denied", "netpold.reason": "DENIED_AT_INGRESS",
			"netpold.revision": "1"}},
		{"127.0.0.1", map[string]string{"netpold.verdict": "error", "netpold.revision": "1",
			"rpc.response.status_code": "INVALID_ARGUMENT"}},
	} {
		md := []string{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
		req := tcp(test.src, "10.0.0.2", 8080)
		var inMetadata any
		if test.want["netpold.verdict"] == "error" {
			if failed := d.failed(t, req, md...); failed.code != codes.InvalidArgument {
				t.Errorf("%v", failed)
			}
		} else {
			_, metadata := d.answer(t, req, md...)
			inMetadata = metadata["decision_id"]
		}
		span, got := <-kept.ended, map[string]string{}
		for _, a := range span.Attributes() {
			got[string(a.Key)] = a.Value.String()
		}
		for key, value := range test.want {
			if got[key] != value {
				t.Errorf("%s: %s is %q, want %q", test.src, key, got[key], value)
			}
		}
		if id := got["netpold.decision_id"]; len(id) != 32 || inMetadata != nil && inMetadata != id {
			t.Errorf("%s: the id in the span is %q, in the metadata %v", test.src, id, inMetadata)
		}
		if span.Name() != "envoy.service.auth.v3.Authorization/Check" ||
			span.Parent().SpanID().String() != "00f067aa0ba902b7" {
			t.Errorf("%s: %s below %v", test.src, span.Name(), span.Parent())
		}
	}
}
