package kubetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	netpold "github.com/netpold/netpold/clients/go"
)

// Netpold is the real netpold, serving. Its methods are for one goroutine at a time; its clients are for any.
type Netpold struct {
	*Process
	// Addr is where it answers questions, AdminAddr where its admin pages are.
	Addr, AdminAddr string

	tb   testing.TB
	path string
	args []string
}

// StartNetpold serves until the test ends; args are further flags of "netpold serve". It may not be ready yet.
func StartNetpold(tb testing.TB, args ...string) *Netpold {
	tb.Helper()
	return StartNetpoldAt(tb, netpoldProgram.build(tb), args...)
}

// StartNetpoldAt does what StartNetpold does, with the netpold at path.
func StartNetpoldAt(tb testing.TB, path string, args ...string) *Netpold {
	tb.Helper()
	addrs := FreeAddrs(tb, 2)
	n := &Netpold{Addr: addrs[0], AdminAddr: addrs[1], tb: tb, path: path, args: args}
	n.Start()
	return n
}

// Start serves again, on the same addresses, after the process has ended.
func (n *Netpold) Start() {
	n.tb.Helper()
	n.Process = start(n.tb, "netpold", n.path, slices.Concat(
		[]string{"serve", "--listen=" + n.Addr, "--admin-listen=" + n.AdminAddr, "--log-format=json"}, n.args), nil)
}

// AwaitReady waits until questions are answered.
func (n *Netpold) AwaitReady() {
	n.tb.Helper()
	Eventually(n.tb, startTimeout, func(ctx context.Context) error {
		if err := n.check(); err != nil {
			n.tb.Fatal(err)
		}
		_, err := n.Page(ctx, "/readyz")
		return err
	})
}

// Page is what an admin page says; an error if its code is not 200.
func (n *Netpold) Page(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.AdminAddr+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read already
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, resp.Status, body)
	}
	return string(body), err
}

// Client asks this netpold until the test ends.
func (n *Netpold) Client() *netpold.Client { return Dial(n.tb, n) }

// Dial makes a client that goes round replicas, as it does round the addresses of a headless Service.
func Dial(tb testing.TB, replicas ...*Netpold) *netpold.Client {
	tb.Helper()
	addresses := make([]resolver.Address, len(replicas))
	for i, n := range replicas {
		addresses[i] = resolver.Address{Addr: n.Addr}
	}
	names := manual.NewBuilderWithScheme("replicas")
	names.InitialState(resolver.State{Addresses: addresses})
	client, err := netpold.Dial("replicas:///netpold", netpold.WithInsecure(), netpold.WithDialOptions(grpc.WithResolvers(names)))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := client.Close(); err != nil {
			tb.Error(err)
		}
	})
	return client
}

// Run runs the netpold command to its end, and gives what it printed.
func Run(tb testing.TB, args ...string) (output string, err error) {
	tb.Helper()
	p := start(tb, "netpold "+args[0], netpoldProgram.build(tb), args, nil)
	select {
	case <-p.Ended():
		return p.Output(), p.err
	case <-time.After(startTimeout):
		p.Kill()
		return p.Output(), fmt.Errorf("netpold %v did not end within %v", args, startTimeout)
	}
}

// StartReflector lists with client-go alone all that netpold reads, writes how many objects there were, and waits to be ended.
// args are further ones of cmd/reflector.
func StartReflector(tb testing.TB, kubeconfig, context string, args ...string) *Process {
	tb.Helper()
	return start(tb, "reflector", reflectorProgram.build(tb), append([]string{kubeconfig, context}, args...), nil)
}
