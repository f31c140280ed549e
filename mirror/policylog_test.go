package mirror

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/engine"
)

// TestLogPolicies proves that each policy that is added, changed or removed has a record with what it
// isolates. Many share one.
func TestLogPolicies(t *testing.T) {
	policy := func(name string, ingress, egress bool) engine.Change {
		return engine.Change{Object: &engine.Policy{Namespace: "shop", Name: name, IsolatesIngress: ingress,
			IsolatesEgress: egress}}
	}
	cluster := engine.NewCluster(engine.Options{})
	before := cluster.Apply(policy("a", true, false), policy("b", false, true))
	gone := engine.Change{Object: &engine.Policy{Namespace: "shop", Name: "b"}, Delete: true}
	never := engine.Change{Object: &engine.Policy{Namespace: "shop", Name: "z"}, Delete: true}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log,
		&slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
	LogPolicies(logger, before, []engine.Change{policy("a", true, true), gone, never, policy("c", false, false),
		{Object: &engine.Pod{Name: "p"}}})
	want := `level=INFO msg=policy event=added policy=shop/c isolates=nothing
level=INFO msg=policy event=changed policy=shop/a isolates="ingress and egress"
level=INFO msg=policy event=removed policy=shop/b isolates=egress
`
	if d := cmp.Diff(want, log.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	log.Reset()
	var many []engine.Change
	for i := range 20 {
		many = append(many, policy(fmt.Sprintf("p%02d", i), true, false))
	}
	LogPolicies(logger, before, many)
	want = "level=INFO msg=\"many policies changed\" added=20 changed=0 removed=0 " +
		"first=\"[shop/p00 shop/p01 shop/p02 shop/p03 shop/p04 shop/p05 shop/p06 shop/p07 shop/p08 shop/p09]\"\n"
	if d := cmp.Diff(want, log.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
