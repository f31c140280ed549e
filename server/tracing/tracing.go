// Package tracing makes one span of OpenTelemetry of each call, and of each request of forward-auth (P46). A watch is
// one span, without an event for each answer. Health and reflection make none.
//
// Spans have names, codes and what was decided. They have nothing that a caller sent besides the trace to go on with:
// no metadata, header, query or message, and so no token.
//
// Whoever traces nothing makes no [Tracer], and then nothing of this package is on the way of a call.
package tracing

import (
	"context"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/proxied"
)

// The attributes of spans that are netpold's own.
const (
	Verdict    = attribute.Key("netpold.verdict")
	Reason     = attribute.Key("netpold.reason")
	Revision   = attribute.Key("netpold.revision")
	DecisionID = attribute.Key("netpold.decision_id")
)

// A Tracer makes spans. It is safe for concurrent use.
type Tracer struct {
	tracer trace.Tracer
	// caller reads the trace that a caller goes on with.
	caller propagation.TraceContext
}

// New returns a tracer whose spans are those of provider.
func New(provider trace.TracerProvider, version string) *Tracer {
	return &Tracer{tracer: provider.Tracer("github.com/netpold/netpold/server/tracing",
		trace.WithInstrumentationVersion(version), trace.WithSchemaURL(semconv.SchemaURL))}
}

// start starts a span in the trace of caller.
func (t *Tracer) start(ctx context.Context, caller propagation.TextMapCarrier, name string,
	attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	return t.tracer.Start(t.caller.Extract(ctx, caller), name, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attributes...))
}

// Outcome describes what a question of a proxy came to, in the span of ctx.
func (t *Tracer) Outcome(ctx context.Context, o *proxied.Outcome) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	reason := o.Reason()
	if o.Verdict() == proxied.Error && o.Failure != nil {
		reason = o.Failure.Reason
	}
	span.SetAttributes(DecisionID.String(o.DecisionID))
	describe(span, string(o.Verdict()), reason, o.Revision)
}

// describe writes a decision into a span. An empty reason and the revision 0 are none.
func describe(span trace.Span, verdict, reason string, revision uint64) {
	span.SetAttributes(Verdict.String(verdict))
	if reason != "" {
		span.SetAttributes(Reason.String(reason))
	}
	if revision != 0 {
		span.SetAttributes(revisionOf(revision))
	}
}

// revisionOf returns the attribute of a revision, which is text, as in JSON: there are no unsigned numbers.
func revisionOf(revision uint64) attribute.KeyValue {
	return Revision.String(strconv.FormatUint(revision, 10))
}

// describeResponse writes what a call came to into its span.
func describeResponse(span trace.Span, method string, response any, err error) {
	describeCode(span, err)
	switch method {
	case netpoldv1.DecisionService_Allowed_FullMethodName:
		if err != nil {
			describe(span, string(proxied.Error), reasonOf(err), 0)
		} else if answer, ok := response.(answer); ok {
			verdict := proxied.Denied
			if answer.GetAllowed() {
				verdict = proxied.Allowed
			}
			describe(span, string(verdict), strings.TrimPrefix(answer.GetReason().String(), "REASON_"), answer.GetRevision())
		}
	case netpoldv1.DecisionService_BatchAllowed_FullMethodName:
		if batch, ok := response.(interface{ GetRevision() uint64 }); ok && err == nil {
			span.SetAttributes(revisionOf(batch.GetRevision()))
		}
	}
}

// An answer is an AllowedResponse, as a message or in its wire form.
type answer interface {
	GetAllowed() bool
	GetReason() netpoldv1.Reason
	GetRevision() uint64
}

// describeCode writes the code of a call into its span. The span failed if the fault is the server's. The error's
// message is left out: it repeats what the caller sent.
func describeCode(span trace.Span, err error) {
	name := code.Code(status.Code(err)).String()
	span.SetAttributes(semconv.RPCResponseStatusCode(name))
	switch code.Code(status.Code(err)) {
	case code.Code_UNKNOWN, code.Code_DEADLINE_EXCEEDED, code.Code_UNIMPLEMENTED, code.Code_INTERNAL,
		code.Code_UNAVAILABLE, code.Code_DATA_LOSS:
		span.SetStatus(codes.Error, name)
	default:
	}
}

// reasonOf returns the reason of an error's ErrorInfo; "" without one.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}
