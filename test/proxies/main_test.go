// Package proxies runs real proxies in front of real upstreams, with the very files of deploy/examples, and netpold
// in this process. "make test-proxies" brings the proxies; a test of one that is not there is skipped.
package proxies

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should come at once.
const patience = 60 * time.Second

// objects is a cluster in which web may reach cart on 8080/TCP, and others may not. Extra Pods stand for what else a
// test needs.
func objects(extra ...engine.Object) []engine.Object {
	selects := func(name string) *engine.Selector {
		return &engine.Selector{{Key: "app", Operator: engine.In, Values: []string{name}}}
	}
	service := func(name, ip, backend string, port, target uint16, protocol engine.Protocol) []engine.Object {
		return []engine.Object{
			&engine.Service{Namespace: "shop", Name: name, IPs: addrs(ip),
				Ports: []engine.ServicePort{{Port: port, Protocol: protocol}}},
			&engine.EndpointSlice{Namespace: "shop", Name: name + "-x", Service: name,
				Ports:     []engine.ServicePort{{Port: target, Protocol: protocol}},
				Endpoints: []engine.SliceEndpoint{{Addr: addrs(backend)[0], Ready: true, Serving: true}}},
		}
	}
	list := []engine.Object{
		pod("web", "10.0.0.1", "fd00::1"), pod("cart", "10.0.0.2", "fd00::2"), pod("db", "10.0.0.3"),
		pod("dns", "10.0.0.5"),
		&engine.Policy{Namespace: "shop", Name: "cart", Subject: *selects("cart"), IsolatesIngress: true,
			Ingress: []engine.Rule{{
				Peers: []engine.Peer{{Pods: selects("web")}},
				Ports: []engine.Port{{First: 8080, Last: 8080, Protocol: engine.TCP}},
			}}},
		&engine.Policy{Namespace: "shop", Name: "dns", Subject: *selects("dns"), IsolatesIngress: true,
			Ingress: []engine.Rule{{
				Peers: []engine.Peer{{Pods: selects("client")}},
				Ports: []engine.Port{{First: 5353, Last: 5353, Protocol: engine.UDP}},
			}}},
	}
	list = append(list, service("cart", "10.96.0.1", "10.0.0.2", 80, 8080, engine.TCP)...)
	list = append(list, service("dns", "10.96.0.5", "10.0.0.5", 53, 5353, engine.UDP)...)
	return append(list, extra...)
}

func addrs(texts ...string) (ips []netip.Addr) {
	for _, text := range texts {
		ips = append(ips, netip.MustParseAddr(text))
	}
	return ips
}

func pod(name string, ips ...string) *engine.Pod {
	return &engine.Pod{Namespace: "shop", Name: name + "-0", Labels: map[string]string{"app": name}, IPs: addrs(ips...)}
}

func changes(list ...engine.Object) (to []engine.Change) {
	for _, o := range list {
		to = append(to, engine.Change{Object: o})
	}
	return to
}

// A netpold is one that runs in this process.
type netpold struct {
	*server.Server
	source *servertest.Source
	// drain begins the drain, as SIGTERM does.
	drain context.CancelFunc
}

// serve serves a cluster, or an unsynced source if that is empty, until the test ends or Stop.
func serve(t *testing.T, list []engine.Object, change func(*server.Config)) *netpold {
	t.Helper()
	n := &netpold{source: servertest.NewSource()}
	if len(list) > 0 {
		n.source.Apply(changes(list...)...)
	}
	config := server.Defaults()
	config.Source, config.Listen, config.AdminListen, config.DrainDelay = n.source, "127.0.0.1:0", "", 0
	config.ForwardAuthListen = "127.0.0.1:0"
	if change != nil {
		change(&config)
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	n.Server = s
	ctx, stop := context.WithCancel(context.Background())
	n.drain = stop
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		s.Stop()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return n
}

// closedPort returns the address of a port at which nobody listens. It is below those that systems give to connections: one
// of these would be in the way of a proxy that listens on all addresses.
func closedPort(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprint(":", 15_000+rand.N(15_000)))
		if err != nil {
			continue // another one has it
		}
		defer l.Close()
		return net.JoinHostPort("127.0.0.1", portOf(t, l.Addr().String()))
	}
	t.Fatal("no port is free")
	return ""
}

// portOf returns the port of an address.
func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// silent returns the address of a port at which connections are taken, and nothing is ever answered.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var taking sync.WaitGroup
	var mu sync.Mutex
	var taken []net.Conn
	taking.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			taken = append(taken, conn)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		taking.Wait()
		for _, conn := range taken {
			_ = conn.Close()
		}
	})
	return l.Addr().String()
}

// An upstream is an application that counts who reaches it.
type upstream struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
}

func application(t *testing.T) *upstream {
	t.Helper()
	u := new(upstream)
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.seen = append(u.seen, r)
		_, _ = io.WriteString(w, "the application")
	}))
	t.Cleanup(u.Close)
	return u
}

// reached returns how many requests came since the last call.
func (u *upstream) reached() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := len(u.seen)
	u.seen = nil
	return n
}

// A process is a proxy that runs.
type process struct {
	log *buffer
}

// A buffer is what a process has written. It is safe for concurrent use.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// run runs a proxy until the test ends, and returns when it listens at ready.
func run(t *testing.T, ready string, name string, args ...string) *process {
	t.Helper()
	p := &process{log: new(buffer)}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir(), "HOME="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			text := p.log.String()
			t.Logf("%s:\n%s", filepath.Base(name), text[max(0, len(text)-4000):])
		}
	})
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", ready)
		if err == nil {
			_ = conn.Close()
			return p
		}
		select {
		case <-ended:
			t.Fatalf("%s has ended\n%s", name, p.log)
		case <-time.After(20 * time.Millisecond): // polls
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v\n%s", name, err, p.log)
		}
	}
}

// waitFor polls until ok.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) { //nolint:forbidigo // a proxy has no event to wait for
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s", what)
		}
	}
}

// binary returns the path of a proxy: in bin/, or installed. Without it the test is skipped.
func binary(t *testing.T, name string) string {
	t.Helper()
	if path, err := filepath.Abs(filepath.Join("bin", name)); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("THERE IS NO %s HERE, AND SO IT IS NOT TESTED: run \"make test-proxies\"", strings.ToUpper(name))
	}
	return path
}

// example returns the path of a copy of a file of deploy/examples, with texts replaced: each must be there.
func example(t *testing.T, file string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "examples", file))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !bytes.Contains(text, []byte(replace[i])) {
			t.Fatalf("%s has no %q", file, replace[i])
		}
		text = bytes.ReplaceAll(text, []byte(replace[i]), []byte(replace[i+1]))
	}
	path := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A reply is what the client of a proxy gets.
type reply struct {
	status int
	header http.Header
	body   string
}

// get sends a GET on a connection of its own, after preface.
func get(addr, path, preface string, headers ...string) (reply, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil && preface != "" {
				_, err = io.WriteString(conn, preface)
			}
			return conn, err
		},
	}}
	req, err := http.NewRequest(http.MethodGet, "http://application.test"+path, nil)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(body)}, errors.Join(err, resp.Body.Close())
}

// proxied returns the header of PROXY protocol for a connection.
func proxied(src, dst string, port int) string {
	family := "TCP4"
	if strings.Contains(src, ":") {
		family = "TCP6"
	}
	return fmt.Sprintf("PROXY %s %s %s 4711 %d\r\n", family, src, dst, port)
}
