package enginetest_test

import (
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// TestF3DetailsTellAges: details tell when the Pod at either end was created, and the newest policy that
// restricts it; a snapshot tells its newest policy.
func TestF3DetailsTellAges(t *testing.T) {
	t.Parallel()
	pods, policies := 0, 0
	for seed := range uint64(100) {
		r := enginetest.NewRandom(seed)
		if seed%2 == 0 {
			r.WithTiers()
		}
		options := engine.Options{IgnorePolicies: seed%10 == 9}
		cluster, state := engine.NewCluster(options), enginetest.State{}
		var batch []engine.Change
		for _, o := range r.Cluster() {
			batch = append(batch, engine.Change{Object: o})
		}
		state.Apply(batch)
		s := apply(cluster, batch)
		var newest int64
		for _, x := range state.Objects() {
			switch x := x.(type) {
			case *engine.Policy:
				newest = max(newest, x.Created)
			case *engine.ClusterPolicy:
				newest = max(newest, x.Created)
			}
		}
		if got := s.NewestPolicy(); got != newest {
			t.Fatalf("seed %d: newest policy %d, want %d", seed, got, newest)
		}
		oracle := &enginetest.Oracle{Objects: state.Objects(), Options: options}
		for range 60 {
			q := r.Question(state.Objects())
			d, err := s.Details(nil, q.Query())
			if err != nil || !d.Src.IP.IsValid() || !d.Dst.IP.IsValid() {
				continue
			}
			for _, end := range []struct {
				asked  enginetest.Endpoint
				of     *engine.Resolved
				egress bool
			}{{q.Src, &d.Src, true}, {q.Dst, &d.Dst, false}} {
				created, policy := oracle.Ages(end.asked, end.of, end.egress)
				if end.of.Created != created || end.of.NewestPolicy != policy {
					t.Fatalf("seed %d: %s: %+v, want created %d, newest policy %d\n%s", seed, q, *end.of, created, policy,
						enginetest.ObjectsText(state.Objects()))
				}
				pods, policies = pods+int(created), policies+int(policy)
			}
		}
	}
	if pods < 100 || policies < 100 {
		t.Errorf("too few ages: %d of Pods, %d of policies", pods, policies)
	}
}
