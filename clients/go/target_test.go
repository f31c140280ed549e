package netpold_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver/manual"

	netpold "github.com/netpold/netpold/clients/go"
)

// TestTargets proves that a target needs a port, which gRPC would not require, or another form.
func TestTargets(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"127.0.0.1:9480": "", "[::1]:9480": "", "netpold.netpold.svc:9480": "", "localhost:1": "", ":9480": "",
		"x:65535":                         "",
		"dns:///netpold.netpold.svc:9480": "", "dns://10.0.0.10/netpold:9480": "", "dns:netpold:9480": "",
		"unix:///run/netpold.sock": "",
		"unix:netpold.sock":        "", "unix-abstract:netpold": "", "passthrough:///x": "",

		"":                      "missing port in address",
		"127.0.0.1":             "missing port in address",
		"localhost":             "missing port in address",
		"[::1]":                 "missing port in address",
		"::1":                   "too many colons in address",
		"dns:///netpold":        "missing port in address",
		"dns://netpold:9480":    "missing port in address",
		"dns:9480":              "missing port in address",
		"unix://":               `nothing follows "unix:"`,
		"x:":                    `"" is no port from 1 to 65535`,
		"x:0":                   `"0" is no port from 1 to 65535`,
		"x:65536":               `"65536" is no port from 1 to 65535`,
		"x:-1":                  `"-1" is no port from 1 to 65535`,
		"x:grpc":                `"grpc" is no port from 1 to 65535`,
		"x:9480/":               `"9480/" is no port from 1 to 65535`,
		"http://127.0.0.1:9480": `"http://" is no way to name a server`,
	} {
		err := netpold.CheckTarget(target)
		client, dialErr := netpold.Dial(target, netpold.WithInsecure())
		if dialErr == nil {
			if err := client.Close(); err != nil {
				t.Error(err)
			}
		}
		if want == "" {
			if err != nil || dialErr != nil {
				t.Errorf("%q: %v, %v", target, err, dialErr)
			}
			continue
		}
		want += ": give HOST:PORT, for example 127.0.0.1:9480 or [::1]:9480, or dns:///HOST:PORT or unix:///PATH"
		if err == nil || err.Error() != want || dialErr == nil || !strings.HasSuffix(dialErr.Error(), want) {
			t.Errorf("%q: %v, %v, want %s", target, err, dialErr, want)
		}
	}
}

// TestOwnResolver proves that schemes of the caller's resolvers are accepted.
func TestOwnResolver(t *testing.T) {
	t.Parallel()
	own := netpold.WithDialOptions(grpc.WithResolvers(manual.NewBuilderWithScheme("replicas")))
	client, err := netpold.Dial("replicas:///netpold", netpold.WithInsecure(), own)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if _, err := netpold.Dial("127.0.0.1", netpold.WithInsecure(), own); err == nil {
		t.Error("a target without a port is taken")
	}
}
