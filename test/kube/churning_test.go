package kube_test

import (
	"testing"
)

// TestEveryChangeIsDecidedOn: whatever happens to Pods, Namespaces, policies, Services, EndpointSlices and Nodes, what is asked with
// the token of the change is answered as the oracle says.
func TestEveryChangeIsDecidedOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.serveReady(t)
	client := n.Client()
	for _, seed := range []uint64{1, 2} {
		w := newWorld(t, s.Client(), seed)
		changes := churn(t, w, 1500, func(what string) {
			if err := w.ask(t.Context(), client, 12); err != nil {
				t.Fatalf("seed %d, after %s: %v", seed, what, err)
			}
		})
		for what, count := range changes {
			if count < 2 {
				t.Errorf("seed %d: %s happened %d times only", seed, what, count)
			}
		}
		if len(changes) < 18 {
			t.Errorf("seed %d: only %d kinds of changes happened: %v", seed, len(changes), changes)
		}
	}
}

// churn makes random changes, and calls after each one that came to something. It returns how many of each kind did.
func churn(t *testing.T, w *world, changes int, after func(what string)) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for done := 0; done < changes; {
		what := w.change(t.Context())
		if what == "" {
			continue
		}
		done++
		counts[what]++
		after(what)
	}
	return counts
}
