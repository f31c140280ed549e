package overload

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// answerBytes is what an answer that is not written yet takes besides its bytes: its stream and its headers.
	answerBytes = 3 << 10
	// unreadShare of Limits.Memory is how much may be unread on one connection, and at least leastUnread: some answers of
	// the largest size.
	unreadShare = 16
	leastUnread = 8 << 20
	// smallAnswer is the size of buffers for small answers. gRPC does not tell when one of less than a KiB is written.
	smallAnswer = 2 << 10
	// writeTimeout is how long a connection may take none of what is written to it.
	writeTimeout = 30 * time.Second
	// stuck is how long a write lasts before the connection gets no more calls, if it has at least stuckBytes to read. A
	// write of less may just wait for a processor.
	stuck      = time.Second
	stuckBytes = 256 << 10
)

// unread counts the answers of all connections that are made and not written, since their callers do not read.
//
// gRPC queues an answer for its connection, and the call is over. So answers are counted from when they are encoded
// until gRPC lets go of their bytes, or the connection is closed.
type unread struct {
	// limit is how much all connections may have, and connectionLimit how much one.
	limit, connectionLimit int64
	total                  atomic.Int64
	full                   refusal
	// shedding is held by whoever looks for a connection to close.
	shedding sync.Mutex
}

func (u *unread) init(memory int64) {
	u.limit, u.connectionLimit = memory/2, max(leastUnread, memory/unreadShare)
	u.full = newRefusal(func() *wire.Failure {
		f := wire.Overloaded("unread", fmt.Sprintf("this connection has %d bytes of answers to read, as many as may wait",
			u.connectionLimit), "read answers as they come, or ask with fewer calls at once")
		f.Reason = wire.ReasonCallerOverLimit
		return f
	})
}

// A backlog is what one connection has of unread.
type backlog struct {
	mu     sync.Mutex
	closed bool
	bytes  atomic.Int64
}

// wrote counts n bytes of answers more, or less.
func (c *Connection) wrote(n int64) {
	c.backlog.mu.Lock()
	defer c.backlog.mu.Unlock()
	if !c.backlog.closed {
		c.backlog.bytes.Add(n)
		c.gate.unread.total.Add(n)
	}
}

// unwritten counts no more answers of the connection, nor those so far: gRPC drops them with it.
func (c *Connection) unwritten() {
	c.backlog.mu.Lock()
	defer c.backlog.mu.Unlock()
	c.backlog.closed = true
	c.gate.unread.total.Add(-c.backlog.bytes.Swap(0))
}

// refuseUnread returns why a connection may not ask for more; nil if it may.
func (g *Gate) refuseUnread(c *Connection) *Refused {
	if c == nil {
		return nil
	}
	if bytes := c.backlog.bytes.Load(); bytes < g.unread.connectionLimit {
		since := c.writing.Load()
		if since == 0 || bytes < stuckBytes || time.Now().UnixNano()-since < int64(stuck) {
			return nil
		}
	}
	return g.refuse(&g.unread.full)
}

// shedUnread closes the connections with the most to read while all together have too much.
func (g *Gate) shedUnread() {
	if g.unread.total.Load() <= g.unread.limit || !g.unread.shedding.TryLock() {
		return
	}
	defer g.unread.shedding.Unlock()
	for g.unread.total.Load() > g.unread.limit {
		worst := g.connections.laziest()
		if worst == nil {
			return
		}
		worst.unwritten()
		g.metrics.ShedConnection()
		_ = worst.Conn.Close() // whoever is at its other end sees it
	}
}

// laziest returns the connection with the most to read; nil if none has anything.
func (s *connections) laziest() (found *Connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var most int64
	for c := range s.open {
		if n := c.backlog.bytes.Load(); n > most {
			found, most = c, n
		}
	}
	return found
}

// An answer is a message whose bytes count for a connection until they are written. [Gate.Codec] encodes it.
type answer struct {
	message any
	to      *Connection
}

// answerTo returns message as one that counts; as it is if the connection is not known.
func answerTo(c *Connection, message any) any {
	if c == nil || message == nil {
		return message
	}
	return &answer{message, c}
}

// plain has the answers of a call sent uncompressed: gRPC does not tell when compressed ones are written.
func plain(ctx context.Context, raw rawStream) {
	if raw != nil && raw.RecvCompress() != "" {
		_ = grpc.SetSendCompressor(ctx, encoding.Identity) // else it is as the caller asked
	}
}

// Codec returns a codec that counts answers.
func (g *Gate) Codec(inner encoding.CodecV2) encoding.CodecV2 { return &countingCodec{inner, g} }

type countingCodec struct {
	encoding.CodecV2
	gate *Gate
}

// Marshal implements [encoding.CodecV2].
func (c *countingCodec) Marshal(v any) (mem.BufferSlice, error) {
	a, ok := v.(*answer)
	if !ok {
		return c.CodecV2.Marshal(v) //nolint:wrapcheck // gRPC looks at it
	}
	data, err := c.CodecV2.Marshal(a.message)
	if err != nil || data.Len() == 0 {
		return data, err //nolint:wrapcheck // gRPC looks at it
	}
	w := &written{to: a.to}
	var bytes *[]byte
	if data.Len() <= smallAnswer {
		bytes = smallBuffers.Get().(*[]byte) //nolint:forcetypeassert // nothing else is in it
		*bytes = (*bytes)[:data.Len()]
		data.CopyTo(*bytes)
	} else {
		w.large = data.MaterializeToBuffer(mem.DefaultBufferPool())
		all := w.large.ReadOnlyData()
		bytes = &all
	}
	data.Free()
	w.n = int64(cap(*bytes)) + answerBytes
	a.to.wrote(w.n)
	c.gate.shedUnread()
	return mem.BufferSlice{mem.NewBuffer(bytes, w)}, nil
}

var smallBuffers = sync.Pool{New: func() any {
	b := make([]byte, smallAnswer)
	return &b
}}

// written is told when an answer has been written.
type written struct {
	to *Connection
	n  int64
	// large is what has the bytes of an answer that is not small.
	large mem.Buffer
}

// Get implements [mem.BufferPool]. It is not called.
func (w *written) Get(n int) *[]byte { return mem.DefaultBufferPool().Get(n) }

// Put implements [mem.BufferPool].
func (w *written) Put(b *[]byte) {
	w.to.wrote(-w.n)
	if w.large != nil {
		w.large.Free()
		return
	}
	smallBuffers.Put(b)
}

// Write implements [net.Conn]. A connection that takes nothing is over.
func (h *handshaken) Write(b []byte) (int, error) {
	now := time.Now()
	h.of.writing.Store(now.UnixNano())
	defer h.of.writing.Store(0)
	if err := h.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
		return 0, err //nolint:wrapcheck // gRPC looks at it
	}
	return h.Conn.Write(b) //nolint:wrapcheck // gRPC looks at it
}

var _ net.Conn = (*handshaken)(nil)
