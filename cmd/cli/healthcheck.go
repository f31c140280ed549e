package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/server"
)

// healthcheckTimeout is less than the usual timeout of probes.
const healthcheckTimeout = 2 * time.Second

// An unhealthyError means that the server is not healthy, or that the probe failed. It exits with code 1,
// because Docker reserves 2.
type unhealthyError struct{ error }

// Unwrap returns the cause.
func (e unhealthyError) Unwrap() error { return e.error }

func (inv *invocation) healthcheckVerb() *cobra.Command {
	var service string
	timeout := healthcheckTimeout
	cmd := &cobra.Command{
		Use:   "healthcheck [flags]",
		Short: "Exit with 0 when a running netpold serves, and with 1 when it does not",
		Long: "healthcheck asks once for the health of a running netpold (grpc.health.v1), at 127.0.0.1:9480 or\n" +
			"--server. It is for probes in a container without other tools. It prints nothing if the server is\n" +
			"healthy.\n\n" +
			"netpold is healthy from the first full state until it drains, while its state is not stale. A probe\n" +
			"that says whether callers may come asks for --service readiness: that serves while questions are\n" +
			"answered, from a stale state too unless --when-stale=deny, as /readyz does. Restart by GET /healthz on\n" +
			"the admin port: a restart for want of health loses the last state.\n\n" +
			"Exit code: 0 it serves; 1 it does not, or does not answer.",
		Example: "  netpold healthcheck --service readiness\n" +
			"  netpold healthcheck --server 127.0.0.1:9480",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringVar(&service, "service", "",
		"`NAME` of the service whose health is asked, such as readiness (default: the server as a whole)")
	f.DurationVar(&timeout, "timeout", timeout, "`DURATION` that the answer may take")
	config.Positive(f, "timeout")
	// A probe with invalid flags gets no answer, so it exits as for an unhealthy server.
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if _, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
			return unhealthyError{flagError(cmd, err)}
		}
		return flagError(cmd, err)
	})
	// A probe must be quicker than other calls, whatever is set for those.
	verb := inv.verb(cmd, func(ctx context.Context, _ []string) error {
		return inv.checkHealth(ctx, service, timeout)
	}, without(inv.config.ClientFlags(), "timeout", "bearer-token-file"), inv.config.FileFlags())
	run := verb.RunE
	verb.RunE = func(cmd *cobra.Command, args []string) error {
		if err := run(cmd, args); err != nil {
			return unhealthyError{err}
		}
		return nil
	}
	return verb
}

// without returns a group without some of its flags.
func without(group *pflag.FlagSet, names ...string) *pflag.FlagSet {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SortFlags = false
	group.VisitAll(func(flag *pflag.Flag) {
		if !slices.Contains(names, flag.Name) {
			f.AddFlag(flag)
		}
	})
	return f
}

func (inv *invocation) checkHealth(ctx context.Context, service string, timeout time.Duration) error {
	c := &inv.config.Client
	address := c.Server
	if address == "" {
		address = server.Defaults().Listen
	}
	security := insecure.NewCredentials()
	if c.Secure() {
		tlsConfig, err := clientTLS(c)
		if err != nil {
			return err
		}
		security = credentials.NewTLS(tlsConfig)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(security))
	if err != nil {
		return fmt.Errorf("--server %s: %w: give HOST:PORT, for example 127.0.0.1:9480", address, err)
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: service})
	if err != nil {
		return healthError(address, service, timeout, err)
	}
	if got := response.GetStatus(); got != healthv1.HealthCheckResponse_SERVING {
		return fmt.Errorf("--server %s: %s is %s; 'netpold status --server %s' tells why", address,
			healthName(service), got, address)
	}
	return nil
}

// healthError returns why there is no answer, and what to do.
func healthError(address, service string, timeout time.Duration, err error) error {
	cause := innermost(status.Convert(err).Message())
	switch status.Code(err) {
	case codes.NotFound:
		return fmt.Errorf("--service %s: the server has no such service: give %s, or leave it out", service,
			strings.Join([]string{"readiness", "netpold.v1.DecisionService", "netpold.v1.StatusService"}, ", "))
	case codes.DeadlineExceeded:
		return fmt.Errorf("--server %s: no answer within %v: %s", address, timeout, cause)
	case codes.Unavailable:
		return fmt.Errorf("--server %s: cannot be asked: %s: is netpold serving there, and with TLS or without "+
			"as here (--tls)?", address, cause)
	default:
		return errors.New("--server " + address + ": " + cause)
	}
}

func healthName(service string) string {
	if service == "" {
		return "the server"
	}
	return service
}
