package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxBearer is the largest bearer token, in bytes. Those of Kubernetes have about a thousand.
const maxBearer = 64 << 10

// A bearer sends the token of a file with each call, as a server with --kube-authz wants it (P36). The file is read for
// each call, since tokens are renewed in place. It is safe for concurrent use.
type bearer struct {
	file string
	// local means that nobody else is on the way to the server: then TLS is not needed.
	local bool
}

// GetRequestMetadata implements [credentials.PerRPCCredentials].
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := b.read()
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity implements [credentials.PerRPCCredentials].
func (b bearer) RequireTransportSecurity() bool { return !b.local }

// read returns the token. Errors have nothing of it.
func (b bearer) read() (string, error) {
	const remedy = "give a file with one, as kubectl create token NAME --audience=netpold writes it"
	if strings.HasPrefix(b.file, "eyJ") { // as all tokens of Kubernetes begin: it is not told
		return "", errors.New("--bearer-token-file: that is a token itself: " + remedy)
	}
	if info, err := os.Stat(b.file); err == nil && !info.Mode().IsRegular() { // a pipe can be read once, or never ends
		return "", fmt.Errorf("--bearer-token-file %s: it is no regular file, and is read for each call: %s", b.file, remedy)
	}
	f, err := os.Open(b.file)
	if err != nil {
		return "", fmt.Errorf("--bearer-token-file: %w: %s", err, remedy)
	}
	defer f.Close() //nolint:errcheck // nothing is written
	content, err := io.ReadAll(io.LimitReader(f, maxBearer+1))
	if err != nil {
		return "", fmt.Errorf("--bearer-token-file: %w: %s", err, remedy)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || len(content) > maxBearer || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("--bearer-token-file %s: it has no bearer token, or more than one: %s", b.file, remedy)
	}
	return token, nil
}

// bearerOf returns what sends the token of a file to a server.
func bearerOf(file, server string, secure bool) (bearer, error) {
	b := bearer{file: file, local: onThisMachine(server)}
	if !secure && !b.local {
		return bearer{}, errors.New("--bearer-token-file: others on the way to --server could read the token: ask over TLS, " +
			"with --tls-ca or --tls, or at an address of this machine, such as 127.0.0.1:9480")
	}
	_, err := b.read()
	return b, err
}

// onThisMachine reports whether a target is a Unix socket or on the loopback. A name is not, not even localhost: who answers
// for names says where it is.
func onThisMachine(target string) bool {
	if strings.HasPrefix(target, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
