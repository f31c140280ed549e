package manifests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// backedPod returns a Pod with the label app and two addresses that end in n.
func backedPod(name, app string, n int, ready string) string {
	return fmt.Sprintf(`
---
{apiVersion: v1, kind: Pod, metadata: {name: %s, namespace: a, labels: {app: %s}}, spec: {containers: [{name: c, ports: [{name: web, containerPort: 8443}]}]},
 status: {phase: Running, podIPs: [{ip: 10.0.0.%d}, {ip: "fd00::%d"}], conditions: [{type: Ready, status: "%s"}]}}`,
		name, app, n, n, ready)
}

// backedService returns a Service that selects app: d.
func backedService(name, more string) string {
	return fmt.Sprintf(`
---
{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: a}, spec: {%s, selector: {app: d}}}`, name, more)
}

// endpointsOfA returns the endpoints of every slice of a snapshot, as text.
func endpointsOfA(s *engine.Snapshot) (list []string) {
	for _, key := range s.ObjectsIn("a") {
		if o, _ := s.Object(key); key.Kind == engine.KindEndpointSlice {
			list = append(list, brief(engine.Change{Object: o}))
		}
	}
	slices.Sort(list)
	return list
}

// TestS24OverlayKeepsServices proves that the slices of a Service that an overlay does not apply are those
// that the same objects have when they are read as one: target ports by number and by name, families, and Pods
// that are not ready.
func TestS24OverlayKeepsServices(t *testing.T) {
	services := map[string]string{
		"number":       "ports: [{port: 80, targetPort: 8080}]",
		"own":          "ports: [{port: 80}]",
		"node port":    "type: NodePort, ports: [{port: 80, nodePort: 30080}]",
		"name":         "ports: [{port: 80, targetPort: web}]",
		"two":          "ports: [{name: x, port: 80, targetPort: 8080}, {name: dns, port: 80, protocol: UDP, targetPort: 53}]",
		"not ready":    "publishNotReadyAddresses: true, clusterIP: None, ports: [{port: 80, targetPort: 8080}]",
		"IPv4":         "ipFamilies: [IPv4], ports: [{port: 80}]",
		"IPv6":         "ipFamilies: [IPv6], ports: [{port: 80}]",
		"both":         "ipFamilies: [IPv6, IPv4], ports: [{port: 80}]",
		"a Service IP": "clusterIP: 10.96.0.1, ports: [{port: 80}]",
	}
	pods := map[string]string{
		"none before": "", "one before": backedPod("d0", "d", 1, "True"), "not ready": backedPod("d0", "d", 1, "False"),
		"without addresses": "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: d0, namespace: a, labels: {app: d}}}",
	}
	for name, service := range services {
		for before, pod := range pods {
			for _, ready := range []string{"True", "False"} {
				t.Run(name+", "+before+", "+ready, func(t *testing.T) {
					under, over := backedService("s", service)+pod+backedPod("z", "z", 9, "True"), backedPod("new", "d", 3, ready)
					base := baseOf(t, under)
					changes, _, err := ReadOverlay(base, &mirror.Overlay{Changes: applied(over)}, Options{})
					if err != nil {
						t.Fatal(err)
					}
					whole := endpointsOfA(baseOf(t, under+over))
					if d := cmp.Diff(whole, endpointsOfA(base.With(changes))); d != "" || len(whole) == 0 {
						t.Errorf("-read as one +laid over:\n%s", d)
					}
				})
			}
		}
	}
}

// TestS24OverlayReplacesServices proves that of two documents that have one Service the later counts, with its
// slices, and that what a cluster fills in stays.
func TestS24OverlayReplacesServices(t *testing.T) {
	pod := backedPod("d0", "d", 1, "True")
	selecting := backedService("s", "ports: [{port: 80}]")
	plain := strings.Replace(selecting, ", selector: {app: d}", "", 1)
	external := backedService("s", "type: ExternalName, externalName: example.org, ports: [{port: 80}]")
	both := []string{"a/s:0 [{10.0.0.1  true true false}] [{ 80 TCP}]", "a/s:1 [{fd00::1  true true false}] [{ 80 TCP}]"}
	tests := map[string]struct {
		under   string
		applied []string
		want    []string
	}{
		"then without selector": {pod, []string{selecting, plain}, nil},
		"then by another name":  {pod, []string{selecting, external}, nil},
		"and then with one":     {pod, []string{plain, external, selecting}, both},
		"families stay":         {pod + backedService("s", "ipFamilies: [IPv4], ports: [{port: 80}]"), []string{selecting}, both[:1]},
		"families change":       {pod + backedService("s", "ipFamilies: [IPv6], ports: [{port: 80}]"), []string{backedService("s", "ipFamilies: [IPv4], ports: [{port: 80}]")}, both[:1]},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base := baseOf(t, test.under)
			changes, _, err := ReadOverlay(base, &mirror.Overlay{Changes: applied(test.applied...)}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, endpointsOfA(base.With(changes))); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}
