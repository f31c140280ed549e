package cli_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// keyPair makes a certificate of its own authority, for the loopback, and its key.
func keyPair(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour),
		IsCA:     true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		writeFile(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})))
}

func TestTLS(t *testing.T) {
	cert, key := keyPair(t, "netpold.test")
	clientCert, clientKey := keyPair(t, "client.test")
	i := serve(t, "--manifests", writeFile(t, "cluster.yaml", cluster),
		"--tls-cert", cert, "--tls-key", key, "--tls-client-ca", clientCert)
	ask := func(args ...string) result {
		return netpold(t, append([]string{
			"check", "--server", i.addr, "--timeout=20s", "shop/web-0", "shop/cart-0", "-p", "8080",
		}, args...)...)
	}
	own := []string{"--tls-client-cert", clientCert, "--tls-client-key", clientKey}
	ask(append(own, "--tls-ca", cert)...).want(t, 0, "allowed", "")
	ask(append(own, "--tls-ca", cert, "--tls-server-name=netpold.test")...).want(t, 0, "allowed", "")
	for name, args := range map[string][]string{
		"plaintext":             nil,
		"no client certificate": {"--tls-ca", cert},
		"unknown authority":     append(own, "--tls"),
		"other name":            append(own, "--tls-ca", cert, "--tls-server-name=other.test"),
	} {
		t.Run(name, func(t *testing.T) {
			ask(args...).want(t, 2, "", "netpold: --server "+i.addr+": cannot be asked: ")
		})
	}
}
