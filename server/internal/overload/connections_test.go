package overload

import (
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeConn is a connection from an address, which knows whether it was closed.
type fakeConn struct {
	net.Conn
	from   string
	closed bool
}

func (c *fakeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.from)} }
func (c *fakeConn) Close() error         { c.closed = true; return nil }

// P40: a connection beyond the limit takes the place of an idle one of the caller with the most. One that has just
// been opened, or has a call, is not idle.
func TestP40IdleConnectionsGoFirst(t *testing.T) {
	t.Parallel()
	g := New(Options{Limits: Limits{Connections: 4}})
	opened := map[string]*fakeConn{}
	open := func(name, from string, idle time.Duration, calls int64) *Connection {
		t.Helper()
		raw := &fakeConn{from: from}
		opened[name] = raw
		c := g.track(raw)
		if c != nil {
			c.used.Add(-int64(idle))
			c.calls.Store(calls)
		}
		return c
	}
	open("busy", "10.0.0.1", time.Hour, 1)
	open("innocent", "10.0.0.2", time.Hour, 0)
	open("greedy", "10.0.0.3", 2*time.Second, 0)
	last := open("greedy too", "10.0.0.3", time.Minute, 0)
	closed := func() (names []string) {
		for name, c := range opened {
			if c.closed {
				names = append(names, name)
				delete(opened, name)
			}
		}
		return names
	}
	open("fifth", "10.0.0.4", 0, 0)
	if names := closed(); len(names) != 1 || names[0] != "greedy too" {
		t.Errorf("%q are closed for the fifth, want the longest idle of the caller with the most", names)
	}
	if err := last.Close(); err != nil || len(g.connections.open) != 4 {
		t.Errorf("closing it again: %v, %d connections are counted", err, len(g.connections.open))
	}
	open("sixth", "10.0.0.4", 0, 0)
	open("seventh", "10.0.0.4", 0, 0)
	if names := closed(); len(names) != 2 || opened["busy"] == nil {
		t.Errorf("%q are closed for the sixth and seventh", names)
	}
	if open("eighth", "10.0.0.5", 0, 0) != nil {
		t.Error("a connection takes the place of one that is not idle")
	}
	for c := range g.connections.open {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(g.connections.open) != 0 || len(g.accounts.all) != 0 {
		t.Errorf("%d connections and %d callers are left", len(g.connections.open), len(g.accounts.all))
	}
}
