package server

import (
	"context"

	"github.com/netpold/netpold/server/access"
	"github.com/netpold/netpold/server/internal/metrics"
)

// callers says who may ask; nothing of it is set if everybody may who can connect.
type callers struct {
	policy *access.Policy
	tokens *access.Tokens
}

// openCallers returns what config says of who may ask. An error is that of a policy that does not load.
func openCallers(config *Config, m *metrics.Metrics) (callers, error) {
	switch {
	case config.AuthzPolicy != "":
		policy, err := access.NewPolicy(config.AuthzPolicy, config.Logger, m)
		if err != nil {
			return callers{}, fieldError("AuthzPolicy", config.AuthzPolicy, err)
		}
		return callers{policy: policy}, nil
	case config.KubeAuthz:
		return callers{tokens: access.NewTokens(config.Reviewer, access.TokenOptions{
			Audience: config.KubeAuthzAudience, TTL: config.KubeAuthzTTL, Log: config.Logger, Metrics: m,
		})}, nil
	}
	return callers{}, nil
}

// guard returns what refuses callers; nil for nothing.
func (c *callers) guard() *access.Guard {
	switch {
	case c.policy != nil:
		return c.policy.Guard
	case c.tokens != nil:
		return c.tokens.Guard
	default:
		return nil
	}
}

// follow follows the policy until ctx ends.
func (c *callers) follow(ctx context.Context, s *Server) {
	if c.policy != nil {
		c.policy.Run(ctx, s.policyTicks)
	}
}

// close gives up what is asked about callers.
func (c *callers) close() {
	if c.tokens != nil {
		c.tokens.Close()
	}
}

// ReloadAuthzPolicy loads a changed policy of callers now, not at the next look. It reports whether there is one.
func (s *Server) ReloadAuthzPolicy() bool {
	if s.callers.policy == nil {
		return false
	}
	s.callers.policy.Look()
	return true
}
