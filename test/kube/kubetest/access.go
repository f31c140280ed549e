package kubetest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmd "k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// AccountToken is that of the ServiceAccount netpold in the namespace netpold. It never expires, and outlives the ServiceAccount.
const AccountToken = "netpold"

// authority signs the certificates of clients.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// writeCredentials makes the keys that the API server trusts, and an admin's token.
func (c *Cluster) writeCredentials() {
	c.tb.Helper()
	var err error
	if c.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		c.tb.Fatal(err)
	}
	writePEM(c.tb, c.path("sa.key"), "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(c.key))
	writeFile(c.tb, c.path("tokens.csv"), []byte(adminToken+",admin,admin,system:masters\n"+
		AccountToken+",system:serviceaccount:netpold:netpold,netpold,"+
		"\"system:serviceaccounts,system:serviceaccounts:netpold,system:authenticated\"\n"))

	if c.ca.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		c.tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients of the test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, c.ca.key.Public(), c.ca.key)
	if err != nil {
		c.tb.Fatal(err)
	}
	if c.ca.cert, err = x509.ParseCertificate(der); err != nil {
		c.tb.Fatal(err)
	}
	writePEM(c.tb, c.path("clients.crt"), "CERTIFICATE", der)
}

// Token is a ServiceAccount's, good until it expires; API servers grant a minute more than that. The API server itself gives none for
// less than ten minutes, so it is signed here with its key. The ServiceAccount must exist.
func (c *Cluster) Token(ctx context.Context, namespace, name string, lifetime time.Duration) string {
	c.tb.Helper()
	account, err := c.Client().CoreV1().ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		c.tb.Fatalf("ServiceAccount: %v", err)
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": issuer, "aud": []string{issuer}, "sub": "system:serviceaccount:" + namespace + ":" + name,
		"iat": now.Add(-time.Hour).Unix(), "nbf": now.Add(-time.Hour).Unix(), "exp": now.Add(lifetime).Unix(),
		"kubernetes.io": map[string]any{
			"namespace": namespace, "serviceaccount": map[string]any{"name": name, "uid": account.UID},
		},
	})
	if err != nil {
		c.tb.Fatal(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, c.key, crypto.SHA256, digest[:])
	if err != nil {
		c.tb.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// WriteToken puts a token where a kubeconfig of [Cluster.Kubeconfig] looks for it, in one step as a kubelet does.
func WriteToken(tb testing.TB, path, token string) {
	tb.Helper()
	writeFile(tb, path+".new", []byte(token))
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}

// Credentials are files that say who somebody is: a token, or a client certificate with its key.
type Credentials struct{ TokenFile, CertFile, KeyFile string }

// WriteCertificate puts a client certificate of a user, good for the lifetime, with its key where credentials say, each in one step.
func (c *Cluster) WriteCertificate(to Credentials, user string, lifetime time.Duration) {
	c.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: user},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.ca.cert, key.Public(), c.ca.key)
	if err != nil {
		c.tb.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		c.tb.Fatal(err)
	}
	writePEM(c.tb, to.KeyFile+".new", "PRIVATE KEY", private)
	writePEM(c.tb, to.CertFile+".new", "CERTIFICATE", der)
	for _, path := range []string{to.KeyFile, to.CertFile} {
		if err := os.Rename(path+".new", path); err != nil {
			c.tb.Fatal(err)
		}
	}
}

// Kubeconfig writes a kubeconfig with two contexts: one of the name, whose user has the credentials, and another, the current one,
// that leads nowhere.
func (c *Cluster) Kubeconfig(context string, of Credentials) (path string) {
	c.tb.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: "https://" + c.serveAddr, CertificateAuthority: c.path("apiserver.crt")}
	config.AuthInfos["netpold"] = &clientcmdapi.AuthInfo{TokenFile: of.TokenFile, ClientCertificate: of.CertFile, ClientKey: of.KeyFile}
	config.Contexts[context] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "netpold"}
	config.Clusters["nowhere"] = &clientcmdapi.Cluster{Server: "https://127.0.0.1:1"}
	config.Contexts["nowhere"] = &clientcmdapi.Context{Cluster: "nowhere", AuthInfo: "netpold"}
	config.CurrentContext = "nowhere"
	path = filepath.Join(c.tb.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		c.tb.Fatal(err)
	}
	return path
}

func writePEM(tb testing.TB, path, kind string, der []byte) {
	tb.Helper()
	writeFile(tb, path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func writeFile(tb testing.TB, path string, content []byte) {
	tb.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
}
