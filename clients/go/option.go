package netpold

import (
	"crypto/tls"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // implements the health checks of healthCheckConfig

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// An Option configures a [Client].
type Option func(*settings)

type settings struct {
	tls      *tls.Config
	insecure bool
	cache    *CacheConfig
	failure  FailureMode
	extra    []grpc.DialOption
}

// WithTLS secures the connection. config has the trusted authorities (RootCAs; nil means those of the system)
// and the client's certificate, if the server asks for one (Certificates).
func WithTLS(config *tls.Config) Option {
	return func(s *settings) {
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		s.tls = config
	}
}

// WithInsecure connects in plaintext: anyone on the way can read questions and change answers. It is meant
// for the loopback, and for networks that secure connections themselves.
func WithInsecure() Option { return func(s *settings) { s.insecure = true } }

// WithDialOptions passes options to gRPC, after the client's own: interceptors, keepalive, statistics, or
// another default service config.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.extra = append(s.extra, options...) }
}

func (s *settings) credentials() (credentials.TransportCredentials, error) {
	switch {
	case s.tls != nil && s.insecure:
		return nil, errors.New("WithTLS and WithInsecure exclude each other: give one of them")
	case s.tls != nil:
		return credentials.NewTLS(s.tls), nil
	case s.insecure:
		return insecure.NewCredentials(), nil
	default:
		return nil, errors.New("no transport security chosen: give WithTLS, or WithInsecure for plaintext")
	}
}

// maxResponseBytes is enough for the answers of the largest batch, which may name many policies.
const maxResponseBytes = 64 << 20

func (s *settings) dialOptions(creds credentials.TransportCredentials,
	serviceConfig string) []grpc.DialOption {
	return append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithConnectParams(grpc.ConnectParams{
			// Jitter makes the delay anything from 0 to twice as long. gRPC's own maximum is two minutes: a server
			// that was away for a while would be left alone for so long.
			Backoff: backoff.Config{
				BaseDelay: leastDelay, Multiplier: 2, Jitter: 1, MaxDelay: mostDelay / 2,
			},
			MinConnectTimeout: 20 * time.Second,
		}),
		grpc.WithChainUnaryInterceptor(retry),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxResponseBytes),
			grpc.ForceCodecV2(netpoldv1.Codec(0))),
	}, s.extra...)
}

// The service configs. Every method only reads, so retries are safe. Calls that are not streams are retried by [retry]. A
// watch is opened again by whoever has its answers so far, and knows how long the server wants to be left alone. Status
// shows why a server is not healthy, so it ignores health.
const (
	healthyConfig = `{
		"loadBalancingConfig": [{"round_robin": {}}],
		"healthCheckConfig": {"serviceName": "netpold.v1.DecisionService"},
		"methodConfig": [` + retryConfig + `]
	}`
	everyConfig = `{
		"loadBalancingConfig": [{"round_robin": {}}],
		"methodConfig": [` + retryConfig + `]
	}`
	retryConfig = `{
		"name": [
			{"service": "netpold.v1.DecisionService", "method": "StreamAllowed"},
			{"service": "netpold.v1.AuditService", "method": "ListConnections"},
			{"service": "netpold.v1.AuditService", "method": "Lint"},
			{"service": "netpold.v1.AuditService", "method": "Simulate"}
		],
		"retryPolicy": {
			"maxAttempts": 4,
			"initialBackoff": "0.1s",
			"maxBackoff": "1s",
			"backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}`
)
