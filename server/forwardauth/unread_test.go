package forwardauth_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/netpold/netpold/server/forwardauth"
)

// The frames of HTTP/2 (RFC 9113, section 6) that the test needs.
const (
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4
)

// TestUnreadHTTP2P13 proves that a stream of HTTP/2 ends whose client takes no answer, and that its connection goes on.
func TestUnreadHTTP2P13(t *testing.T) {
	t.Parallel()
	proxies, err := forwardauth.ParseProxies("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(forwardauth.New(synced(), forwardauth.Options{
		Proxies: proxies, ClientHeader: "X-Forwarded-For", WriteTimeout: time.Second,
		Ready: func() (bool, string) { return true, "ok" }, Draining: func() bool { return false },
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	noWindow := []byte{0, 4, 0, 0, 0, 0} // SETTINGS_INITIAL_WINDOW_SIZE: answers may not send a byte of a body
	text := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(frameSettings, 0, 0, noWindow)
	if _, err := io.WriteString(conn, text+get(1, "/authz")); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	if got := framesOf(t, reader, 1); !slices.Equal(got, []byte{frameHeaders, frameReset}) {
		t.Errorf("the stream has frames of the types %v, want headers and a reset", got)
	}
	if _, err := io.WriteString(conn, get(3, "/nothing")); err != nil { // has no body
		t.Fatal(err)
	}
	if got := framesOf(t, reader, 3); !slices.Equal(got, []byte{frameHeaders}) {
		t.Errorf("the next stream has frames of the types %v, want headers", got)
	}
}

// frame returns a frame.
func frame(kind, flags byte, stream uint32, payload []byte) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind)) //nolint:gosec // short
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return string(append(b, payload...))
}

// get returns the frame of a GET, without compression (RFC 7541, appendix A).
func get(stream uint32, path string) string {
	const endOfStreamAndHeaders, method, scheme, authority = 0x1 | 0x4, 0x80 | 2, 0x80 | 6, 1
	block := append([]byte{method, scheme, 4, byte(len(path))}, path...)
	block = append(block, authority, 1, 'n')
	return frame(frameHeaders, endOfStreamAndHeaders, stream, block)
}

// framesOf returns the types of the frames of a stream until it ends.
func framesOf(t *testing.T, reader io.Reader, stream uint32) (kinds []byte) {
	t.Helper()
	for {
		var head [9]byte
		if _, err := io.ReadFull(reader, head[:]); err != nil {
			t.Fatalf("after %v: %v", kinds, err)
		}
		length := int64(binary.BigEndian.Uint32(head[:4]) >> 8)
		if _, err := io.CopyN(io.Discard, reader, length); err != nil {
			t.Fatal(err)
		}
		kind, ends := head[3], head[4]&1 != 0
		if binary.BigEndian.Uint32(head[5:]) != stream {
			continue
		}
		if kinds = append(kinds, kind); kind == frameReset || kind == frameHeaders && ends {
			return kinds
		}
	}
}
