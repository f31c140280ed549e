package overload

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A timedConn notes how long each deadline of its writes was when it was set; 0 for one that was lifted.
type timedConn struct {
	net.Conn
	set []time.Duration
}

func (c *timedConn) Write(b []byte) (int, error) { return len(b), nil }

func (c *timedConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		c.set = append(c.set, 0)
	} else {
		c.set = append(c.set, time.Until(t))
	}
	return nil
}

// Every write to a connection of forward-auth has a deadline, though net/http lifts deadlines after each request, and
// though none is set for each. One that net/http sets counts until it is lifted.
func TestWritesHaveDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		raw := &timedConn{}
		c := &Connection{Conn: raw}
		write := func(after time.Duration) {
			t.Helper()
			<-time.After(after) // in a bubble it takes no time
			if _, err := c.Write([]byte("a")); err != nil {
				t.Fatal(err)
			}
			if err := c.SetWriteDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		write(0)
		write(time.Second)
		write(rearmWrite) // later than rearmWrite after the first
		if want := []time.Duration{writeTimeout, writeTimeout}; !slices.Equal(raw.set, want) {
			t.Errorf("deadlines %v, want %v", raw.set, want)
		}
		raw.set = nil
		if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		write(2 * rearmWrite)
		write(0)
		if want := []time.Duration{time.Second, writeTimeout}; !slices.Equal(raw.set, want) {
			t.Errorf("deadlines %v, want %v", raw.set, want)
		}
	})
}
