package audit_test

import (
	"sync"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// Lists of one snapshot that are made at once, and later ones that find its groups kept, are what each is alone (A1).
func TestListsOfOneSnapshotAtOnce(t *testing.T) {
	t.Parallel()
	s := halfOpen(synthetic.Size{Pods: 300, Policies: 60})
	pod := s.PodNames()[0]
	one := audit.Ends{Endpoints: []engine.Endpoint{engine.ByPod(pod.Namespace, pod.Name)}}
	requests := []audit.ListRequest{
		{}, {Policies: true}, {Nodes: true}, {Dst: one}, {Src: one}, {Src: one, Dst: one},
		{Dst: audit.Ends{Namespaces: []string{pod.Namespace}}},
	}
	want := make([]listed, len(requests))
	for i := range requests {
		want[i] = list(t, s.With(nil), &requests[i])
	}
	shared := s.With(nil)
	var all sync.WaitGroup
	for range 2 {
		for i := range requests {
			all.Go(func() {
				if got := list(t, shared, &requests[i]); got != want[i] {
					t.Errorf("request %d: %+v at once, %+v alone", i, got, want[i])
				}
			})
		}
	}
	all.Wait()
}
