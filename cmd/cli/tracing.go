package cli

import (
	"context"
	"fmt"

	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/tracing/otlp"
)

// openTracing sets what makes the spans of calls, if they are traced. end exports those that wait, and blocks for some
// seconds at most.
func (inv *invocation) openTracing(ctx context.Context, settings *server.Config) (end func(), err error) {
	if inv.config.Tracing != config.TracingOTLP {
		return func() {}, nil
	}
	log := settings.Logger
	provider, err := otlp.Open(ctx, settings.Version, log)
	if err != nil {
		return nil, fmt.Errorf("--tracing %s: %w", inv.config.Tracing, err)
	}
	settings.TracerProvider = provider
	log.Info("calls are traced", "target", provider.Target)
	return func() {
		if err := provider.Close(); err != nil {
			log.Warn("traces are not complete", "error", err)
		}
	}, nil
}
