//go:build linux

package hostile

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// startTLS is start with TLS, whose key is in the file that it returns.
func startTLS(t *testing.T) (n *child, key string) {
	t.Helper()
	dir := t.TempDir()
	cert := filepath.Join(dir, "tls.crt")
	key = filepath.Join(dir, "tls.key")
	writePair(t, cert, key)
	n = start(t, writeCluster(t), "--tls-cert", cert, "--tls-key", key)
	n.ca = cert
	return n, key
}

// writePair writes a key and its certificate.
func writePair(t *testing.T, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, certErr := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	secret, keyErr := x509.MarshalPKCS8PrivateKey(private)
	if err := errors.Join(certErr, keyErr,
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// askOnce asks one question on a connection of its own.
func (n *child) askOnce(ctx context.Context, q question) error {
	conn, err := plainOrTLS(n.addr, n.ca)
	if err != nil {
		return err
	}
	answer, err := netpoldv1.NewDecisionServiceClient(conn).Allowed(ctx, q.request)
	if err == nil && answer.GetAllowed() != q.allowed {
		err = errors.New("it is answered wrongly")
	}
	return errors.Join(err, conn.Close())
}

// Connections that begin to say hello, and say no more, take nothing of those that do.
func TestHalfATLSHello(t *testing.T) {
	n, _ := startTLS(t)
	hello := append([]byte{22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3}, make([]byte, 100)...) // of 256 bytes
	var opened, asked atomic.Int64
	n.enough = func() bool { return opened.Load() >= 2000 && asked.Load() >= 20 }
	n.besiege(t, attackTime, func(ctx context.Context) {
		var asking sync.WaitGroup
		defer asking.Wait()
		asking.Go(func() {
			each(ctx, 1, func(context.Context, string) {
				if err := n.askOnce(t.Context(), questions()[0]); err != nil {
					t.Errorf("on a new connection beside %d: %v", opened.Load(), err)
				}
				asked.Add(1)
			})
		})
		each(ctx, 2000, func(ctx context.Context, from string) { silent(hello)(ctx, n, from, &opened) })
	})
	if opened.Load() < 2000 {
		t.Errorf("%d connections were opened", opened.Load())
	}
}

// A key that cannot be read to its end holds up no connection, and a good one is taken afterwards.
func TestATLSKeyThatHangs(t *testing.T) {
	n, key := startTLS(t)
	if err := errors.Join(os.Remove(key), syscall.Mkfifo(key, 0o600)); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	n.enough = func() bool { return asked.Load() >= 20 }
	n.besiege(t, attackTime, func(ctx context.Context) {
		each(ctx, 4, func(context.Context, string) {
			if err := n.askOnce(t.Context(), questions()[0]); err != nil {
				t.Errorf("on a new connection, the %d.: %v", asked.Load(), err)
			}
			asked.Add(1)
		})
	})
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	writePair(t, n.ca, key) // of which old connections know nothing
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := n.askOnce(ctx, questions()[0])
	for err != nil && ctx.Err() == nil {
		err = n.askOnce(ctx, questions()[0])
	}
	if err != nil {
		t.Errorf("with another key: %v", err)
	}
}
