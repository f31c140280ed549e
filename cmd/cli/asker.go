package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/config"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// An asker answers questions: the server's own service in this process, or a client of a running server. Its
// errors are gRPC statuses.
type asker interface {
	Allowed(context.Context, *netpoldv1.AllowedRequest) (*netpoldv1.AllowedResponse, error)
	BatchAllowed(context.Context, *netpoldv1.BatchAllowedRequest) (*netpoldv1.BatchAllowedResponse, error)
}

// openAsker opens what answers, and returns a function that closes it.
func (inv *invocation) openAsker(ctx context.Context) (asker, func(), error) {
	places := []place{fromManifests, fromServer, fromCluster}
	from, err := inv.stateFrom(places...)
	switch {
	case err != nil:
		return nil, nil, err
	case from == fromServer:
		client, err := inv.dial()
		if err != nil {
			return nil, nil, err
		}
		inv.asked = client
		closeClient := func() { client.Close() } //nolint:errcheck // nothing is lost
		return remote{client: client, server: inv.config.Client.Server}, closeClient, nil
	case from == fromManifests:
		decisions, err := inv.askManifests(ctx)
		return decisions, func() {}, err
	default:
		return inv.askCluster(ctx, places)
	}
}

// dial returns a client of --server.
func (inv *invocation) dial() (*netpold.Client, error) {
	c := &inv.config.Client
	security := netpold.WithInsecure()
	if c.Secure() {
		tlsConfig, err := clientTLS(c)
		if err != nil {
			return nil, err
		}
		security = netpold.WithTLS(tlsConfig)
	}
	options := []netpold.Option{security}
	if c.BearerTokenFile != "" {
		token, err := bearerOf(c.BearerTokenFile, c.Server, c.Secure())
		if err != nil {
			return nil, err
		}
		options = append(options, netpold.WithDialOptions(grpc.WithPerRPCCredentials(token)))
	}
	client, err := netpold.Dial(c.Server, options...)
	if err != nil {
		return nil, fmt.Errorf("--server %s: %w: give HOST:PORT, for example 127.0.0.1:9480", c.Server,
			errors.Unwrap(err))
	}
	return client, nil
}

func clientTLS(c *config.Client) (*tls.Config, error) { return tlsConfigOf(c, "tls") }

// tlsConfigOf returns the TLS settings of c. prefix is that of their flags.
func tlsConfigOf(c *config.Client, prefix string) (*tls.Config, error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("--%s-ca: %w: give a PEM file of certificate authorities", prefix, err)
		}
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--%s-ca %s: no certificate in it: give a PEM file of certificate authorities",
				prefix, c.CA)
		}
	}
	if c.Cert == "" && c.Key == "" {
		return tlsConfig, nil
	}
	if c.Cert == "" || c.Key == "" {
		return nil, fmt.Errorf("--%[1]s-client-cert, --%[1]s-client-key: give both or neither", prefix)
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("--%[1]s-client-cert %[2]s, --%[1]s-client-key %[3]s: %[4]w: give PEM files of one key pair",
			prefix, c.Cert, c.Key, err)
	}
	tlsConfig.Certificates = []tls.Certificate{pair}
	return tlsConfig, nil
}

// A remote asks a running netpold.
type remote struct {
	client *netpold.Client
	server string
}

func (r remote) Allowed(ctx context.Context,
	req *netpoldv1.AllowedRequest) (*netpoldv1.AllowedResponse, error) {
	return r.client.Allowed(ctx, req)
}

func (r remote) BatchAllowed(
	ctx context.Context, req *netpoldv1.BatchAllowedRequest,
) (*netpoldv1.BatchAllowedResponse, error) {
	return r.client.BatchAllowed(ctx, req)
}

// callError returns a call's error for people, and keeps the status. The text is the message or, if the
// connection failed, what to do.
func (inv *invocation) callError(err error) error {
	st := status.Convert(err)
	text := inv.callText(st)
	if rest, ok := strings.CutPrefix(text, "at_least: "); ok && inv.gaveToken {
		text = "--at-least: " + rest
	}
	return &statusError{text, st}
}

func (inv *invocation) callText(st *status.Status) string {
	// Errors of netpold itself have details and say what to do. Other errors come from the connection.
	server := inv.config.Client.Server
	cause := innermost(st.Message())
	switch {
	case st.Code() == codes.Unavailable && len(st.Details()) > 0:
		return cause // without the number of attempts
	case len(st.Details()) > 0 || server == "":
		return st.Message()
	}
	switch st.Code() {
	case codes.Unavailable:
		return fmt.Sprintf("--server %s: cannot be asked: %s: is netpold serving there, ready, and with TLS or "+
			"without as here (--tls)?",
			server, cause)
	case codes.DeadlineExceeded:
		return fmt.Sprintf("--server %s: no answer within --timeout %v: %s: raise it, or see 'netpold status "+
			"--server %s'",
			server, inv.config.Client.Timeout, cause, server)
	case codes.Unimplemented:
		return fmt.Sprintf("--server %s: %s: is it a netpold, and as new as this one?", server, cause)
	default:
		return fmt.Sprintf("--server %s: %s", server, cause)
	}
}

// innermost returns the cause in a message of gRPC, on one line, without the names of layers around it.
func innermost(message string) string {
	if cut := strings.LastIndex(message, "desc = "); cut >= 0 {
		message = strings.Trim(message[cut+len("desc = "):], `"`)
	}
	return strings.Join(strings.Fields(strings.TrimPrefix(message, "transport: ")), " ")
}
