package overload

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/metadata"
)

// A key tells callers apart: by the principal, else by the address. Those of Unix sockets are one caller.
type key struct {
	principal string
	ip        netip.Addr
}

// String returns who it is, for people.
func (k key) String() string {
	switch {
	case k.principal != "":
		return k.principal
	case k.ip.IsValid():
		return k.ip.String()
	default:
		return "a Unix socket"
	}
}

// An account is what one caller has in progress.
type account struct {
	key      key
	inFlight atomic.Int64
	// resting are streams that are open without a place: see openStream.
	resting atomic.Int64
	// queued are calls whose handler has not begun.
	queued atomic.Int64
	memory atomic.Int64
	// connections is guarded by the lock of connections.
	connections int
	// holders is guarded by the lock of accounts. An account that nobody holds is forgotten.
	holders int
}

// accounts has those of the callers that have connections or calls.
type accounts struct {
	mu  sync.Mutex
	all map[key]*account
}

// hold returns the account of a caller. It must be dropped.
func (c *accounts) hold(k key) *account {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.all[k]
	if found == nil {
		found = &account{key: k}
		c.all[k] = found
	}
	found.holders++
	return found
}

func (c *accounts) drop(held *account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if held.holders--; held.holders == 0 {
		delete(c.all, held.key)
	}
}

// accountOf returns the account of the caller of ctx; nil if nobody can say whose the call is. held means that it
// must be dropped.
func (g *Gate) accountOf(ctx context.Context, c *Connection) (of *account, held bool) {
	if principal, ok := g.principalOf(ctx); ok {
		return g.accounts.hold(key{principal: principal}), true
	}
	if c == nil {
		return nil, false
	}
	return c.account.Load(), false
}

// callerOf returns who the caller of ctx is, and whether anybody can say that.
func (g *Gate) callerOf(ctx context.Context, c *Connection) (of key, ok bool) {
	if principal, ok := g.principalOf(ctx); ok {
		return key{principal: principal}, true
	}
	if c == nil {
		return key{}, false
	}
	return c.account.Load().key, true
}

// principalOf returns who the caller of ctx is by its metadata, if that is known without asking.
func (g *Gate) principalOf(ctx context.Context) (principal string, ok bool) {
	if g.known == nil {
		return "", false
	}
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return "", false
	}
	return g.known(md)
}

// addressOf returns the address of the other end of a connection; the zero Addr for a Unix socket.
func addressOf(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}
