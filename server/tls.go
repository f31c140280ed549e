package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSFiles are the PEM files that secure the gRPC port. They are looked at on each new connection, and a change is taken
// without a restart. A change that does not load is logged and counted, and the last good files stay in use; files that do not
// load at the start stop it. The least version is TLS 1.2.
type TLSFiles struct {
	// Cert is the server's certificate, followed by its intermediates (--tls-cert). Empty serves plaintext.
	Cert string
	// Key is its private key (--tls-key).
	Key string
	// ClientCA are the authorities of client certificates (--tls-client-ca). When set, a client must show one that they signed.
	ClientCA string
}

// enabled says whether the port is to be secured.
func (f *TLSFiles) enabled() bool { return *f != TLSFiles{} }

func (f *TLSFiles) validate() error {
	if f.enabled() && (f.Cert == "" || f.Key == "") {
		return errors.New("--tls-cert, --tls-key: give both, or none of them and no --tls-client-ca to serve plaintext")
	}
	return nil
}

// load reads the files into the configuration of new connections.
func (f *TLSFiles) load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %s, --tls-key %s: %w: give PEM files of one key pair", f.Cert, f.Key, err)
	}
	config := baseTLS()
	config.Certificates = []tls.Certificate{cert}
	if f.ClientCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("--tls-client-ca: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--tls-client-ca %s: no certificate in it: give a PEM file of certificate authorities", f.ClientCA)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}

// baseTLS is what every connection has in common. A resumed session would skip the check of the client's certificate against
// authorities that have changed since, and connections are few and long: no session is resumed.
func baseTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, SessionTicketsDisabled: true}
}

// tlsReloader gives each new connection the configuration of the files as they are then.
type tlsReloader struct {
	files  TLSFiles
	log    *slog.Logger
	report func(error)

	// mu guards the rest.
	mu      sync.Mutex
	current *tls.Config
	loaded  []os.FileInfo
	// refused is the error of the last change that did not load, so that it is told once.
	refused string
}

// newTLSReloader loads the files, or fails. report hears of each later change: nil when it was taken.
func newTLSReloader(files TLSFiles, log *slog.Logger, report func(error)) (*tlsReloader, error) {
	r := &tlsReloader{files: files, log: log, report: report}
	now, err := r.stat()
	if err != nil {
		return nil, err
	}
	if r.current, err = files.load(); err != nil {
		return nil, err
	}
	r.loaded = now
	r.describe()
	return r, nil
}

// config is what a listener uses.
func (r *tlsReloader) config() *tls.Config {
	config := baseTLS()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return r.present(), nil }
	return config
}

func (r *tlsReloader) present() *tls.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := r.stat()
	if err == nil && sameFiles(now, r.loaded) {
		r.refused = ""
		return r.current
	}
	var changed *tls.Config
	if err == nil {
		changed, err = r.files.load()
	}
	if err != nil {
		if r.refused != err.Error() {
			r.refused = err.Error()
			r.report(err)
			r.log.Error("changed TLS files refused; the last good ones stay in use", "error", err)
		}
		return r.current
	}
	r.current, r.loaded, r.refused = changed, now, ""
	r.report(nil)
	r.describe()
	return r.current
}

func (r *tlsReloader) stat() ([]os.FileInfo, error) {
	var infos []os.FileInfo
	for _, file := range []struct{ flag, path string }{
		{"--tls-cert", r.files.Cert}, {"--tls-key", r.files.Key}, {"--tls-client-ca", r.files.ClientCA},
	} {
		if file.path == "" {
			continue
		}
		info, err := os.Stat(file.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.flag, err)
		}
		infos = append(infos, info)
	}
	return infos, nil
}

func sameFiles(a, b []os.FileInfo) bool {
	for i := range a {
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

// describe logs what is in use, and warns of a certificate that no client will take.
func (r *tlsReloader) describe() {
	leaf := r.current.Certificates[0].Leaf
	log := r.log.With("cert", r.files.Cert, "not_after", leaf.NotAfter, "client_certificate_required", r.files.ClientCA != "")
	if time.Now().After(leaf.NotAfter) {
		log.Warn("the certificate of the TLS files has expired; clients will refuse it until it is replaced")
		return
	}
	log.Info("TLS files loaded")
}
