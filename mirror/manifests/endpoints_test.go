package manifests

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/engine"
)

// slicesIn returns the EndpointSlices as "service ports: endpoints", in order.
func slicesIn(objects []engine.Object) []string {
	var list []string
	for _, o := range objects {
		s, ok := o.(*engine.EndpointSlice)
		if !ok {
			continue
		}
		line := s.Service
		for _, p := range s.Ports {
			line += fmt.Sprintf(" %s=%d/%d", p.Name, p.Port, p.Protocol)
		}
		line += ":"
		for _, e := range s.Endpoints {
			line += " " + e.Pod
			if e.Addr.IsValid() {
				line += e.Addr.String()
			}
			for _, c := range []struct {
				is   bool
				mark string
			}{{e.Ready, "+"}, {e.Serving, "s"}, {e.Terminating, "t"}} {
				if c.is {
					line += c.mark
				}
			}
		}
		list = append(list, line)
	}
	slices.Sort(list)
	return list
}

// TestS24EndpointsFromSelectors proves which endpoints a Service without EndpointSlices has.
func TestS24EndpointsFromSelectors(t *testing.T) {
	service := func(spec string) string {
		return "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {" + spec + "}}"
	}
	pod := func(name, meta, spec, status string) string {
		return fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: %s, labels: {app: web}%s}, spec: {%s}, status: {%s}}", name, meta, spec, status)
	}
	const selector = "selector: {app: web}, "
	plain := service(selector + "ports: [{port: 80, targetPort: 8080}]")
	deployment := "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}}}}"
	tests := map[string]struct {
		text string
		want []string
	}{
		"Pods of a template, by name": {docs(plain, deployment), []string{"web =8080/0: web-0+s web-1+s"}},
		"targetPort left out": {docs(
			service(selector+"ports: [{name: a, port: 80}, {name: b, port: 53, protocol: UDP}]"), deployment),
			[]string{"web a=80/0 b=53/1: web-0+s web-1+s"}},
		"targetPort by name": {docs(service(selector+"ports: [{port: 80, targetPort: http}]"),
			deployment), []string{"web =8080/0: web-0+s web-1+s"}},
		"targetPort that no Pod has": {docs(service(selector+"ports: [{port: 80, targetPort: grpc}]"),
			deployment), []string{"web: web-0+s web-1+s"}},
		"headless without ports": {docs(service(selector+"clusterIP: None"), deployment),
			[]string{"web: web-0+s web-1+s"}},
		"no selector": {docs(service("ports: [{port: 80}]"), deployment), nil},
		"ExternalName": {docs(service(selector+"type: ExternalName, externalName: a.b"),
			deployment), nil},
		"nothing selected": {docs(service("selector: {app: web, tier: x}, ports: [{port: 80}]"),
			deployment), nil},
		"a Pod of another namespace": {docs(plain,
			"{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b, labels: {app: web}}}"), nil},
		"one name, two numbers": {docs(service(selector+"ports: [{port: 80, targetPort: http}]"),
			pod("a", "", "containers: [{name: c, ports: [{name: http, containerPort: 1}]}]", ""),
			pod("b", "", "containers: [{name: c, ports: [{name: http, containerPort: 2}]}]", "")),
			[]string{"web =1/0: a+s", "web =2/0: b+s"}},
		"a sidecar's name": {docs(service(selector+"ports: [{port: 80, targetPort: http}]"),
			pod("a", "", "initContainers: [{name: c, restartPolicy: Always, ports: [{name: http, containerPort: 9}]}]",
				"")), []string{"web =9/0: a+s"}},
		"addresses, by family": {docs(plain,
			pod("a", "", "", "podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]")),
			[]string{"web =8080/0: 10.0.0.1+s", "web =8080/0: fd00::1+s"}},
		"a Service of one family": {docs(service(selector+"ipFamilies: [IPv6], ports: [{port: 80}]"),
			pod("a", "", "", "podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]")), []string{"web =80/0: fd00::1+s"}},
		"phases without conditions": {docs(plain, pod("a", "", "", "phase: Running"),
			pod("b", "", "", "phase: Pending"), pod("c", "", "", "phase: Unknown"), pod("d", "", "", "")),
			[]string{"web =8080/0: a+s b c d+s"}},
		"conditions": {docs(plain,
			pod("a", "", "", "conditions: [{type: Ready, status: 'True'}]"),
			pod("b", "", "", "phase: Running, conditions: [{type: Ready, status: 'False'}]"),
			pod("c", "", "", "phase: Running, conditions: [{type: PodScheduled, status: 'True'}]")),
			[]string{"web =8080/0: a+s b c"}},
		"S6 finished": {docs(plain, pod("a", "", "", "phase: Succeeded"),
			pod("b", "", "", "phase: Failed, conditions: [{type: Ready, status: 'True'}]")), nil},
		"terminating": {docs(plain,
			pod("a", ", deletionTimestamp: '2026-11-22T00:00:00Z'", "", "phase: Running"),
			pod("b", ", deletionTimestamp: '2026-11-22T00:00:00Z'", "", "phase: Pending")),
			[]string{"web =8080/0: ast bt"}},
		"published before they are ready": {docs(
			service(selector+"publishNotReadyAddresses: true, ports: [{port: 80}]"),
			pod("a", "", "", "phase: Pending")), []string{"web =80/0: a+s"}},
		"an EndpointSlice is given": {docs(plain, deployment,
			"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: x, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, ports: [{port: 1}], endpoints: [{addresses: [10.0.0.9]}]}"), []string{"web =1/0: 10.0.0.9+s"}},
		"an EndpointSlice without endpoint": {docs(plain, deployment,
			"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: x, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, endpoints: []}"), []string{"web:"}},
		"an EndpointSlice of another": {docs(plain, deployment,
			"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: x, namespace: b, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, endpoints: []}"), []string{"web =8080/0: web-0+s web-1+s", "web:"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, slicesIn(mustRead(t, test.text).Objects)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMadeEndpointsAreBounded proves that a few lines cannot use up all memory. It lowers the limit, because
// a million endpoints take time.
func TestMadeEndpointsAreBounded(t *testing.T) {
	if got := newReading(Options{}).mostEndpoints; got != 1_000_000 {
		t.Errorf("at most %d endpoints", got)
	}
	deployment := "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: 10, template: {metadata: {labels: {app: web}}}}}"
	service := func(name string) string {
		return "{apiVersion: v1, kind: Service, metadata: {name: " + name +
			"}, spec: {selector: {app: web}, ports: [{port: 80}]}}"
	}
	const tooMany = `a.yaml, document 4: Service "default/s3": spec.selector: Too many: all Services without an EndpointSlice together select ` +
		"more than 20 endpoints: lower the replicas of what they select, or give the EndpointSlices"
	for name, test := range map[string]struct {
		services []string
		slices   int
		problems []string
	}{
		"as many as may be": {[]string{service("s1"), service("s2")}, 2, nil},
		"more, reported once": {[]string{service("s1"), service("s2"), service("s3"), service("s4")}, 2,
			[]string{tooMany}},
		"those that have slices do not count": {[]string{service("s1"), service("s2"), service("s3"),
			"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, " +
				"metadata: {name: x, labels: {kubernetes.io/service-name: s3}}, addressType: IPv4, endpoints: []}"},
			3, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReading(Options{Namespace: "default"})
			r.mostEndpoints = 20
			r.file("a.yaml", []byte(docs(append([]string{deployment}, test.services...)...)), false)
			if got := len(slicesIn(r.finish())); got != test.slices {
				t.Errorf("%d slices, want %d", got, test.slices)
			}
			var problems []string
			for _, p := range r.problems {
				problems = append(problems, p.String())
			}
			if diff := cmp.Diff(test.problems, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
