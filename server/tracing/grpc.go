package tracing

import (
	"context"
	"maps"
	"slices"
	"strings"

	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/netpold/netpold/server/internal/decisionid"
)

// ServerOptions returns the interceptors of a server, which are to be its outermost ones.
func (t *Tracer) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(t.unary), grpc.ChainStreamInterceptor(t.stream)}
}

// untraced reports whether calls of a method make no span: those of health and reflection.
func untraced(method string) bool {
	return strings.HasPrefix(method, "/"+healthv1.Health_ServiceDesc.ServiceName+"/") ||
		strings.HasPrefix(method, "/grpc.reflection.")
}

// startCall starts the span of a call, and lets it see the id of the decision.
func (t *Tracer) startCall(ctx context.Context, method string) (context.Context, trace.Span) {
	md, _ := metadata.FromIncomingContext(ctx)
	name := strings.TrimPrefix(method, "/")
	ctx, span := t.start(ctx, carrier(md), name, semconv.RPCSystemNameGRPC, semconv.RPCMethod(name))
	if !span.IsRecording() {
		return ctx, span
	}
	if of := grpc.ServerTransportStreamFromContext(ctx); of != nil {
		ctx = grpc.NewContextWithServerTransportStream(ctx, &announced{ServerTransportStream: of, span: span})
	}
	return ctx, span
}

func (t *Tracer) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo,
	handler grpc.UnaryHandler) (any, error) {
	if untraced(info.FullMethod) {
		return handler(ctx, req)
	}
	ctx, span := t.startCall(ctx, info.FullMethod)
	defer span.End()
	response, err := handler(ctx, req)
	describeResponse(span, info.FullMethod, response, err)
	return response, err
}

func (t *Tracer) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo,
	handler grpc.StreamHandler) error {
	if untraced(info.FullMethod) {
		return handler(srv, stream)
	}
	ctx, span := t.startCall(stream.Context(), info.FullMethod)
	defer span.End()
	err := handler(srv, &middleware.WrappedServerStream{ServerStream: stream, WrappedContext: ctx})
	describeCode(span, err)
	return err
}

// An announced is a call whose response's metadata tell the span the id of the decision.
type announced struct {
	grpc.ServerTransportStream
	span trace.Span
}

// SetHeader implements [grpc.ServerTransportStream].
func (a *announced) SetHeader(md metadata.MD) error {
	a.tell(md)
	return a.ServerTransportStream.SetHeader(md)
}

// SendHeader implements [grpc.ServerTransportStream].
func (a *announced) SendHeader(md metadata.MD) error {
	a.tell(md)
	return a.ServerTransportStream.SendHeader(md)
}

func (a *announced) tell(md metadata.MD) {
	if ids := md[decisionid.Header]; len(ids) > 0 {
		a.span.SetAttributes(DecisionID.String(ids[0]))
	}
}

// A carrier has the metadata of a call, whose keys are in lower case.
type carrier metadata.MD

// Get implements [propagation.TextMapCarrier]. A key with several values has none: nobody knows which is meant.
func (c carrier) Get(key string) string {
	if values := c[key]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// Set implements [propagation.TextMapCarrier]. Nobody calls it: nothing is sent on.
func (c carrier) Set(key, value string) { c[key] = []string{value} }

// Keys implements [propagation.TextMapCarrier].
func (c carrier) Keys() []string { return slices.Collect(maps.Keys(c)) }
