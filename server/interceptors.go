package server

import (
	"context"
	"log/slog"
	"runtime/debug"

	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/access"
	"github.com/netpold/netpold/server/decisionlog"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

// interceptors returns the interceptors of every call, behind the gate. Their order, outermost first: metrics, so that
// calls refused by the others count; who may ask, so that the decision log has no decision of those who may not; the log
// of errors; the decision log, which puts its id into errors; recovery, outside of which that of the gate is left; for
// streams the drain. guard and records may be nil.
func interceptors(m *metrics.Metrics, log *slog.Logger, guard *access.Guard, records *decisionlog.Log,
	draining context.Context) []grpc.ServerOption {
	recovered := recovery.WithRecoveryHandlerContext(panicked(m, log))
	recoverStream := recovery.StreamServerInterceptor(recovered)
	stream := []grpc.StreamServerInterceptor{m.GRPC.StreamServerInterceptor()}
	if guard != nil {
		stream = append(stream, recoverStream, guard.Stream)
	}
	stream = append(stream, logStream(log, records), recoverStream, drainStream(draining))
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(m.Unary, unary(log, guard, records, recovery.UnaryServerInterceptor(recovered))),
		grpc.ChainStreamInterceptor(stream...),
	}
}

// unary returns the interceptor of unary calls inside of metrics. It is one in place of many: each costs every call an
// allocation.
func unary(log *slog.Logger, guard *access.Guard, records *decisionlog.Log,
	recovered grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo,
		handler grpc.UnaryHandler) (response any, err error) {
		if guard != nil {
			if err := guard.Check(ctx, info.FullMethod); err != nil {
				return nil, err
			}
		}
		if records == nil {
			response, err = recovered(ctx, req, info, handler)
		} else {
			response, err = records.UnaryInterceptor(ctx, req, info, func(ctx context.Context, req any) (any, error) {
				return recovered(ctx, req, info, handler)
			})
		}
		if err != nil {
			logError(ctx, log, info.FullMethod, err)
		}
		return response, err
	}
}

// panicked returns what makes the error of a call of its panic, and tells of it (P43).
func panicked(m *metrics.Metrics, log *slog.Logger) func(ctx context.Context, p any) error {
	return func(ctx context.Context, p any) error {
		m.Panics.Inc()
		method, _ := grpc.Method(ctx)
		log.ErrorContext(ctx, "call panicked", "method", method, "panic", p, "stack", string(debug.Stack()))
		return wire.Panicked().Err()
	}
}

// drainStream returns an interceptor that ends a stream's context when the server drains: a graceful stop of
// grpc would wait for the client. The client gets UNAVAILABLE and comes back on another connection.
// StreamAllowed handles the drain itself.
func drainStream(draining context.Context) grpc.StreamServerInterceptor {
	until := current.UntilDrain(draining)
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo,
		handler grpc.StreamHandler) error {
		if info.FullMethod == netpoldv1.DecisionService_StreamAllowed_FullMethodName {
			return handler(srv, stream)
		}
		ctx, release := until(stream.Context())
		defer release()
		err := handler(srv, &middleware.WrappedServerStream{ServerStream: stream, WrappedContext: ctx})
		if err != nil && stream.Context().Err() == nil && draining.Err() != nil {
			return current.ShuttingDown().Err()
		}
		return err
	}
}

// logStream returns an interceptor that logs errors, around the decision log if there is one.
func logStream(log *slog.Logger, records *decisionlog.Log) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo,
		handler grpc.StreamHandler) error {
		var err error
		if records == nil {
			err = handler(srv, stream)
		} else {
			err = records.StreamInterceptor(srv, stream, info, handler)
		}
		if err != nil {
			logError(stream.Context(), log, info.FullMethod, err)
		}
		return err
	}
}

// logError logs a call's error at debug only: an invalid question is its caller's business, and metrics count
// all errors.
func logError(ctx context.Context, log *slog.Logger, method string, err error) {
	if !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	from := ""
	if p, ok := peer.FromContext(ctx); ok {
		from = p.Addr.String()
	}
	attrs := []slog.Attr{slog.String("method", method), slog.String("peer", from),
		slog.String("code", status.Code(err).String()), slog.String("error", status.Convert(err).Message())}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RequestInfo); ok { // of the decision log (G1)
			attrs = append(attrs, slog.String("decision_id", info.GetRequestId()))
		}
	}
	log.LogAttrs(ctx, slog.LevelDebug, "call failed", attrs...)
}
