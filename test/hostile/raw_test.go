//go:build linux

package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A rawClient speaks HTTP/2 as it likes. Its writes are safe for concurrent use.
type rawClient struct {
	conn net.Conn

	mu      sync.Mutex
	framer  *http2.Framer
	headers bytes.Buffer
	encoder *hpack.Encoder
	stream  uint32

	// ended is closed when the connection is over.
	ended chan struct{}
	// answers is how many streams have ended, data how many bytes of answers have come.
	answers, data, resets int
}

// openRaw opens a connection on which each answer may have so many bytes under way before they are read, and all of them
// 64 KiB. Nothing that comes is read unless read says so.
func (n *child) openRaw(ctx context.Context, from string, window uint32, read bool) (*rawClient, error) {
	conn, err := n.dialRaw(ctx, from)
	if err != nil {
		return nil, err
	}
	c := &rawClient{conn: conn, framer: http2.NewFramer(conn, conn), ended: make(chan struct{})}
	c.encoder = hpack.NewEncoder(&c.headers)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if read {
		go c.follow()
	} else {
		close(c.ended)
	}
	return c, nil
}

// follow reads what comes, and lets more of no answer come.
func (c *rawClient) follow() {
	defer close(c.ended)
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return
		}
		c.mu.Lock()
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = c.framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = c.framer.WritePing(true, f.Data)
			}
		case *http2.DataFrame:
			c.data += len(f.Data())
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				c.answers++
			}
		case *http2.RSTStreamFrame:
			c.resets++
		}
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// call begins a call with more headers, and sends data as the beginning of its messages.
func (c *rawClient) call(method string, data []byte, end bool, more ...hpack.HeaderField) (stream uint32, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers.Reset()
	for _, f := range headersOf(method, more...) {
		if err := c.encoder.WriteField(f); err != nil {
			return 0, err
		}
	}
	if c.stream == 0 {
		c.stream = 1
	} else {
		c.stream += 2
	}
	block := c.headers.Bytes()
	for first := true; first || len(block) > 0; first = false {
		part := block[:min(len(block), 16<<10)]
		block = block[len(part):]
		if first {
			err = c.framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: c.stream, BlockFragment: part, EndHeaders: len(block) == 0,
			})
		} else {
			err = c.framer.WriteContinuation(c.stream, len(block) == 0, part)
		}
		if err != nil {
			return 0, err
		}
	}
	if data == nil {
		return c.stream, nil
	}
	return c.stream, c.send(c.stream, data, end)
}

// headersOf returns the headers of a call, with more of them.
func headersOf(method string, more ...hpack.HeaderField) []hpack.HeaderField {
	return append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: method},
		{Name: ":authority", Value: "netpold"}, {Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}, more...)
}

// send sends more data of a call. c.mu is held.
func (c *rawClient) send(stream uint32, data []byte, end bool) error {
	for first := true; first || len(data) > 0; first = false {
		part := data[:min(len(data), 16<<10)]
		data = data[len(part):]
		if err := c.framer.WriteData(stream, end && len(data) == 0, part); err != nil {
			return err
		}
	}
	return nil
}

// do calls f with the framer.
func (c *rawClient) do(f func(*http2.Framer) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f(c.framer)
}

// close closes the connection.
func (c *rawClient) close() error {
	err := c.conn.Close()
	<-c.ended
	return err
}

// closeWith closes the connection when ctx ends, so that no write blocks for longer.
func (c *rawClient) closeWith(ctx context.Context) {
	context.AfterFunc(ctx, func() { _ = c.conn.Close() })
}

// framed returns a message with gRPC's header, which announces more bytes than there are.
func framed(message []byte, more int) []byte {
	data := make([]byte, 5, 5+len(message))
	binary.BigEndian.PutUint32(data[1:], uint32(len(message)+more))
	return append(data, message...)
}
