package overload

import (
	"sync/atomic"
	"time"
)

// rearmWrite is how much less than writeTimeout a write may have. To set a deadline anew for each write would be a
// twentieth of what an answer of forward-auth costs.
const rearmWrite = 5 * time.Second

// A writeLimit says how long writes to a connection of net/http may take.
type writeLimit struct {
	// since is when the present deadline was set, in Unix nanoseconds; 0 if it is to be set anew.
	since atomic.Int64
	// foreign means that the present deadline was set by others, and stays.
	foreign atomic.Bool
}

// Write implements [net.Conn]. A connection that takes nothing is over.
func (c *Connection) Write(b []byte) (int, error) {
	now := time.Now()
	since := now.UnixNano() - c.writes.since.Load() // negative when the clock was set back
	if (since < 0 || since > int64(rearmWrite)) && !c.writes.foreign.Load() {
		if err := c.Conn.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
			return 0, err //nolint:wrapcheck // a connection's own error
		}
		c.writes.since.Store(now.UnixNano())
	}
	return c.Conn.Write(b) //nolint:wrapcheck // a connection's own error
}

// SetWriteDeadline implements [net.Conn]. net/http lifts its deadline after each request, whether it has set one or not;
// then that of Write goes on.
func (c *Connection) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		c.writes.foreign.Store(true)
		return c.Conn.SetWriteDeadline(t) //nolint:wrapcheck // a connection's own error
	}
	if c.writes.foreign.Swap(false) {
		c.writes.since.Store(0)
	}
	return nil
}
