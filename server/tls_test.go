package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/internal/logtest"
)

// An authority signs certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue returns a key pair for 127.0.0.1, in PEM.
func (a *authority) issue(serial int64, notAfter time.Time) (cert, key []byte) {
	a.t.Helper()
	private := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: notAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, private.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// certify returns a client's key pair with the names of template.
func (a *authority) certify(template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	private := newKey(a.t)
	template.SerialNumber, template.NotAfter = big.NewInt(7), time.Now().Add(time.Hour)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// client returns a configuration that trusts the authority, and presents a certificate of shows unless that
// is nil.
func (a *authority) client(shows *authority) *tls.Config {
	a.t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(a.cert)
	if shows != nil {
		pair, err := tls.X509KeyPair(shows.issue(99, time.Now().Add(time.Hour)))
		if err != nil {
			a.t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

// tlsFiles returns paths of a server's files in a directory of the test.
func tlsFiles(t testing.TB) server.TLSFiles {
	dir := t.TempDir()
	return server.TLSFiles{
		Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"),
		ClientCA: filepath.Join(dir, "ca.crt"),
	}
}

func write(t testing.TB, files map[string][]byte) {
	t.Helper()
	for path, content := range files {
		// It renames a new file over the old one, as mounts of Secrets do.
		next := path + ".next"
		if err := os.WriteFile(next, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
	}
}

// presented returns the serial number of the certificate that a new connection gets, or an error.
func presented(t *testing.T, r *running, config *tls.Config) (int64, error) {
	t.Helper()
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", r.Addr(), config)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

func askOver(t *testing.T, r *running, config *tls.Config) error {
	t.Helper()
	conn := r.dial(t, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	_, err := netpoldv1.NewDecisionServiceClient(conn).Allowed(soon(t), ask())
	return err
}

// A logBuffer is a log that a test reads while the server writes.
type logBuffer struct{ logtest.Text }

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestP33TLS(t *testing.T) {
	t.Parallel()
	ca, files := newAuthority(t, "servers"), tlsFiles(t)
	files.ClientCA = ""
	cert, key := ca.issue(1, time.Now().Add(time.Hour))
	write(t, map[string][]byte{files.Cert: cert, files.Key: key})
	r := start(t, synced(shop()...), func(c *server.Config) { c.TLS = files })

	if err := askOver(t, r, ca.client(nil)); err != nil {
		t.Errorf("a client that trusts the authority: %v", err)
	}
	if err := askOver(t, r, newAuthority(t, "others").client(nil)); status.Code(err) != codes.Unavailable {
		t.Errorf("a client that does not: %v", err)
	}
	if _, err := r.decisions().Allowed(soon(t), ask()); status.Code(err) != codes.Unavailable {
		t.Errorf("plaintext: %v", err)
	}
	old := ca.client(nil)
	old.MaxVersion = tls.VersionTLS11
	if _, err := presented(t, r, old); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	old.MaxVersion = tls.VersionTLS12
	if _, err := presented(t, r, old); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
}

func TestP33TLSClientCertificates(t *testing.T) {
	t.Parallel()
	servers, clients, files := newAuthority(t, "servers"), newAuthority(t, "clients"), tlsFiles(t)
	cert, key := servers.issue(1, time.Now().Add(time.Hour))
	write(t, map[string][]byte{files.Cert: cert, files.Key: key, files.ClientCA: clients.pem})
	r := start(t, synced(shop()...), func(c *server.Config) { c.TLS = files })

	if err := askOver(t, r, servers.client(clients)); err != nil {
		t.Errorf("a client with a certificate: %v", err)
	}
	if err := askOver(t, r, servers.client(nil)); status.Code(err) != codes.Unavailable {
		t.Errorf("a client without one: %v", err)
	}
	if err := askOver(t, r, servers.client(servers)); status.Code(err) != codes.Unavailable {
		t.Errorf("a client with one of another authority: %v", err)
	}
	// Another authority of clients is used from the next connection on.
	write(t, map[string][]byte{files.ClientCA: servers.pem})
	if err := askOver(t, r, servers.client(servers)); err != nil {
		t.Errorf("a client of the new authority: %v", err)
	}
	if err := askOver(t, r, servers.client(clients)); status.Code(err) != codes.Unavailable {
		t.Errorf("a client of the old authority: %v", err)
	}
}

// Changed files are loaded without a restart. While they do not load, the last good ones stay in use, which
// is logged once.
func TestP33TLSReload(t *testing.T) {
	t.Parallel()
	ca, files, log := newAuthority(t, "servers"), tlsFiles(t), &logBuffer{}
	files.ClientCA = ""
	first, firstKey := ca.issue(1, time.Now().Add(time.Hour))
	second, secondKey := ca.issue(2, time.Now().Add(time.Hour))
	expired, expiredKey := ca.issue(3, time.Now().Add(-time.Minute))
	write(t, map[string][]byte{files.Cert: first, files.Key: firstKey})
	r := start(t, synced(shop()...), func(c *server.Config) { c.TLS, c.Logger = files, log.logger() })
	expect := func(what string, serial int64, taken, refused string) {
		t.Helper()
		for range 2 {
			if got, err := presented(t, r, ca.client(nil)); err != nil || got != serial {
				t.Errorf("%s: certificate %d, %v", what, got, err)
			}
		}
		exposition := metricsOf(t, r)
		if got := exposition[`netpold_tls_reloads_total{result="taken"}`]; got != taken {
			t.Errorf("%s: %q taken", what, got)
		}
		if got := exposition[`netpold_tls_reloads_total{result="refused"}`]; got != refused {
			t.Errorf("%s: %q refused", what, got)
		}
	}
	expect("at first", 1, "0", "0")
	write(t, map[string][]byte{files.Cert: second})
	expect("certificate without its key", 1, "0", "1")
	write(t, map[string][]byte{files.Key: secondKey})
	expect("with it", 2, "1", "1")
	if err := os.Remove(files.Cert); err != nil {
		t.Fatal(err)
	}
	expect("without a certificate", 2, "1", "2")
	write(t, map[string][]byte{files.Cert: second})
	expect("with it again", 2, "2", "2")
	write(t, map[string][]byte{files.Cert: expired, files.Key: expiredKey})
	if _, err := presented(t, r, ca.client(nil)); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired certificate: %v", err)
	}
	for _, record := range []string{"the last good ones stay in use",
		"the certificate of the TLS files has expired"} {
		if !strings.Contains(log.String(), record) {
			t.Errorf("the log does not say %q:\n%s", record, log.String())
		}
	}
}

// Every TLS error stops the start: nothing is served in plaintext instead.
func TestP33TLSThatCannotBeSetUpStopsTheStart(t *testing.T) {
	t.Parallel()
	ca, files := newAuthority(t, "servers"), tlsFiles(t)
	cert, key := ca.issue(1, time.Now().Add(time.Hour))
	_, otherKey := ca.issue(2, time.Now().Add(time.Hour))
	write(t, map[string][]byte{
		files.Cert: cert, files.Key: key, files.ClientCA: ca.pem, files.Cert + ".empty": nil,
		files.Key + ".other": otherKey,
	})
	for name, test := range map[string]struct {
		files server.TLSFiles
		want  string
	}{
		"no key":         {server.TLSFiles{Cert: files.Cert}, "Config.TLS.Cert, Config.TLS.Key: give both"},
		"no certificate": {server.TLSFiles{Key: files.Key}, "Config.TLS.Cert, Config.TLS.Key: give both"},
		"clients alone": {server.TLSFiles{ClientCA: files.ClientCA},
			"Config.TLS.Cert, Config.TLS.Key: give both"},
		"missing file": {server.TLSFiles{Cert: files.Cert + ".none", Key: files.Key},
			"Config.TLS.Cert: stat " + files.Cert + ".none"},
		"not PEM": {server.TLSFiles{Cert: files.Cert + ".empty", Key: files.Key},
			"Config.TLS.Cert " + files.Cert + ".empty"},
		"another's key": {server.TLSFiles{Cert: files.Cert, Key: files.Key + ".other"},
			"give PEM files of one key pair"},
		"missing authority": {server.TLSFiles{Cert: files.Cert, Key: files.Key, ClientCA: files.Cert + ".none"},
			"Config.TLS.ClientCA: stat"},
		"authority not PEM": {server.TLSFiles{Cert: files.Cert, Key: files.Key, ClientCA: files.Cert + ".empty"},
			"no certificate in it"},
		"a key as authority": {server.TLSFiles{Cert: files.Cert, Key: files.Key, ClientCA: files.Key},
			"no certificate in it"},
	} {
		config := server.Defaults()
		config.Source = synced()
		config.Listen, config.AdminListen = "127.0.0.1:0", ""
		config.TLS = test.files
		s, err := server.New(config)
		if err == nil {
			s.Stop()
			t.Errorf("%s: no error", name)
			continue
		}
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Files that cannot be read to their end keep no connection waiting: the last good ones stay in use, that is told once,
// and mended files are taken.
func TestP33TLSFilesThatHang(t *testing.T) {
	t.Parallel()
	ca, files, log := newAuthority(t, "server"), tlsFiles(t), &logBuffer{}
	files.ClientCA = ""
	renew := func(serial int64) {
		cert, key := ca.issue(serial, time.Now().Add(time.Hour))
		write(t, map[string][]byte{files.Cert: cert, files.Key: key})
	}
	renew(1)
	hang, hanging := make(chan struct{}), atomic.Bool{}
	r := startWith(t, synced(shop()...), func(c *server.Config) { c.TLS, c.Logger = files, log.logger() },
		func(s *server.Server) {
			server.SetBeforeTLSLook(s, func() {
				if hanging.Load() {
					<-hang
				}
			})
		})
	expect := func(when string, want int64) {
		t.Helper()
		if got, err := presented(t, r, ca.client(nil)); err != nil || got != want {
			t.Errorf("%s: certificate %d, %v; want %d", when, got, err, want)
		}
	}
	expect("at the start", 1)
	pipe := files.Key + ".pipe"
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Rename(pipe, files.Key)); err != nil {
		t.Fatal(err)
	}
	expect("with a pipe for the key", 1)
	renew(2)
	expect("with a file again", 2)
	hanging.Store(true)
	renew(3)
	for range 3 {
		expect("with files that hang", 2)
	}
	hanging.Store(false)
	close(hang)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if got, err := presented(t, r, ca.client(nil)); err == nil && got == 3 {
			break
		}
	}
	expect("when they no longer hang", 3)
	for part, want := range map[string]int{"it is no regular file": 1, "cannot be read to their end": 1} {
		if n := strings.Count(log.String(), part); n != want {
			t.Errorf("%q is logged %d times:\n%s", part, n, log.String())
		}
	}
}
