package test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror/manifests"
)

// TestOnlineBoutique asks the full matrix of a real shop: every workload to every other, and to every
// Service, on every port that anything there listens on and one that nothing does. The engine has to agree
// with the oracle, and both with what is known of the shop.
func TestOnlineBoutique(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "corpus", "online-boutique")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the corpus is not beside the repository")
	}
	read, err := manifests.Read(t.Context(), manifests.Options{Paths: []string{dir}, Namespace: "default"})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{objects: read.Objects}
	snapshot, oracle := c.snapshot(), &enginetest.Oracle{Objects: read.Objects}

	var workloads, services []string
	ports := map[uint16]bool{1: true}
	for _, o := range read.Objects {
		switch o := o.(type) {
		case *engine.Pod:
			workloads = append(workloads, o.Workloads[0].Name)
		case *engine.Service:
			services = append(services, o.Name)
			for _, p := range o.Ports {
				ports[p.Port] = true
			}
		case *engine.EndpointSlice:
			for _, p := range o.Ports {
				ports[p.Port] = true
			}
		}
	}
	if len(workloads) != 12 || len(services) != 12 {
		t.Fatalf("%d workloads, %d Services", len(workloads), len(services))
	}

	deployment := func(name string) enginetest.Endpoint {
		return enginetest.Endpoint{Workload: &enginetest.WorkloadName{Namespace: "default",
			Workload: engine.Workload{Kind: "Deployment", Name: name}}}
	}
	allowed := map[string]bool{} // "frontend cartservice 7070", TCP
	asked := 0
	for _, src := range workloads {
		ends := map[string]enginetest.Endpoint{}
		for _, dst := range workloads {
			ends[dst] = deployment(dst)
		}
		for _, dst := range services {
			ends["svc "+dst] = enginetest.Endpoint{Service: &enginetest.Name{Namespace: "default", Name: dst}}
		}
		for dst, end := range ends {
			for port := range ports {
				for _, protocol := range []engine.Protocol{engine.TCP, engine.UDP} {
					q := enginetest.Question{Src: deployment(src), Dst: end, Port: port, Protocol: protocol}
					got, gotErr := snapshot.Allowed(q.Query())
					want, wantErr := oracle.Allowed(q)
					if diff := enginetest.Diff(got, gotErr, want, wantErr); diff != "" {
						t.Errorf("%v: %s", q, diff)
					}
					if protocol == engine.TCP {
						allowed[fmt.Sprintf("%s %s %d", src, dst, port)] = gotErr == nil && got.Allowed
					}
					asked++
				}
			}
		}
	}
	t.Logf("%d questions", asked)
	for question, want := range map[string]bool{
		"frontend cartservice 7070":     true,
		"frontend svc cartservice 7070": true,
		"loadgenerator redis-cart 6379": false,
		"cartservice redis-cart 6379":   true,
		"frontend redis-cart 6379":      false,
	} {
		if got, was := allowed[question]; !was || got != want {
			t.Errorf("%s: allowed %v, want %v", question, got, want)
		}
	}
	for port := range ports { // anything may reach the frontend, on any port
		if question := fmt.Sprintf("loadgenerator frontend %d", port); !allowed[question] {
			t.Errorf("%s is denied", question)
		}
	}
}
