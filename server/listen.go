package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// unixScheme begins the address of a Unix socket: unix:///PATH.
const unixScheme = "unix://"

// listenForms says what an address to listen on looks like.
const listenForms = "give HOST:PORT, for example 127.0.0.1:9480; port 0 takes a free one"

// whoMayAsk is the error of a port that everybody could ask, with the remedies (P32).
const whoMayAsk = "others than this machine reach it, and nothing says who may ask: require certificates of clients " +
	"with --tls-cert, --tls-key and --tls-client-ca, or tokens with --tls-cert, --tls-key and --kube-authz; or listen " +
	"on 127.0.0.1 or unix:///PATH; or let everybody who can connect ask, with --insecure"

// whoMayAskByHTTP is that of the port of forward-auth, where TrustedProxies alone is not enough: an address proves
// little.
const whoMayAskByHTTP = "others than this machine reach it, and nothing says who may ask: require certificates of " +
	"proxies with --tls-cert, --tls-key and --tls-client-ca; or listen on 127.0.0.1; or let everybody of " +
	"--trusted-proxies ask, with --insecure"

// unixPath returns the path of address, if that is a Unix socket.
func unixPath(address string) (path string, ok bool) { return strings.CutPrefix(address, unixScheme) }

// wrongListen returns what is wrong with an address to listen on; "" if nothing.
func wrongListen(address string) string {
	switch path, ok := unixPath(address); {
	case address == "":
		return listenForms + ", or unix:///PATH"
	case ok && (!strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/")):
		return "give unix:///PATH, for example unix:///run/netpold/grpc.sock"
	case ok && len(path) > maxSocketPath:
		return fmt.Sprintf("give a path of at most %d bytes: a Unix socket has no longer name", maxSocketPath)
	}
	return ""
}

// beyondLoopback reports whether others than this machine can reach an address to listen on. A name counts as
// what it resolves to; of one that does not resolve, listening fails.
func beyondLoopback(address string) bool {
	if _, ok := unixPath(address); ok {
		return false
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false // listening fails
	}
	if host == "" {
		return true
	}
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = net.DefaultResolver.LookupNetIP(context.Background(), "ip", host); err != nil {
		return false
	}
	for _, ip := range ips {
		if !ip.Unmap().IsLoopback() {
			return true
		}
	}
	return false
}

// listen opens a port, or a Unix socket. The error names field, a field of [Config].
func listen(field, address string) (net.Listener, error) {
	if path, ok := unixPath(address); ok {
		listener, err := listenUnix(path)
		if err != nil {
			return nil, fieldError(field, address, err)
		}
		return listener, nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err == nil {
		return listener, nil
	}
	remedy := listenForms
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "another process has the port: stop it, or give another one; port 0 takes a free one"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "this machine has no such address: give one of its own, or 0.0.0.0 for all"
	case errors.Is(err, syscall.EACCES):
		remedy = "ports below 1024 are not for everyone: give a higher one"
	}
	return nil, fieldError(field, address, fmt.Errorf("%w: %s", err, remedy))
}

// textOf returns the address of a listener in the form that [Config].Listen takes.
func textOf(listener net.Listener) string {
	if addr := listener.Addr(); addr.Network() == "unix" {
		return unixScheme + addr.String()
	}
	return listener.Addr().String()
}
