package overload

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/tap"
)

// Exempt are the methods that have no places: whole services, or single methods.
type Exempt []string

func (e Exempt) has(service, method string) bool {
	for _, exempt := range e {
		if exempt == service || exempt == method {
			return true
		}
	}
	return false
}

// Registrar returns a registrar of services whose calls need a place, other than those of exempt. A unary call has
// it before its request is read. Streams get theirs in [Gate.Stream].
func (g *Gate) Registrar(inner grpc.ServiceRegistrar, exempt Exempt) grpc.ServiceRegistrar {
	return &registrar{inner, g, exempt}
}

type registrar struct {
	grpc.ServiceRegistrar
	gate   *Gate
	exempt Exempt
}

// RegisterService implements [grpc.ServiceRegistrar].
func (r *registrar) RegisterService(desc *grpc.ServiceDesc, service any) {
	gated := *desc
	gated.Methods = append([]grpc.MethodDesc(nil), desc.Methods...)
	for i := range gated.Methods {
		m := &gated.Methods[i]
		name := "/" + desc.ServiceName + "/" + m.MethodName
		if r.exempt.has(desc.ServiceName, name) {
			m.Handler = r.gate.recovered(r.gate.exempted(m.Handler))
			continue
		}
		r.gate.methods[name] = true
		handler := r.gate.unary(m.Handler)
		if questions := r.gate.questions[name]; questions != nil {
			handler = r.gate.weighed(m.Handler, questions)
		}
		m.Handler = r.gate.recovered(handler)
	}
	for _, stream := range desc.Streams {
		name := "/" + desc.ServiceName + "/" + stream.StreamName
		r.gate.streams[name] = true
		if !r.exempt.has(desc.ServiceName, name) {
			r.gate.methods[name] = true
		}
	}
	r.ServiceRegistrar.RegisterService(&gated, service)
}

// unary returns a handler that enters before it reads the request.
func (g *Gate) unary(handler grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, read func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
		place, refused := g.Enter(ctx)
		if refused != nil {
			return nil, refused.Status
		}
		defer place.Leave()
		if raw := g.rawOf(ctx); raw != nil {
			r := &receiver{gate: g, raw: raw, account: place.account}
			defer r.release()
			read = r.unaryRequest
		}
		return handler(srv, ctx, read, through)
	}
}

// exempted returns a handler without places. Its request is small.
func (g *Gate) exempted(handler grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, read func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
		if raw := g.rawOf(ctx); raw != nil {
			read = (&receiver{gate: g, raw: raw, exempt: true}).unaryRequest
		}
		return handler(srv, ctx, read, through)
	}
}

// rawOf returns the stream of a call, if messages are read here.
func (g *Gate) rawOf(ctx context.Context) rawStream {
	if g.messages.Codec == nil {
		return nil
	}
	return rawOf(ctx)
}

// weighed returns a unary handler that takes the rest of the places of its questions once the request is read.
func (g *Gate) weighed(handler grpc.MethodHandler, questions func(any) int) grpc.MethodHandler {
	return g.unary(func(srv any, ctx context.Context, read func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
		rest := g.beside(ctx)
		defer rest.Leave()
		return handler(srv, ctx, func(request any) error {
			if err := read(request); err != nil {
				return err
			}
			if n := g.placesOf(questions(request)) - 1; n > 0 {
				if refused := rest.more(n); refused != nil {
					return refused.Status
				}
			}
			return nil
		}, through)
	})
}

// recovered returns a handler whose panics are errors of its call alone (P43), those too that happen while the
// request is read.
func (g *Gate) recovered(handler grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, read func(any) error,
		through grpc.UnaryServerInterceptor) (response any, err error) {
		defer func() {
			if p := recover(); p != nil {
				response, err = nil, g.panicked(ctx, p)
			}
		}()
		return handler(srv, ctx, read, through)
	}
}

// Stream is the interceptor of streams. A stream has one place for as long as it is open.
func (g *Gate) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo,
	handler grpc.StreamHandler) error {
	if !g.methods[info.FullMethod] {
		return handler(srv, g.metered(stream, info, nil))
	}
	place, refused := g.Enter(stream.Context())
	if refused != nil {
		return refused.Status
	}
	defer place.Leave()
	metered := g.metered(stream, info, place.account)
	if m, ok := metered.(*meteredStream); ok {
		defer m.release()
	}
	return handler(srv, metered)
}

// metered returns a stream whose messages are bounded while they come.
func (g *Gate) metered(stream grpc.ServerStream, info *grpc.StreamServerInfo, of *account) grpc.ServerStream {
	ctx := stream.Context()
	raw := g.rawOf(ctx)
	if raw == nil {
		return stream
	}
	s := &meteredStream{ServerStream: stream, receiver: receiver{gate: g, raw: raw, account: of}, within: g.within,
		owed: !info.IsClientStream}
	if end, ok := ctx.Value(ending{}).(context.CancelCauseFunc); ok && g.within > 0 {
		s.overdue = time.AfterFunc(g.within, func() { end(context.DeadlineExceeded) })
		s.overdue.Stop()
	}
	return s
}

// ending is the key of what ends a stream, in its context.
type ending struct{}

// limited is the context of a unary call with a deadline of the server's. gRPC ends the context that it is of with the
// call, and so its timer.
type limited struct {
	context.Context //nolint:containedctx // it is a context
	end             context.CancelFunc
}

// Tap refuses calls while limits are reached, for the least that refusing can cost. It takes no place, since gRPC
// does not tell of all the ways in which what it lets in may end before its handler begins.
func (g *Gate) Tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if g.methods[info.FullMethodName] {
		if refused := g.peek(ctx); refused != nil {
			return ctx, refused.Status
		}
	}
	return g.limit(ctx, info.FullMethodName), nil
}

// limit returns the context of a call, with the deadline of the server's if that is sooner, or with what ends a stream.
// It is set here so that the wait for the request ends too.
func (g *Gate) limit(ctx context.Context, method string) context.Context {
	if g.streams[method] {
		if g.within <= 0 {
			return ctx
		}
		ctx, end := context.WithCancelCause(ctx)
		return context.WithValue(ctx, ending{}, end)
	}
	if g.deadline == nil {
		return ctx
	}
	limit := g.deadline(method)
	if deadline, ok := ctx.Deadline(); limit <= 0 || ok && time.Until(deadline) <= limit {
		return ctx
	}
	capped, end := context.WithTimeout(ctx, limit)
	return &limited{capped, end}
}
