package forwardauth_test

import (
	"bufio"
	"context"
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
	for range 3 {
		for _, chain := range []string{"10.0.0.1", "10.0.0.3", "nobody", "127.0.0.1"} {
			d.from(t, chain)
		}
		d.ask(t, "/nothing")
		d.ask(t, "/healthz")
	}
	if dialled != 1 {
		t.Errorf("%d connections", dialled)
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
