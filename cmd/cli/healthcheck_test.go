package cli_test

import (
	"net"
	"testing"

	"github.com/netpold/netpold/server/servertest"
)

// TestHealthcheck: the exit code says whether a server, or one of its services, serves.
func TestHealthcheck(t *testing.T) {
	instance := servertest.Start(t)
	address := "--server=" + instance.Addr()
	for _, service := range []string{"", "readiness", "netpold.v1.DecisionService", "netpold.v1.StatusService"} {
		netpold(t, "healthcheck", address, "--service", service).want(t, 0, "", "")
	}
	netpoldWith(t, []string{"NETPOLD_SERVER=" + instance.Addr()}, "", "healthcheck").want(t, 0, "", "")
}

// TestHealthcheckFails: every failure is exit code 1, for 2 means something else to Docker.
func TestHealthcheckFails(t *testing.T) {
	address := "--server=" + servertest.Start(t).Addr()
	mute, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"unknown service": {[]string{address, "--service=x"},
			"netpold: --service x: the server has no such service: give readiness, netpold.v1.DecisionService, netpold.v1.StatusService, or leave it out\n"},
		"nobody there": {[]string{"--server=127.0.0.1:1"}, "netpold: --server 127.0.0.1:1: cannot be asked: "},
		"no answer": {[]string{"--server=" + mute.Addr().String(), "--timeout=50ms"},
			"netpold: --server " + mute.Addr().String() + ": no answer within 50ms: "},
		"TLS on one end": {[]string{address, "--tls"},
			"is netpold serving there, and with TLS or without as here (--tls)?\n"},
		"no CA": {[]string{address, "--tls-ca=/nowhere/ca"},
			"netpold: --tls-ca: open /nowhere/ca: no such file"},
		"no address": {[]string{"--server=\x00"}, "give HOST:PORT, for example 127.0.0.1:9480"},
		"no port": {[]string{"--server=127.0.0.1"},
			`netpold: --server: "127.0.0.1" names no server: missing port in address: give HOST:PORT`},
		"no settings": {[]string{address, "--config=/nowhere/c"}, "netpold: --config /nowhere/c: no such file"},
		"a word":      {[]string{"x"}, `netpold: "x": healthcheck takes no words, only flags`},
	} {
		t.Run(name, func(t *testing.T) {
			code := 1
			if name == "a word" { // the command is wrong, whatever the server does
				code = 2
			}
			netpold(t, append([]string{"healthcheck"}, test.args...)...).want(t, code, "", test.want)
		})
	}
}

func TestHealthcheckOverTLS(t *testing.T) {
	cert, key := keyPair(t, "netpold.test")
	i := serve(t, "--manifests", writeFile(t, "cluster.yaml", cluster), "--tls-cert", cert, "--tls-key", key)
	netpold(t, "healthcheck", "--server", i.addr, "--tls-ca", cert, "--tls-server-name=netpold.test").
		want(t, 0, "", "")
	netpold(t, "healthcheck", "--server", i.addr, "--tls").want(t, 1, "", "cannot be asked: ")
}
