package forwardauth_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/netpold/netpold/server"
)

// raw sends a text on a connection of its own, and returns the status line of the answer.
func (d *door) raw(t *testing.T, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", d.ForwardAuthAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// TestKeepAliveP13 proves that one connection carries many requests, also after answers of every kind.
func TestKeepAliveP13(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	dialled := 0
	d.client.Transport = &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled++
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	for range 10 {
		for _, chain := range []string{"10.0.0.1", "10.0.0.3", "nobody", "127.0.0.1"} {
			d.from(t, chain)
		}
		d.ask(t, "/nothing")
		d.ask(t, "/healthz")
	}
	// The client leaves a connection too, if its own goroutines kept it waiting for 50 ms.
	if dialled > 3 {
		t.Errorf("%d connections for 60 requests", dialled)
	}
}

// TestSilentConnectionsP13 proves that connections which say nothing, or half a request, are closed by the server, and keep
// no other from being answered.
func TestSilentConnectionsP13(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	var silent []net.Conn
	for i := range 40 {
		conn, err := net.Dial("tcp", d.ForwardAuthAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		half := "GET " + toCart + " HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
		if _, err := conn.Write([]byte(half[:i*len(half)/40])); err != nil {
			t.Fatal(err)
		}
		silent = append(silent, conn)
	}
	if got := d.from(t, "10.0.0.1"); got.status != http.StatusOK {
		t.Errorf("beside them: %+v", got)
	}
	for i, conn := range silent {
		if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(conn)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			t.Fatalf("connection %d is still open", i)
		}
		if strings.Contains(string(said), " 200 ") {
			t.Errorf("half a request is allowed: %s", said)
		}
	}
}

// TestDrainP45 proves that during the delay requests are answered with Connection: close, health is 503, and that
// then the port is closed and Run returns.
func TestDrainP45(t *testing.T) {
	t.Parallel()
	source := synced()
	config := server.Defaults()
	config.Source, config.Listen, config.AdminListen = source, "127.0.0.1:0", ""
	config.ForwardAuthListen, config.DrainDelay = "127.0.0.1:0", 24*time.Hour
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Server: s, client: &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	if got := d.from(t, "10.0.0.1"); got.status != 200 || got.closes {
		t.Errorf("%+v", got)
	}
	stop()
	for d.ask(t, "/healthz").status == 200 {
		// The drain has not begun.
	}
	if got := d.from(t, "10.0.0.1"); got.status != 200 || !got.closes {
		t.Errorf("during the delay: %+v", got)
	}
	d.client.CloseIdleConnections()
	s.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", d.ForwardAuthAddr()); err == nil {
		_ = conn.Close()
		t.Error("the port is still open")
	}
}
