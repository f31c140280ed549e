package convert

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/netpold/netpold/engine"
)

func TestS24Service(t *testing.T) {
	tests := map[string]struct {
		object string
		want   engine.Service
	}{
		"cluster IPs, external, load balancer": {
			`{spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "fd00:96::1"], externalIPs: [203.0.113.7], ports: [{port: 80, targetPort: 8080}, {name: dns, port: 53, protocol: UDP}]},
			  status: {loadBalancer: {ingress: [{ip: 198.51.100.1}, {hostname: lb.example.org}]}}}`,
			engine.Service{
				IPs:         addrsOf("10.96.0.1", "fd00:96::1", "203.0.113.7", "198.51.100.1"),
				Ports:       []engine.ServicePort{{Port: 80}, {Name: "dns", Port: 53, Protocol: engine.UDP}},
				PortDetails: []engine.ServicePortDetail{{Port: 80, TargetPort: 8080}},
			},
		},
		"clusterIP alone": {`{spec: {clusterIP: 10.96.0.1}}`, engine.Service{IPs: addrsOf("10.96.0.1")}},
		"not applied yet": {`{spec: {ports: [{port: 80}]}}`,
			engine.Service{Ports: []engine.ServicePort{{Port: 80}}}},
		"headless": {`{spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 80}]}}`,
			engine.Service{Headless: true, Ports: []engine.ServicePort{{Port: 80}}}},
		"headless by clusterIP": {`{spec: {clusterIP: None}}`, engine.Service{Headless: true}},
		"ExternalName": {`{spec: {type: ExternalName, externalName: example.org, ports: [{port: 80}]}}`,
			engine.Service{ExternalName: true, Ports: []engine.ServicePort{{Port: 80}}}},
		"headless with external IPs": {`{spec: {clusterIP: None, externalIPs: [203.0.113.7]}}`,
			engine.Service{Headless: true, IPs: addrsOf("203.0.113.7")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, problems := Service(decode[corev1.Service](t, test.object))
			if diff := cmp.Diff(&test.want, got, sameAddresses); diff != "" || problems != nil {
				t.Error(diff, problems)
			}
		})
	}
}

func TestServiceProblems(t *testing.T) {
	got, problems := Service(decode[corev1.Service](t,
		`{spec: {clusterIP: x, externalIPs: [y], ports: [{port: 65616}, {port: 80, protocol: ICMP}, {port: 81}]}, status: {loadBalancer: {ingress: [{ip: z}]}}}`))
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	want := []string{"spec.clusterIP", "spec.externalIPs[0]", "status.loadBalancer.ingress[0].ip",
		"spec.ports[0].port", "spec.ports[1].protocol"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
	if len(got.IPs) != 0 || len(got.Ports) != 1 {
		t.Errorf("read %+v", got)
	}
}

func TestS24EndpointSlice(t *testing.T) {
	got, problems := EndpointSlice(decode[discoveryv1.EndpointSlice](t, `
metadata: {namespace: shop, name: web-x, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}, {name: dns, port: 53, protocol: UDP}, {name: any}, {name: wraps, port: 65616}]
endpoints:
- {addresses: [10.0.0.1, 10.0.0.2]}
- {addresses: [10.0.0.3], conditions: {ready: false}}
- {addresses: [10.0.0.4], conditions: {ready: false, serving: true, terminating: true}}
- {addresses: [10.0.0.5], conditions: {ready: true, serving: false}}
- {addresses: []}
- {addresses: [x]}
- {addresses: ["::ffff:10.0.0.6"]}`))
	want := &engine.EndpointSlice{
		Namespace: "shop", Name: "web-x", Service: "web",
		Ports: []engine.ServicePort{{Port: 8080}, {Name: "dns", Port: 53, Protocol: engine.UDP}},
		Endpoints: []engine.SliceEndpoint{
			{Addr: addrsOf("10.0.0.1")[0], Ready: true, Serving: true},
			{Addr: addrsOf("10.0.0.3")[0], Serving: true},
			{Addr: addrsOf("10.0.0.4")[0], Serving: true, Terminating: true},
			{Addr: addrsOf("10.0.0.5")[0], Ready: true},
			{Addr: addrsOf("10.0.0.6")[0], Ready: true, Serving: true},
		},
	}
	if diff := cmp.Diff(want, got, sameAddresses); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 2 || problems[0].Field != "ports[3].port" ||
		problems[1].Field != "endpoints[5].addresses[0]" {
		t.Errorf("problems: %q", lines(problems))
	}
}

func TestEndpointSliceOfNames(t *testing.T) {
	got, problems := EndpointSlice(decode[discoveryv1.EndpointSlice](t,
		`{addressType: FQDN, ports: [{port: 1}], endpoints: [{addresses: [example.org]}]}`))
	if len(got.Endpoints) != 0 || problems != nil {
		t.Errorf("%+v %v", got, problems)
	}
}

func TestTargetPort(t *testing.T) {
	pod, _ := Pod(decode[corev1.Pod](t,
		`{spec: {containers: [{name: a, ports: [{name: http, containerPort: 8080}, {name: dns, containerPort: 53, protocol: UDP}]}, {name: b, ports: [{name: http, containerPort: 9090}]}],
		initContainers: [{name: c, restartPolicy: Always, ports: [{name: admin, containerPort: 15000}]}, {name: d, ports: [{name: once, containerPort: 1}]}]}}`))
	tests := map[string]struct {
		port string
		want uint16
	}{
		"left out":           {`{port: 80}`, 80},
		"number":             {`{port: 80, targetPort: 8081}`, 8081},
		"name, first of two": {`{port: 80, targetPort: http}`, 8080},
		"name of a sidecar":  {`{port: 80, targetPort: admin}`, 15000},
		"name of an init":    {`{port: 80, targetPort: once}`, 0},
		"another protocol":   {`{port: 80, targetPort: dns}`, 0},
		"its protocol":       {`{port: 80, targetPort: dns, protocol: UDP}`, 53},
		"unknown name":       {`{port: 80, targetPort: grpc}`, 0},
		"number that wraps":  {`{port: 80, targetPort: 65616}`, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := targetPort(decode[corev1.ServicePort](t, test.port), pod.Ports)
			if got != test.want || ok != (test.want != 0) {
				t.Errorf("got %d %v, want %d", got, ok, test.want)
			}
		})
	}
}
