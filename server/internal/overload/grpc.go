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
			r.gate.small[name] = true
			m.Handler = r.gate.recovered(r.gate.exempted(m.Handler, r.gate.limitOf(name)))
			continue
		}
		r.gate.methods[name] = true
		handler := m.Handler
		if questions := r.gate.questions[name]; questions != nil {
			handler = r.gate.weighed(handler, questions)
		} else {
			r.gate.single[name] = true
		}
		m.Handler = r.gate.recovered(r.gate.unary(handler, r.gate.limitOf(name)))
	}
	for _, stream := range desc.Streams {
		name := "/" + desc.ServiceName + "/" + stream.StreamName
		r.gate.streams[name] = true
		switch exempt := r.exempt.has(desc.ServiceName, name); {
		case !exempt:
			r.gate.methods[name] = true
		case !stream.ClientStreams:
			r.gate.small[name] = true
		}
	}
	r.ServiceRegistrar.RegisterService(&gated, service)
}

// unary returns a handler that enters before it reads the request, for calls that take limit at most.
func (g *Gate) unary(handler grpc.MethodHandler, limit time.Duration) grpc.MethodHandler {
	m := &unaryMethod{gate: g, handler: handler, limit: limit}
	return func(srv any, ctx context.Context, read func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
		g.begin(ctx)
		place, refused := g.Enter(ctx)
		if refused != nil {
			return nil, refused.Status
		}
		defer place.Leave()
		return m.serve(srv, ctx, read, through, place.account, place.connection)
	}
}

// exempted returns a handler without places. Its request is small.
func (g *Gate) exempted(handler grpc.MethodHandler, limit time.Duration) grpc.MethodHandler {
	m := &unaryMethod{gate: g, handler: handler, limit: limit, exempt: true}
	return func(srv any, ctx context.Context, read func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
		return m.serve(srv, ctx, read, through, nil, connectionOf(ctx))
	}
}

// A unaryMethod is how calls of a method are read and answered.
type unaryMethod struct {
	gate    *Gate
	handler grpc.MethodHandler
	limit   time.Duration
	exempt  bool
}

// serve reads the request of a call at the expense of a caller, nil for none, and has the method answer it. The answer
// counts for a connection.
func (m *unaryMethod) serve(srv any, ctx context.Context, read func(any) error, through grpc.UnaryServerInterceptor,
	of *account, to *Connection) (any, error) {
	raw := m.gate.rawOf(ctx)
	if raw != nil {
		r := takeUnary(m.gate, raw, of, m.limit)
		defer r.done()
		r.exempt, read = m.exempt, r.read
	}
	ctx, timer := capTo(ctx, m.limit)
	defer timer.release()
	response, err := m.handler(srv, ctx, read, through)
	if err != nil || raw == nil {
		return response, err
	}
	plain(ctx, raw)
	return answerTo(to, response), nil
}

// rawOf returns the stream of a call, if messages are read here.
func (g *Gate) rawOf(ctx context.Context) rawStream {
	if g.messages.Codec == nil {
		return nil
	}
	return rawOf(ctx)
}

// weighed returns a handler that takes the rest of the places of its questions once the request is read.
func (g *Gate) weighed(handler grpc.MethodHandler, questions func(any) int) grpc.MethodHandler {
	return func(srv any, ctx context.Context, read func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
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
	}
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

// metered returns a stream whose messages are bounded while they come.
func (g *Gate) metered(stream grpc.ServerStream, info *grpc.StreamServerInfo, of *account) grpc.ServerStream {
	ctx := stream.Context()
	raw := g.rawOf(ctx)
	if raw == nil {
		return stream
	}
	plain(ctx, raw)
	s := &meteredStream{ServerStream: stream, receiver: receiver{gate: g, raw: raw, account: of}, within: g.within,
		owed: !info.IsClientStream, to: connectionOf(ctx)}
	if end, ok := ctx.Value(ending{}).(context.CancelCauseFunc); ok && g.within > 0 {
		s.overdue = time.AfterFunc(g.within, func() { end(context.DeadlineExceeded) })
		s.overdue.Stop()
	}
	return s
}

// ending is the key of what ends a stream, in its context.
type ending struct{}

// Tap refuses calls while limits are reached, for the least that refusing can cost, and calls of connections that do not
// read their answers. It takes no place, since gRPC does not tell of all the ways in which what it lets in may end before
// its handler begins; until then the call has a ticket.
func (g *Gate) Tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if refused := g.refuseUnread(connectionOf(ctx)); refused != nil {
		return ctx, refused.Status
	}
	if g.single[info.FullMethodName] && g.tooMany(ctx) {
		return ctx, g.refuse(&g.fullLine).Status
	}
	t, refused := g.queue(ctx, info.FullMethodName)
	if refused != nil {
		return ctx, refused.Status
	}
	if t != nil {
		ctx = &ticketed{ctx, t}
	}
	if g.streams[info.FullMethodName] && g.within > 0 {
		return g.endable(ctx), nil
	}
	return ctx, nil
}

// limitOf returns how long a call of a unary method may take; 0 for no limit.
func (g *Gate) limitOf(method string) time.Duration {
	if g.deadline == nil {
		return 0
	}
	return g.deadline(method)
}

// endable returns the context of a stream with what ends it, so that the wait for a message ends too.
func (g *Gate) endable(ctx context.Context) context.Context {
	ctx, end := context.WithCancelCause(ctx)
	return context.WithValue(ctx, ending{}, end)
}
