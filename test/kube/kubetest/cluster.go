package kubetest

import (
	"context"
	"crypto/rsa"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// How long the programs may take on a busy machine.
const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 20 * time.Second
)

const (
	adminToken = "admin"
	issuer     = "https://kubernetes.default.svc"
)

// Cluster is an API server with its etcd. Its methods are for one goroutine at a time; the clients that it gives are for any.
type Cluster struct {
	tb  testing.TB
	dir string
	key *rsa.PrivateKey
	ca  authority

	etcd, apiserver                   *Process
	etcdAddr, etcdPeerAddr, serveAddr string
	extraArgs                         []string
	// lives counts the data directories of etcd.
	lives int
}

// Start runs a cluster until the test ends. It is ready when Start returns. args are further flags of the API server.
func Start(tb testing.TB, args ...string) *Cluster {
	tb.Helper()
	addrs := FreeAddrs(tb, 3)
	c := &Cluster{
		tb: tb, dir: tb.TempDir(), extraArgs: args,
		etcdAddr: addrs[0], etcdPeerAddr: addrs[1], serveAddr: addrs[2],
	}
	c.writeCredentials()
	c.startEtcd()
	c.StartAPIServer()
	return c
}

func (c *Cluster) startEtcd() {
	c.tb.Helper()
	client, peer := "http://"+c.etcdAddr, "http://"+c.etcdPeerAddr
	c.etcd = start(c.tb, "etcd", etcdProgram.build(c.tb), []string{
		"--data-dir=" + filepath.Join(c.dir, fmt.Sprintf("etcd-%d", c.lives)),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer,
		"--unsafe-no-fsync", "--log-level=error", "--quota-backend-bytes=4294967296",
	}, nil)
	c.await(c.etcd, func(ctx context.Context) error { return get(ctx, http.DefaultClient, client+"/health") })
}

// StartAPIServer starts the API server, on the address that it had before, and waits until it is ready.
func (c *Cluster) StartAPIServer() {
	c.tb.Helper()
	c.apiserver = start(c.tb, "kube-apiserver", apiserverProgram.build(c.tb), slices.Concat([]string{
		"--etcd-servers=http://" + c.etcdAddr,
		"--bind-address=127.0.0.1", "--secure-port=" + c.serveAddr[strings.LastIndexByte(c.serveAddr, ':')+1:],
		"--cert-dir=" + c.dir, "--client-ca-file=" + c.path("clients.crt"),
		"--service-account-key-file=" + c.path("sa.key"), "--service-account-signing-key-file=" + c.path("sa.key"),
		"--service-account-issuer=" + issuer, "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/108",
		"--authorization-mode=RBAC", "--token-auth-file=" + c.path("tokens.csv"),
		"--disable-admission-plugins=ServiceAccount",
	}, c.extraArgs), nil)
	c.await(c.apiserver, func(ctx context.Context) error {
		if _, err := os.Stat(c.path("apiserver.crt")); err != nil {
			return err
		}
		client, err := rest.HTTPClientFor(c.Admin())
		if err != nil {
			return err
		}
		return get(ctx, client, "https://"+c.serveAddr+"/readyz")
	})
}

// StopAPIServer ends the API server as a rollout does; watches end with it.
func (c *Cluster) StopAPIServer() {
	// It may still be letting requests end at the deadline, which is no concern of the tests.
	_ = c.apiserver.Stop(stopTimeout)
}

// KillAPIServer ends the API server as a power cut does.
func (c *Cluster) KillAPIServer() { c.apiserver.Kill() }

// APIServer is the running API server.
func (c *Cluster) APIServer() *Process { return c.apiserver }

// RestartEtcd ends etcd as a power cut does, and starts it again with what it had stored.
func (c *Cluster) RestartEtcd() {
	c.tb.Helper()
	c.etcd.Kill()
	c.startEtcd()
}

// EmptyEtcd ends both, and starts them again with nothing stored: resource versions begin anew.
func (c *Cluster) EmptyEtcd() {
	c.tb.Helper()
	c.apiserver.Kill()
	c.etcd.Kill()
	c.lives++
	c.startEtcd()
	c.StartAPIServer()
}

// Compact makes etcd forget everything before now, as the API server does every five minutes.
func (c *Cluster) Compact(ctx context.Context) {
	c.tb.Helper()
	etcd := c.store()
	defer etcd.Close() //nolint:errcheck // nothing is lost
	now, err := etcd.Get(ctx, "compact_rev_key")
	if err != nil {
		c.tb.Fatalf("etcd: %v", err)
	}
	if _, err := etcd.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		c.tb.Fatalf("compacting etcd: %v", err)
	}
}

// Unstore deletes everything below a path of etcd behind the API server's back, and tells how much that was.
func (c *Cluster) Unstore(ctx context.Context, path string) int64 {
	c.tb.Helper()
	etcd := c.store()
	defer etcd.Close() //nolint:errcheck // nothing is lost
	gone, err := etcd.Delete(ctx, path, clientv3.WithPrefix())
	if err != nil {
		c.tb.Fatalf("deleting %s from etcd: %v", path, err)
	}
	return gone.Deleted
}

// store is a client of etcd.
func (c *Cluster) store() *clientv3.Client {
	c.tb.Helper()
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + c.etcdAddr}, DialTimeout: startTimeout})
	if err != nil {
		c.tb.Fatalf("etcd: %v", err)
	}
	return etcd
}

// Admin is how to reach the API server with all rights, and without a limit on requests.
func (c *Cluster) Admin() *rest.Config {
	return &rest.Config{
		Host: "https://" + c.serveAddr, BearerToken: adminToken, QPS: -1, WarningHandler: rest.NoWarnings{},
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.path("apiserver.crt")},
	}
}

// Client is a typed client with all rights.
func (c *Cluster) Client() kubernetes.Interface {
	c.tb.Helper()
	client, err := kubernetes.NewForConfig(c.Admin())
	if err != nil {
		c.tb.Fatalf("client: %v", err)
	}
	return client
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// await waits until a program answers, or has ended before it did.
func (c *Cluster) await(p *Process, condition func(context.Context) error) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), startTimeout)
	defer cancel()
	go func() {
		select {
		case <-p.Ended():
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := until(ctx, condition); err != nil {
		p.Kill()
		c.tb.Fatalf("%s is not ready: %v\n%s", p.name, err, p.Output())
	}
}

// get asks for a page, and takes nothing but 200 for an answer.
func get(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}
