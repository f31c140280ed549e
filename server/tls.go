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

// TLSFiles are the PEM files that secure the gRPC port. Changed files are loaded at the next connection,
// without a restart. If they do not load, that is logged and counted, and the last good ones stay in use.
// Files that do not load at the start are an error of [New]. The lowest version is TLS 1.2.
type TLSFiles struct {
	// Cert is the server's certificate, followed by its intermediates. Empty serves plaintext.
	Cert string
	// Key is its private key.
	Key string
	// ClientCA are the authorities of client certificates. If set, a client must present a certificate that
	// they signed.
	ClientCA string
}

// enabled reports whether any file is given.
func (f *TLSFiles) enabled() bool { return *f != TLSFiles{} }

func (f *TLSFiles) validate() error {
	if f.enabled() && (f.Cert == "" || f.Key == "") {
		return &FieldError{
			Fields: []Field{{Name: "TLS.Cert"}, {Name: "TLS.Key"}},
			Err: errors.New("give both; to serve plaintext give neither, and no authorities of client " +
				"certificates"),
		}
	}
	return nil
}

// load returns the configuration of new connections, from the files as they are now.
func (f *TLSFiles) load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, &FieldError{
			Fields: []Field{{Name: "TLS.Cert", Value: f.Cert}, {Name: "TLS.Key", Value: f.Key}},
			Err:    fmt.Errorf("%w: give PEM files of one key pair", err),
		}
	}
	config := baseTLS()
	config.Certificates = []tls.Certificate{cert}
	if f.ClientCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, fieldError("TLS.ClientCA", "", fmt.Errorf("%w: give a PEM file of certificate authorities", err))
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fieldError("TLS.ClientCA", f.ClientCA,
			errors.New("no certificate in it: give a PEM file of certificate authorities"))
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}

// baseTLS returns what all connections have in common. Sessions are not resumed, because that would skip the
// check of the client's certificate against changed authorities. Connections are few and long anyway.
func baseTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, SessionTicketsDisabled: true}
}

// httpConfig returns the configuration of a listener of net/http, which also speaks HTTP/1.1.
func (r *tlsReloader) httpConfig() *tls.Config {
	config := baseTLS()
	config.NextProtos = httpProtos
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		present := r.present().Clone()
		present.NextProtos = httpProtos
		return present, nil
	}
	return config
}

var httpProtos = []string{"h2", "http/1.1"}

// Bounds of a look at the files. A mount that hangs must not keep connections waiting.
const (
	// lookTimeout is how long a connection waits for a look. It then gets the last good files.
	lookTimeout = time.Second
	// lookAgain is how long after a look that does not end another one begins, and maxStuck how many may not end.
	lookAgain = 10 * time.Second
	maxStuck  = 8
)

// A tlsReloader returns the configuration of each new connection from the present files. It is safe for
// concurrent use.
type tlsReloader struct {
	files  TLSFiles
	log    *slog.Logger
	report func(error)
	// before is called at the beginning of each look; nil but in tests.
	before func()

	// mu guards the rest.
	mu      sync.Mutex
	current *tls.Config
	loaded  []os.FileInfo
	// rejected is the error of the last change that did not load, so that it is logged once.
	rejected string
	// looking is the look in progress; nil for none. stuck counts those before it that have not ended.
	looking *look
	stuck   int
	// looks counts looks, and seen is the last whose result counts.
	looks, seen int
}

// A look reads the files once.
type look struct {
	number  int
	began   time.Time
	done    chan struct{}
	overdue bool
	stuck   bool
}

// newTLSReloader loads the files. It calls report for each later change, with nil if the change was accepted.
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

// config returns the configuration of a listener.
func (r *tlsReloader) config() *tls.Config {
	config := baseTLS()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return r.present(), nil }
	return config
}

// reload loads files that have changed and logs that, or logs that none has.
func (r *tlsReloader) reload() {
	r.mu.Lock()
	before := r.current
	r.rejected = "" // logs files again that still do not load
	r.mu.Unlock()
	now := r.present()
	r.mu.Lock()
	defer r.mu.Unlock()
	if now == before && r.rejected == "" {
		r.log.Info("TLS files have not changed", "cert", r.files.Cert)
	}
}

// present returns the configuration of the files as they are now, or of the last good ones.
func (r *tlsReloader) present() *tls.Config {
	r.mu.Lock()
	l := r.looking
	if l != nil && l.overdue && time.Since(l.began) > lookAgain && r.stuck < maxStuck {
		l.stuck = true
		r.stuck++
		l = nil
	}
	if l == nil {
		r.looks++
		l = &look{number: r.looks, began: time.Now(), done: make(chan struct{})}
		r.looking = l
		go r.look(l)
	}
	wait := !l.overdue
	r.mu.Unlock()
	if wait {
		timer := time.NewTimer(lookTimeout)
		defer timer.Stop()
		select {
		case <-l.done:
		case <-timer.C:
			r.overdue(l)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// look reads the files if they have changed, and takes what it finds.
func (r *tlsReloader) look(l *look) {
	if r.before != nil {
		r.before()
	}
	r.mu.Lock()
	loaded := r.loaded
	r.mu.Unlock()
	now, err := r.stat()
	var changed *tls.Config
	same := err == nil && sameFiles(now, loaded)
	if err == nil && !same {
		changed, err = r.files.load()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(l.done)
	if r.looking == l {
		r.looking = nil
	}
	if l.stuck {
		r.stuck--
	}
	if l.number < r.seen {
		return // a later look was faster
	}
	r.seen = l.number
	switch {
	case err != nil:
		r.reject(err)
	case same:
		r.rejected = ""
	default:
		r.current, r.loaded, r.rejected = changed, now, ""
		r.report(nil)
		r.describe()
	}
}

// overdue tells of a look that does not end.
func (r *tlsReloader) overdue(l *look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.looking == l && !l.overdue {
		l.overdue = true
		r.reject(fmt.Errorf("the TLS files cannot be read to their end within %v: does their mount hang?", lookTimeout))
	}
}

// reject tells of files that do not load, once.
func (r *tlsReloader) reject(err error) {
	if r.rejected == err.Error() {
		return
	}
	r.rejected = err.Error()
	r.report(err)
	r.log.Error("changed TLS files rejected; the last good ones stay in use", "error", err)
}

func (r *tlsReloader) stat() ([]os.FileInfo, error) {
	var infos []os.FileInfo
	for _, file := range []Field{
		{"TLS.Cert", r.files.Cert}, {"TLS.Key", r.files.Key}, {"TLS.ClientCA", r.files.ClientCA},
	} {
		if file.Value == "" {
			continue
		}
		info, err := os.Stat(file.Value)
		if err != nil {
			return nil, fieldError(file.Name, "", fmt.Errorf("%w: give a PEM file", err))
		}
		if !info.Mode().IsRegular() { // reading a pipe might never end
			return nil, fieldError(file.Name, file.Value, errors.New("it is no regular file: give a PEM file"))
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

// describe logs which certificate is in use, and warns if no client would accept it.
func (r *tlsReloader) describe() {
	leaf := r.current.Certificates[0].Leaf
	log := r.log.With("cert", r.files.Cert, "not_after", leaf.NotAfter, "client_certificate_required",
		r.files.ClientCA != "")
	if time.Now().After(leaf.NotAfter) {
		log.Warn("the certificate of the TLS files has expired; clients will refuse it until it is replaced")
		return
	}
	log.Info("TLS files loaded")
}
