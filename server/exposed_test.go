package server_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netpold/netpold/server"
)

// exposedTLS returns the files of a server that wants client certificates, and those of one that does not.
func exposedTLS(t *testing.T) (files, serverOnly server.TLSFiles) {
	t.Helper()
	ca, files := newAuthority(t, "servers"), tlsFiles(t)
	cert, key := ca.issue(1, time.Now().Add(time.Hour))
	write(t, map[string][]byte{files.Cert: cert, files.Key: key, files.ClientCA: ca.pem})
	serverOnly = files
	serverOnly.ClientCA = ""
	return files, serverOnly
}

// P32: beyond the loopback, a server refuses to listen unless callers are authenticated, or it is told to.
func TestP32RefusesWhatEverybodyCouldAsk(t *testing.T) {
	t.Parallel()
	files, serverOnly := exposedTLS(t)
	for name, test := range map[string]struct {
		listen             string
		tls                server.TLSFiles
		insecure, reviewed bool
		refused            bool
	}{
		"every address":                {listen: ":0", refused: true},
		"every IPv4 address":           {listen: "0.0.0.0:0", refused: true},
		"every IPv6 address":           {listen: "[::]:0", refused: true},
		"an address of others":         {listen: "192.0.2.1:0", refused: true},
		"a mapped address":             {listen: "[::ffff:192.0.2.1]:0", refused: true},
		"TLS that asks no certificate": {listen: ":0", tls: serverOnly, refused: true},
		"client certificates":          {listen: ":0", tls: files},
		"TLS and tokens":               {listen: ":0", tls: serverOnly, reviewed: true},
		"insecure":                     {listen: ":0", insecure: true},
		"insecure, with TLS":           {listen: ":0", tls: serverOnly, insecure: true},
		"the loopback":                 {listen: "127.0.0.1:0"},
		"another of the loopback":      {listen: "127.1.2.3:0"},
		"the loopback by name":         {listen: "localhost:0"},
		"a Unix socket":                {listen: "unix://" + filepath.Join(t.TempDir(), "s")},
	} {
		config := server.Defaults()
		config.Source, config.AdminListen = synced(), ""
		config.Listen, config.TLS, config.Insecure = test.listen, test.tls, test.insecure
		config.KubeAuthz, config.Reviewer = test.reviewed, newReviewer()
		s, err := server.New(config)
		if err == nil {
			s.Stop()
		}
		switch wrong, _ := errors.AsType[*server.FieldError](err); {
		case !test.refused && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.refused && (wrong == nil || wrong.Fields[0].Name != "Listen" || !strings.Contains(err.Error(), "--insecure")):
			t.Errorf("%s: %v, want an error of Listen with the remedies", name, err)
		}
	}
}

// P32: the port of forward-auth refuses likewise. Neither --trusted-proxies nor tokens make up for it: it asks for none.
func TestP32RefusesForwardAuthOfEverybody(t *testing.T) {
	t.Parallel()
	files, serverOnly := exposedTLS(t)
	for name, test := range map[string]struct {
		listen             string
		tls                server.TLSFiles
		insecure, reviewed bool
		refused            bool
	}{
		"every address":                {listen: ":0", refused: true},
		"every IPv4 address":           {listen: "0.0.0.0:0", refused: true},
		"an address of others":         {listen: "192.0.2.1:0", refused: true},
		"TLS that asks no certificate": {listen: ":0", tls: serverOnly, refused: true},
		"TLS and tokens":               {listen: ":0", tls: serverOnly, reviewed: true, refused: true},
		"client certificates":          {listen: ":0", tls: files},
		"insecure":                     {listen: "[::]:0", insecure: true},
		"the loopback":                 {listen: "127.0.0.1:0"},
		"the loopback by name":         {listen: "localhost:0"},
	} {
		config := server.Defaults()
		config.Source, config.AdminListen, config.Listen = synced(), "", "127.0.0.1:0"
		config.ForwardAuthListen, config.TrustedProxies, config.Insecure = test.listen, "10.0.0.0/8", test.insecure
		config.TLS, config.KubeAuthz, config.Reviewer = test.tls, test.reviewed, newReviewer()
		s, err := server.New(config)
		if err == nil {
			s.Stop()
		}
		switch wrong, _ := errors.AsType[*server.FieldError](err); {
		case !test.refused && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.refused && (wrong == nil || wrong.Fields[0].Name != "ForwardAuthListen"):
			t.Errorf("%s: %v, want an error of ForwardAuthListen", name, err)
		}
	}
}

// P32: --insecure is a warning at each start.
func TestP32InsecureIsAWarning(t *testing.T) {
	t.Parallel()
	for _, insecure := range []bool{true, false} {
		log := &logBuffer{}
		r := start(t, synced(shop()...), func(c *server.Config) { c.Logger, c.Insecure = log.logger(), insecure })
		if _, err := r.decisions().Allowed(soon(t), ask()); err != nil {
			t.Fatal(err)
		}
		if warned := strings.Contains(log.String(), `level=WARN msg="insecure: everybody who can connect`); warned != insecure {
			t.Errorf("insecure %v:\n%s", insecure, log.String())
		}
	}
}

// P12, P15: what lets every client of a proxy through, or lets it choose its address, is a warning at each start.
func TestP12P15WhatIsNotEnforcedIsAWarning(t *testing.T) {
	t.Parallel()
	const shadow, all = `level=WARN msg="shadow: every client of a proxy passes`, `level=WARN msg="every address is a trusted proxy`
	for _, test := range []struct {
		proxies     string
		shadow, all bool
	}{
		{"10.0.0.0/8", false, false},
		{"10.0.0.0/8,::/0", true, true},
		{"0.0.0.0/0", false, true},
	} {
		log := &logBuffer{}
		r := start(t, synced(shop()...), func(c *server.Config) {
			c.Logger, c.Shadow, c.TrustedProxies, c.ForwardAuthListen = log.logger(), test.shadow, test.proxies, "127.0.0.1:0"
		})
		if _, err := r.decisions().Allowed(soon(t), ask()); err != nil {
			t.Fatal(err)
		}
		text := log.String()
		if strings.Contains(text, shadow) != test.shadow || strings.Contains(text, all) != test.all ||
			test.all && !strings.Contains(text, "forward_auth_addr="+r.ForwardAuthAddr()) {
			t.Errorf("%+v:\n%s", test, text)
		}
	}
}

// P32: a Unix socket has mode 0660, is asked as any address, and is gone afterwards.
func TestP32UnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "grpc.sock")
	r := start(t, synced(shop()...), func(c *server.Config) { c.Listen = "unix://" + path })
	if r.Addr() != "unix://"+path {
		t.Errorf("the address is %s", r.Addr())
	}
	if _, err := r.decisions().Allowed(soon(t), ask()); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// P32: a socket that nobody listens on is replaced. One that is in use, and what is no socket, stay as they are.
func TestP32SocketsInTheWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stale, used, file := filepath.Join(dir, "stale"), filepath.Join(dir, "used"), filepath.Join(dir, "file")
	for _, path := range []string{stale, stale + ".new"} {
		left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		left.SetUnlinkOnClose(false)
		if err := left.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, synced(shop()...), func(c *server.Config) { c.Listen = "unix://" + stale })
	if _, err := r.decisions().Allowed(soon(t), ask()); err != nil {
		t.Error(err)
	}

	first := start(t, synced(shop()...), func(c *server.Config) { c.Listen = "unix://" + used })
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		used: "another process listens there: stop it, or give another path",
		file: "something that is no socket is there: remove it, or give another path",
		dir:  "something that is no socket is there: remove it, or give another path",
		filepath.Join(dir, "none", "s"): "no such file or directory: give a path in a directory that exists and may be " +
			"written to",
		filepath.Join(dir, strings.Repeat("x", 120)): "give a path of at most 99 bytes: a Unix socket has no longer name",
	} {
		config := server.Defaults()
		config.Source, config.AdminListen, config.Listen = synced(), "", "unix://"+path
		_, err := server.New(config)
		if err == nil || !strings.HasPrefix(err.Error(), "Config.Listen unix://"+path+": ") ||
			!strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if _, err := first.decisions().Allowed(soon(t), ask()); err != nil {
		t.Errorf("the one that listens there already: %v", err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

// P32: a server that ends leaves the socket of another that has taken its place.
func TestP32LeavesTheSocketOfAnother(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	first := start(t, synced(shop()...), func(c *server.Config) { c.Listen = "unix://" + path })
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	second := start(t, synced(shop()...), func(c *server.Config) { c.Listen = "unix://" + path })
	first.Stop()
	if _, err := second.decisions().Allowed(soon(t), ask()); err != nil {
		t.Error(err)
	}
}

// P33: with AdminTLS the admin pages are served over the same TLS, and to those alone who show a certificate.
func TestP33AdminTLS(t *testing.T) {
	t.Parallel()
	ca, files := newAuthority(t, "servers"), tlsFiles(t)
	cert, key := ca.issue(1, time.Now().Add(time.Hour))
	write(t, map[string][]byte{files.Cert: cert, files.Key: key, files.ClientCA: ca.pem})
	r := start(t, synced(shop()...), func(c *server.Config) {
		c.TLS, c.AdminTLS, c.AdminListen = files, true, "0.0.0.0:0"
	})
	_, port, _ := net.SplitHostPort(r.AdminAddr())
	page := func(certified *authority, path string) (int, error) {
		transport := &http.Transport{TLSClientConfig: ca.client(certified)}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Get("https://127.0.0.1:" + port + path)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/debug/pprof/": 200} {
		if code, err := page(ca, path); err != nil || code != want {
			t.Errorf("%s: %d, %v", path, code, err)
		}
	}
	if code, err := page(nil, "/metrics"); err == nil {
		t.Errorf("without a certificate: %d", code)
	}
	if resp, err := http.Get("http://127.0.0.1:" + port + "/metrics"); err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Error("plaintext is answered")
		}
	}
	http.DefaultClient.CloseIdleConnections()
	// A changed file is used for new connections.
	other := newAuthority(t, "others")
	write(t, map[string][]byte{files.ClientCA: other.pem})
	if code, err := page(ca, "/metrics"); err == nil {
		t.Errorf("a client of the old authority: %d", code)
	}
	if code, err := page(other, "/metrics"); err != nil || code != http.StatusOK {
		t.Errorf("a client of the new authority: %d, %v", code, err)
	}
	config := server.Defaults()
	config.Source, config.AdminTLS = synced(), true
	if err := config.Validate(); err == nil || !strings.HasPrefix(err.Error(), "Config.AdminTLS true: it needs --tls-cert") {
		t.Errorf("without TLS: %v", err)
	}
}

// P33: beyond the loopback, there are no profiles for everybody.
func TestP33NoProfilesBeyondTheLoopback(t *testing.T) {
	t.Parallel()
	r := start(t, synced(), func(c *server.Config) { c.AdminListen = "0.0.0.0:0" })
	for path, want := range map[string]int{
		"/": 200, "/metrics": 200, "/debug/pprof/": 404, "/debug/pprof/heap": 404, "/debug/pprof/profile": 404,
		"/debug/pprof/symbol": 404, "/debug/pprof/trace": 404,
	} {
		code, body := get(t, r, path)
		if code != want || strings.Contains(body, "pprof") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
