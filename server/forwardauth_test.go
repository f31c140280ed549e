package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// question is a question of a proxy, which shop allows.
const question = "/authz?dst=shop/cart-0&port=8080&src=10.0.1.4"

// httpClient returns a client over TLS that speaks HTTP/2 or HTTP/1.1. It is closed when the test ends.
func httpClient(t *testing.T, config *tls.Config, two bool) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config.Clone(), Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!two)
	transport.Protocols.SetHTTP2(two)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// fetch returns the answer for a URL, with its body.
func fetch(t *testing.T, client *http.Client, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(soon(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// P13, P33: the port of forward-auth has the TLS files of the gRPC port, asks for a client's certificate as that does,
// and speaks HTTP/2 and HTTP/1.1, with the same answers and limits. A changed certificate is for new connections.
func TestP13P33ForwardAuthTLS(t *testing.T) {
	t.Parallel()
	ca, files := newAuthority(t, "all"), tlsFiles(t)
	cert, key := ca.issue(1, time.Now().Add(time.Hour))
	write(t, map[string][]byte{files.Cert: cert, files.Key: key, files.ClientCA: ca.pem})
	r := start(t, synced(shop()...), func(c *server.Config) { c.TLS, c.ForwardAuthListen = files, "127.0.0.1:0" })
	at := "https://" + r.ForwardAuthAddr()
	for proto, two := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		client := httpClient(t, ca.client(ca), two)
		for path, want := range map[string]int{
			question: http.StatusOK, strings.Replace(question, "8080", "8081", 1): http.StatusForbidden,
			"/authz": http.StatusBadRequest, "/nothing": http.StatusNotFound, "/healthz": http.StatusOK,
			"/authz?" + strings.Repeat("a", 9<<10): http.StatusRequestURITooLong,
		} {
			if got, _ := fetch(t, client, at+path); got.StatusCode != want || got.Proto != proto ||
				got.TLS.PeerCertificates[0].SerialNumber.Int64() != 1 {
				t.Errorf("%s %.40s: %s by %s, want %d", proto, path, got.Status, got.Proto, want)
			}
		}
		long := []string{"X-Long-1", strings.Repeat("a", 33<<10), "X-Long-2", strings.Repeat("a", 33<<10)}
		if got, _ := fetch(t, client, at+question, long...); got.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: headers of 66 KiB: %s", proto, got.Status)
		}
		req, err := http.NewRequestWithContext(soon(t), http.MethodGet, at+question, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, config := range map[string]*tls.Config{
			"no certificate": ca.client(nil), "a certificate of others": ca.client(newAuthority(t, "others")),
		} {
			if got, err := httpClient(t, config, two).Do(req); err == nil {
				got.Body.Close() //nolint:errcheck // the test has failed
				t.Errorf("%s, with %s: %s", proto, name, got.Status)
			}
		}
	}
	if response, err := http.Get("http://" + r.ForwardAuthAddr() + question); err == nil {
		response.Body.Close() //nolint:errcheck // it was only read
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("in plaintext: %s", response.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()

	kept := httpClient(t, ca.client(ca), true)
	fetch(t, kept, at+question)
	cert, key = ca.issue(2, time.Now().Add(time.Hour))
	write(t, map[string][]byte{files.Cert: cert, files.Key: key})
	r.ReloadTLS()
	for serial, client := range map[int64]*http.Client{1: kept, 2: httpClient(t, ca.client(ca), true)} {
		got, _ := fetch(t, client, at+question)
		if is := got.TLS.PeerCertificates[0].SerialNumber.Int64(); got.StatusCode != http.StatusOK || is != serial {
			t.Errorf("after the change: %s with certificate %d, want %d", got.Status, is, serial)
		}
	}
}

// P14: a header that is never read cannot name the client, however it is spelt.
func TestP14HeadersThatAreNeverRead(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"X-Netpold-Client": `Config.ClientIPHeader "X-Netpold-Client": headers named X-Netpold-* are never read`,
		"x-nEtpold-src":    `Config.ClientIPHeader "x-nEtpold-src": headers named X-Netpold-* are never read`,
		"x netpold":        `Config.ClientIPHeader "x netpold": give the name of a header`,
		"host":             `Config.ClientIPHeader "host": its values are no addresses of clients`,
		"Forwarded":        `Config.ClientIPHeader "Forwarded": its values are no addresses of clients`,
		"X-Netpold":        "", "X-Real-IP": "",
	} {
		config := server.Defaults()
		config.Source, config.ForwardAuthListen, config.ClientIPHeader = synced(), "127.0.0.1:0", header
		err := config.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", header, err, want)
		}
	}
}

// P13: health says what /readyz does, before the first sync, after it, and while stale, with either --when-stale.
func TestP13HealthIsReadiness(t *testing.T) {
	t.Parallel()
	for whenStale, whileStale := range map[server.WhenStale]int{
		server.AnswerWhenStale: http.StatusOK, server.DenyWhenStale: http.StatusServiceUnavailable,
	} {
		source := servertest.NewSource()
		r := start(t, source, func(c *server.Config) { c.ForwardAuthListen, c.WhenStale = "127.0.0.1:0", whenStale })
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
		want := func(when string, code int) {
			t.Helper()
			got, body := fetch(t, client, "http://"+r.ForwardAuthAddr()+"/healthz")
			ready, text := fetch(t, client, "http://"+r.AdminAddr()+"/readyz")
			if got.StatusCode != code || ready.StatusCode != code || body != text {
				t.Errorf("%s, %s: /healthz is %s %q, /readyz is %s %q, want %d", whenStale, when, got.Status, body,
					ready.Status, text, code)
			}
			asked, _ := fetch(t, client, "http://"+r.ForwardAuthAddr()+question)
			if asked.StatusCode != code {
				t.Errorf("%s, %s: a question gets %s, want %d", whenStale, when, asked.Status, code)
			}
		}
		want("before the first sync", http.StatusServiceUnavailable)
		source.Apply(upserts(shop())...)
		want("synced", http.StatusOK)
		source.SetStale(true)
		want("stale", whileStale)
		source.SetStale(false)
		want("current again", http.StatusOK)
	}
}

// A held holds each call as it begins its span.
type held struct {
	sdktrace.SpanProcessor // a nil one: nothing is flushed
	// begun gets each call, which then waits for release.
	begun, release chan struct{}
}

func (h *held) OnStart(context.Context, sdktrace.ReadWriteSpan) {
	h.begun <- struct{}{}
	<-h.release
}
func (h *held) OnEnd(sdktrace.ReadOnlySpan) {}

// P45: after the delay no connection is taken, and a request in progress is finished, over HTTP/1.1 and HTTP/2. Run
// returns nil, which is exit code 0.
func TestP45DrainFinishesRequests(t *testing.T) {
	t.Parallel()
	for _, two := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %v", two), func(t *testing.T) {
			t.Parallel()
			ca, files := newAuthority(t, "all"), tlsFiles(t)
			cert, key := ca.issue(1, time.Now().Add(time.Hour))
			files.ClientCA = ""
			write(t, map[string][]byte{files.Cert: cert, files.Key: key})
			held := &held{begun: make(chan struct{}), release: make(chan struct{})}
			r := start(t, synced(shop()...), func(c *server.Config) {
				c.TLS, c.ForwardAuthListen, c.DrainTimeout = files, "127.0.0.1:0", time.Hour
				c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(held))
			})
			client, answered := httpClient(t, ca.client(nil), two), make(chan int, 1)
			go func() {
				req, err := http.NewRequestWithContext(context.Background(), http.MethodGet,
					"https://"+r.ForwardAuthAddr()+question, nil)
				if err != nil {
					t.Error(err)
				}
				response, err := client.Do(req)
				if err != nil {
					t.Error(err)
					answered <- 0
					return
				}
				response.Body.Close() //nolint:errcheck // it was only read
				answered <- response.StatusCode
			}()
			within(t, held.begun, "the request")
			r.stop()
			for { // until the port is closed
				conn, err := net.Dial("tcp", r.ForwardAuthAddr())
				if err != nil {
					break
				}
				conn.Close() //nolint:errcheck // nothing was sent
			}
			select {
			case err := <-r.ended:
				t.Fatalf("Run returned before the request was answered: %v", err)
			default:
			}
			close(held.release)
			if status := within(t, answered, "the answer"); status != http.StatusOK {
				t.Errorf("the request in progress got %d", status)
			}
			if err := r.wait(t); err != nil {
				t.Error(err)
			}
		})
	}
}
