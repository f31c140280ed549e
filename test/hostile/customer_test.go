//go:build linux

package hostile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A customer asks one question after another on a connection of its own, and waits as long as it is told to when it is
// refused. It costs its process little: what it sends is made before.
type customer struct {
	conn    net.Conn
	in      *bufio.Reader
	trailer *hpack.Decoder
	// requests has a whole call for each question, but for the number of its stream.
	requests [][]byte
	stream   uint32
	// message, code and details are of the present call.
	message []byte
	code    codes.Code
	details string
	// unread is how much of the connection's window is used up.
	unread int
	// payload is that of the present frame.
	payload []byte
}

const frameHeader = 9

// requestsOf returns calls of Allowed as they are sent.
func requestsOf(all []question) (requests [][]byte, err error) {
	for i := range all {
		message, err := proto.Marshal(all[i].request)
		if err != nil {
			return nil, err
		}
		var headers, out bytes.Buffer
		encoder := hpack.NewEncoder(&headers)
		encoder.SetMaxDynamicTableSizeLimit(0) // so that each call is alike
		for _, f := range headersOf(netpoldv1.DecisionService_Allowed_FullMethodName,
			hpack.HeaderField{Name: "grpc-timeout", Value: "10S"}) {
			if err := encoder.WriteField(f); err != nil {
				return nil, err
			}
		}
		framer := http2.NewFramer(&out, nil)
		err = errors.Join(
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers.Bytes(), EndHeaders: true}),
			framer.WriteData(1, true, framed(message, 0)))
		if err != nil {
			return nil, err
		}
		requests = append(requests, out.Bytes())
	}
	return requests, nil
}

// openCustomer opens the connection of a customer.
func (n *child) openCustomer(ctx context.Context, from string, all []question) (*customer, error) {
	requests, err := requestsOf(all)
	if err != nil {
		return nil, err
	}
	conn, err := n.dialRaw(ctx, from)
	if err != nil {
		return nil, err
	}
	c := &customer{conn: conn, in: bufio.NewReaderSize(conn, 1<<10), requests: requests, stream: 1}
	c.trailer = hpack.NewDecoder(0, func(f hpack.HeaderField) {
		switch f.Name {
		case "grpc-status":
			if n, err := strconv.Atoi(f.Value); err == nil {
				c.code = codes.Code(n)
			}
		case "grpc-status-details-bin":
			c.details = f.Value
		}
	})
	framer := http2.NewFramer(conn, nil)
	_, err = conn.Write([]byte(http2.ClientPreface))
	if err = errors.Join(err, framer.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// ask asks question i, and returns when it has an answer, and whether that is allowed.
func (c *customer) ask(i int) (allowed bool, err error) {
	request := c.requests[i]
	binary.BigEndian.PutUint32(request[5:], c.stream)
	data := frameHeader + int(request[0])<<16 + int(request[1])<<8 + int(request[2])
	binary.BigEndian.PutUint32(request[data+5:], c.stream)
	if _, err := c.conn.Write(request); err != nil {
		return false, err
	}
	c.message, c.code, c.details = c.message[:0], codes.Unknown, ""
	for ended := false; !ended; {
		if ended, err = c.frame(); err != nil {
			return false, err
		}
	}
	c.stream += 2
	if c.code != codes.OK {
		return false, c.failure()
	}
	var answer netpoldv1.AllowedResponse
	if err := proto.Unmarshal(c.message[5:], &answer); err != nil {
		return false, err
	}
	return answer.GetAllowed(), nil
}

// failure returns the error of the call.
func (c *customer) failure() error {
	wire, err := base64.RawStdEncoding.DecodeString(c.details)
	if err != nil {
		return err
	}
	s := &spb.Status{}
	if err := proto.Unmarshal(wire, s); err != nil {
		return err
	}
	s.Code = int32(c.code)
	return status.FromProto(s).Err()
}

// retryOf returns when an error says to try again; 0 if it does not.
func retryOf(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// frame reads a frame, and reports whether the call has ended with it.
func (c *customer) frame() (ended bool, err error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return false, err
	}
	n := int(head[0])<<16 + int(head[1])<<8 + int(head[2])
	if cap(c.payload) < n {
		c.payload = make([]byte, n)
	}
	c.payload = c.payload[:n]
	if _, err := io.ReadFull(c.in, c.payload); err != nil {
		return false, err
	}
	kind, flags, stream := http2.FrameType(head[3]), http2.Flags(head[4]), binary.BigEndian.Uint32(head[5:])
	if stream != 0 && stream != c.stream {
		return false, nil // what follows the end of a call
	}
	framer := http2.NewFramer(c.conn, nil)
	switch kind {
	case http2.FrameSettings:
		if !flags.Has(http2.FlagSettingsAck) {
			return false, framer.WriteSettingsAck()
		}
	case http2.FramePing:
		if !flags.Has(http2.FlagPingAck) {
			return false, framer.WritePing(true, [8]byte(c.payload))
		}
	case http2.FrameData:
		c.message = append(c.message, c.payload...)
		if c.unread += n; c.unread > 16<<10 {
			if err := framer.WriteWindowUpdate(0, uint32(c.unread)); err != nil {
				return false, err
			}
			c.unread = 0
		}
	case http2.FrameHeaders:
		if _, err := c.trailer.Write(c.payload); err != nil {
			return false, err
		}
		return flags.Has(http2.FlagHeadersEndStream), c.trailer.Close()
	case http2.FrameRSTStream, http2.FrameGoAway:
		return false, fmt.Errorf("%v", kind)
	default: // nothing to do
	}
	return false, nil
}
