package extauthz_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server"
)

// A reviewer is an API server that knows the tokens "proxy", who may ask, and "viewer", who may not.
type reviewer struct{}

func (reviewer) ReviewToken(_ context.Context, token, audience string) (mirror.TokenReview, error) {
	return mirror.TokenReview{Authenticated: token == "proxy" || token == "viewer", Audiences: []string{audience},
		User: mirror.User{Name: token}}, nil
}

func (reviewer) ReviewAccess(_ context.Context, user *mirror.User, _ mirror.Right) (bool, error) {
	return user.Name == "proxy", nil
}

// TestRefusedCallersP12P38 proves that a caller that may not ask gets an error of gRPC and no answer, also in shadow.
func TestRefusedCallersP12P38(t *testing.T) {
	t.Parallel()
	for _, shadow := range []bool{false, true} {
		d := open(t, func(c *server.Config) { c.Shadow, c.KubeAuthz, c.Reviewer = shadow, true, reviewer{} })
		denied := tcp("10.0.0.3", "10.0.0.2", 8080) // so that it passes in shadow alone
		for token, want := range map[string]struct {
			code   codes.Code
			reason string
		}{
			"":       {codes.Unauthenticated, "CALLER_UNKNOWN"},
			"nobody": {codes.Unauthenticated, "CALLER_UNKNOWN"},
			"viewer": {codes.PermissionDenied, "CALLER_NOT_ALLOWED"},
		} {
			md := []string{"netpold-shadow", "true"}
			if token != "" {
				md = append(md, "authorization", "Bearer "+token)
			}
			if f := d.failed(t, denied, md...); f.code != want.code || f.reason != want.reason {
				t.Errorf("shadow %v, %q: %+v", shadow, token, f)
			}
		}
		if !d.allowed(t, denied, "netpold-shadow", "true", "authorization", "Bearer proxy") {
			t.Errorf("shadow %v: a proxy that may ask is not in shadow", shadow)
		}
		for _, line := range []string{
			`netpold_callers_refused_total{reason="CALLER_UNKNOWN",service="envoy.service.auth.v3.Authorization"} 2`,
			`netpold_callers_refused_total{reason="CALLER_NOT_ALLOWED",service="envoy.service.auth.v3.Authorization"} 1`,
			`netpold_ext_authz_checks_total{filter="network",shadow="true",verdict="denied"} 1`,
		} {
			if !strings.Contains(d.metrics(t), "\n"+line+"\n") {
				t.Errorf("shadow %v: not counted: %s", shadow, line)
			}
		}
	}
}
