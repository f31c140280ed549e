package forwardauth_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/internal/logtest"
	"github.com/netpold/netpold/server/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// synced returns a cluster in which web may reach cart on 8080/TCP, and nothing else may.
func synced() *servertest.Source {
	at := func(text string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(text)} }
	selects := func(name string) *engine.Selector {
		return &engine.Selector{{Key: "app", Operator: engine.In, Values: []string{name}}}
	}
	pod := func(name string, ips ...string) *engine.Pod {
		p := &engine.Pod{Namespace: "shop", Name: name + "-0", Labels: map[string]string{"app": name},
			Workloads: []engine.Workload{{Kind: "Deployment", Name: name}}}
		for _, ip := range ips {
			p.IPs = append(p.IPs, netip.MustParseAddr(ip))
		}
		return p
	}
	source := servertest.NewSource()
	var changes []engine.Change
	for _, o := range []engine.Object{
		pod("web", "10.0.0.1", "fd00::1"), pod("cart", "10.0.0.2", "fd00::2"), pod("db", "10.0.0.3"),
		&engine.Service{Namespace: "shop", Name: "cart", IPs: at("10.96.0.1"),
			Ports: []engine.ServicePort{{Port: 80, Protocol: engine.TCP}}},
		&engine.Service{Namespace: "shop", Name: "empty", IPs: at("10.96.0.2"),
			Ports: []engine.ServicePort{{Port: 80, Protocol: engine.TCP}}},
		&engine.EndpointSlice{Namespace: "shop", Name: "cart-x", Service: "cart",
			Ports:     []engine.ServicePort{{Port: 8080, Protocol: engine.TCP}},
			Endpoints: []engine.SliceEndpoint{{Addr: at("10.0.0.2")[0], Ready: true, Serving: true}}},
		&engine.Policy{Namespace: "shop", Name: "cart", Subject: *selects("cart"), IsolatesIngress: true,
			Ingress: []engine.Rule{{
				Peers: []engine.Peer{{Pods: selects("web")}},
				Ports: []engine.Port{{First: 8080, Last: 8080, Protocol: engine.TCP}},
			}}},
		&engine.Policy{Namespace: "shop", Name: "nothing", Subject: *selects("cart"), IsolatesIngress: true},
	} {
		changes = append(changes, engine.Change{Object: o})
	}
	source.Apply(changes...)
	return source
}

// A door is a server under test.
type door struct {
	*server.Server
	source *servertest.Source
	client *http.Client
	log    *logtest.Text
}

// open serves the cluster until the test ends. change changes the configuration; nil changes nothing.
func open(t testing.TB, change func(*server.Config)) *door {
	t.Helper()
	source := synced()
	return openOn(t, source, source, change)
}

// openOn is open for a source of the test's own.
func openOn(t testing.TB, mirrored mirror.Source, source *servertest.Source, change func(*server.Config)) *door {
	t.Helper()
	d := &door{source: source, log: new(logtest.Text)}
	config := server.Defaults()
	config.Source, config.Listen, config.AdminListen, config.DrainDelay = mirrored, "127.0.0.1:0", "127.0.0.1:0", 0
	config.ForwardAuthListen = "127.0.0.1:0"
	config.Logger = slog.New(slog.NewTextHandler(d.log, nil))
	if change != nil {
		change(&config)
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	d.Server = s
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	d.client = &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	t.Cleanup(func() {
		d.client.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return d
}

// An answer is what a proxy gets.
type answer struct {
	status int
	header http.Header
	body   string
	// closes reports whether the connection ends.
	closes bool
}

// ask sends a GET for path, with headers by name and value.
func (d *door) ask(t testing.TB, path string, headers ...string) answer {
	t.Helper()
	return d.send(t, http.MethodGet, path, nil, headers...)
}

// send sends a request. A header may have several values.
func (d *door) send(t testing.TB, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.ForwardAuthAddr()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := d.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text), resp.Close}
}

// from asks whether a client may reach cart on 8080. The client is what X-Forwarded-For ends with.
func (d *door) from(t testing.TB, chain ...string) answer {
	t.Helper()
	var headers []string
	for _, value := range chain {
		headers = append(headers, "X-Forwarded-For", value)
	}
	return d.ask(t, toCart, headers...)
}

const toCart = "/authz?dst=svc/shop/cart&port=80"

// query returns a path with a query of names and values.
func query(sets ...string) string {
	var pairs []string
	for i := 0; i < len(sets); i += 2 {
		pairs = append(pairs, sets[i]+"="+url.QueryEscape(sets[i+1]))
	}
	return "/authz?" + strings.Join(pairs, "&")
}

// metrics returns the page of metrics.
func (d *door) metrics(t *testing.T) string {
	t.Helper()
	resp, err := d.client.Get("http://" + d.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}
