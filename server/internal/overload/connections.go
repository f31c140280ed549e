package overload

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/netpold/netpold/server/internal/caller"
)

const (
	// minIdle is how long a connection has had no call before another one may take its place.
	minIdle = time.Second
	// looked is at how many connections a new one looks for one to take the place of.
	looked = 64
)

// A Connection is an open connection of a client, which knows whose it is and how many calls are in progress on it.
type Connection struct {
	net.Conn
	gate    *Gate
	account atomic.Pointer[account]
	calls   atomic.Int64
	// exempt are the calls of small methods in progress.
	exempt atomic.Int64
	// waiting are calls without a ticket whose handlers have not begun.
	waiting atomic.Int64
	// used is when the last call ended, else when the connection was opened, in Unix nanoseconds.
	used    atomic.Int64
	closed  sync.Once
	backlog backlog
	writes  writeLimit
	// writing is since when something is being written, in Unix nanoseconds; 0 if nothing is.
	writing atomic.Int64
}

// connections has those that are open.
type connections struct {
	mu   sync.Mutex
	open map[*Connection]struct{}
	// accepted has those of gRPC that have not begun their handshake, by the raw connection.
	accepted sync.Map
}

// track counts a connection. If there are too many, an idle one of the caller with the most is closed for it;
// without such a one track returns nil.
func (g *Gate) track(raw net.Conn) *Connection {
	c := &Connection{Conn: raw, gate: g}
	c.used.Store(time.Now().UnixNano())
	of := g.accounts.hold(key{ip: addressOf(raw.RemoteAddr())})
	c.account.Store(of)
	g.connections.mu.Lock()
	var idle *Connection
	if len(g.connections.open) >= g.limits.Connections {
		if idle = g.connections.idlest(); idle == nil {
			g.connections.mu.Unlock()
			g.accounts.drop(of)
			g.metrics.ShedConnection()
			return nil
		}
		g.connections.remove(idle)
	}
	g.connections.open[c] = struct{}{}
	of.connections++
	g.connections.mu.Unlock()
	if idle != nil {
		g.metrics.ShedConnection()
		_ = idle.Close() // whoever is at its other end connects again
	}
	return c
}

// idlest returns an idle connection to close, of those that it looks at: one of the caller with the most
// connections, and of these the one that has been idle for the longest. It returns nil if none is idle.
func (s *connections) idlest() (found *Connection) {
	left, before := looked, time.Now().Add(-minIdle).UnixNano()
	for c := range s.open { // in random order
		if left--; left < 0 {
			break
		}
		if c.calls.Load() > 0 || c.used.Load() > before {
			continue
		}
		if found == nil {
			found = c
			continue
		}
		a, b := c.account.Load().connections, found.account.Load().connections
		if a > b || a == b && c.used.Load() < found.used.Load() {
			found = c
		}
	}
	return found
}

// remove counts a connection no longer, if it is still counted.
func (s *connections) remove(c *Connection) {
	if _, open := s.open[c]; open {
		delete(s.open, c)
		c.account.Load().connections--
	}
}

// Close implements [net.Conn].
func (c *Connection) Close() error {
	c.forget()
	return c.Conn.Close()
}

// CloseWrite lets net/http end a connection without a reset, so that its client reads the answer.
func (c *Connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // a connection's own error
	}
	return nil
}

// forget counts the connection no longer.
func (c *Connection) forget() {
	c.closed.Do(func() {
		c.gate.connections.mu.Lock()
		c.gate.connections.remove(c)
		of := c.account.Load()
		c.gate.connections.mu.Unlock()
		c.gate.accounts.drop(of)
		c.unwritten()
	})
}

// identify says who has shown a certificate on the connection.
func (c *Connection) identify(principal string) {
	if principal == "" {
		return
	}
	of := c.gate.accounts.hold(key{principal: principal})
	c.gate.connections.mu.Lock()
	was := c.account.Load()
	if _, open := c.gate.connections.open[c]; open {
		was.connections--
		of.connections++
	}
	c.account.Store(of)
	c.gate.connections.mu.Unlock()
	c.gate.accounts.drop(was)
}

// ended notes that a call has ended.
func (c *Connection) ended() {
	c.used.Store(time.Now().UnixNano())
	c.calls.Add(-1)
}

// Listener returns a listener whose connections count. Those of gRPC are handed out raw, since gRPC sets options of
// theirs, and are taken up by [Gate.Credentials].
func (g *Gate) Listener(inner net.Listener, raw bool) net.Listener { return &listener{inner, g, raw} }

type listener struct {
	net.Listener
	gate *Gate
	raw  bool
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // servers look at its type
		}
		c := l.gate.track(conn)
		switch {
		case c == nil:
			_ = conn.Close() // the client sees it
		case l.raw:
			l.gate.connections.accepted.Store(conn, c)
			return conn, nil
		default:
			return c, nil
		}
	}
}

// Credentials returns credentials that take up the connections of [Gate.Listener], and tell whose they are.
func (g *Gate) Credentials(inner credentials.TransportCredentials) credentials.TransportCredentials {
	return &counting{inner, g}
}

type counting struct {
	credentials.TransportCredentials
	gate *Gate
}

// ServerHandshake implements [credentials.TransportCredentials].
func (t *counting) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	tracked, found := t.gate.connections.accepted.LoadAndDelete(raw)
	conn, info, err := t.TransportCredentials.ServerHandshake(raw)
	if !found {
		return conn, info, err //nolint:wrapcheck // gRPC looks at its type
	}
	c := tracked.(*Connection) //nolint:forcetypeassert // nothing else is stored
	if err != nil {
		c.forget()
		return conn, info, err //nolint:wrapcheck // gRPC looks at its type
	}
	c.identify(caller.Certified(info))
	return &handshaken{Conn: conn, of: c}, info, nil
}

// Clone implements [credentials.TransportCredentials].
func (t *counting) Clone() credentials.TransportCredentials {
	return &counting{t.TransportCredentials.Clone(), t.gate}
}

// A handshaken is a connection of gRPC.
type handshaken struct {
	net.Conn
	of *Connection
}

// Close implements [net.Conn].
func (h *handshaken) Close() error {
	h.of.forget()
	return h.Conn.Close()
}

// RemoteAddr implements [net.Conn]. It leads the calls of the connection to it.
func (h *handshaken) RemoteAddr() net.Addr { return &address{h.Conn.RemoteAddr(), h.of} }

type address struct {
	net.Addr
	of *Connection
}

// connectionOf returns the connection of a call; nil if it is not known.
func connectionOf(ctx context.Context) *Connection {
	if p, ok := peer.FromContext(ctx); ok {
		if a, ok := p.Addr.(*address); ok {
			return a.of
		}
	}
	c, _ := ctx.Value(httpConnection{}).(*Connection)
	return c
}

// httpConnection is the key of a connection of net/http in the context of its requests.
type httpConnection struct{}

// ConnContext is that of a [http.Server] on a [Gate.Listener].
func (g *Gate) ConnContext(ctx context.Context, conn net.Conn) context.Context {
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secured.NetConn()
	}
	if c, ok := conn.(*Connection); ok {
		return context.WithValue(ctx, httpConnection{}, c)
	}
	return ctx
}

// EnterHTTP is [Gate.Enter] for a request of net/http.
func (g *Gate) EnterHTTP(r *http.Request) (Place, *Refused) {
	if g == nil {
		return Place{}, nil
	}
	ctx := r.Context()
	if c := connectionOf(ctx); c != nil && r.TLS != nil && c.account.Load().key.principal == "" {
		c.identify(caller.Certified(credentials.TLSInfo{State: *r.TLS}))
	}
	if g.tooMany(ctx) {
		return Place{}, g.refuse(&g.fullLine)
	}
	return g.Enter(ctx)
}
