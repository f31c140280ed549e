package server_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/netpold/netpold/cache"
	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/decisions"
)

// aboutCart returns questions whose answers the cache remembers.
func aboutCart() []*netpoldv1.AllowedRequest {
	frontend := netpold.Pod("shop", "frontend-0")
	return []*netpoldv1.AllowedRequest{
		{Src: frontend, Dst: netpold.Service("shop", "cart"), Port: 80},
		{Src: frontend, Dst: netpold.IP("10.96.0.10"), Port: 80},
		{Src: frontend, Dst: netpold.Workload("shop", "Deployment", "cart"), Port: 8080},
	}
}

// TestCachedAnswers proves that an answer is that of the state that it names, alone and in a batch,
// remembered or not (S29).
func TestCachedAnswers(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	plain := decisions.New(source, decisions.Options{})
	cached := decisions.New(source, decisions.Options{Cache: cache.New(100)})
	for _, change := range []engine.Change{
		{Object: &engine.Namespace{Name: "elsewhere"}},
		{Object: allowCart(), Delete: true},
		{Object: allowCart()},
		{Object: pod("cart-0", "other", "10.0.3.7")},
		{Object: pod("cart-0", "cart", "10.0.3.9")},
	} {
		source.Apply(change)
		for range 2 {
			for _, question := range aboutCart() {
				want, wantErr := plain.Allowed(t.Context(), question)
				got, err := cached.Allowed(t.Context(), question)
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || (err == nil) != (wantErr == nil) {
					t.Errorf("%v: %v, want %v; (-plain +cached):\n%s", question, err, wantErr, diff)
				}
			}
			batch := &netpoldv1.BatchAllowedRequest{Questions: aboutCart()}
			want, wantErr := plain.BatchAllowed(t.Context(), proto.CloneOf(batch))
			got, err := cached.BatchAllowed(t.Context(), batch)
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil || wantErr != nil {
				t.Errorf("batch: %v, %v; (-plain +cached):\n%s", err, wantErr, diff)
			}
		}
	}
}

// TestMetricsOfTheCache proves that the cache has metrics, and none when it is off.
func TestMetricsOfTheCache(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.CacheSize = 2 })
	for _, question := range []int{0, 0, 0, 1, 2, 2, 2} {
		if _, err := r.decisions().Allowed(soon(t), aboutCart()[question]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.decisions().BatchAllowed(soon(t),
		&netpoldv1.BatchAllowedRequest{Questions: aboutCart()[2:]}); err != nil {
		t.Fatal(err)
	}
	expectMetrics(t, metricsOf(t, r), map[string]string{
		"netpold_cache_hits_total": "4", "netpold_cache_misses_total": "4", "netpold_cache_evictions_total": "1",
		"netpold_cache_entries": "2",
	})
	off := start(t, synced(shop()...), func(c *server.Config) { c.CacheSize = 0 })
	for series := range metricsOf(t, off) {
		if strings.HasPrefix(series, "netpold_cache_") {
			t.Errorf("%s, though there is no cache", series)
		}
	}
}
