package enginetest_test

import (
	"net/netip"
	"testing"

	"github.com/netpold/netpold/engine"
)

// TestOracleServices proves S24.
func TestOracleServices(t *testing.T) {
	src := pod("c/src", "", "10.0.9.1 fd00:9::1")
	four := pod("c/four", "", "10.0.9.4")
	p1, p2 := pod("a/p1", "app=1", "10.0.0.1 fd00::1"), pod("a/p2", "app=2", "10.0.0.2")
	web := service("web", "10.0.2.1 fd00:3::1")
	headless := &engine.Service{Namespace: "a", Name: "web", Headless: true, IPs: ipList("10.0.2.1")}
	both := slice("e1", ready("10.0.0.1"), ready("10.0.0.2"))
	on8080 := ingress("in", "", ports(tcp(8080, 8080)))
	base := func(more ...engine.Object) objects { return append(objects{src, four, p1, p2, web}, more...) }
	byName := func(name string) engine.SliceEndpoint { return engine.SliceEndpoint{Pod: name, Ready: true} }
	other := service("other", "10.0.2.1")
	other.Ports = []engine.ServicePort{{Name: "web", Port: 81}}
	check(t, []rule{
		{"S24 by name, to the target port", base(both, on8080), false, ask("c/src svc/a/web 80"),
			"allowed AllowedByRule v4 2/2 ingress=in[0]"},
		{"S24 by address", base(both, on8080), false, ask("c/src 10.0.2.1 80"),
			"allowed AllowedByRule v4 2/2 ingress=in[0]"},
		{"S24 both by address", base(both, on8080), false, ask("10.0.9.1 10.0.2.1 80"),
			"allowed AllowedByRule - 2/2 ingress=in[0]"},
		{"S24 every endpoint has to be allowed", base(both, ingress("in", "app=2")), false,
			ask("c/src svc/a/web 80"), "denied DeniedAtIngress - 1/2"},
		{"S24 the first denied gives the reason",
			base(both, ingress("in", "app=2"), ingress("jn", "", from(pods("app=none")))), false,
			ask("c/src svc/a/web 80"), "denied DeniedAtIngress - 0/2"},
		{"S24 of one family", base(both, slice("e2", ready("fd00::1")), ingress("in", "app=2")), false,
			ask("c/src svc/a/web 80"), "allowed NotIsolated v6 1/1"},
		{"S24 of both families", base(both, slice("e2", ready("fd00::1"))), false, ask("c/src svc/a/web 80"),
			"allowed NotIsolated v4+v6 2/2"},
		{"S24 of no family of the source's", base(slice("e2", ready("fd00::1"))), false,
			ask("c/four svc/a/web 80"), "allowed NotIsolated - 1/1"},
		{"S24 of the address's family", base(slice("e2", ready("fd00::1"))), false, ask("c/src 10.0.2.1 80"),
			"NoReadyEndpoint dst"},
		{"S24 of no family of the source's address", base(slice("e2", ready("fd00::1"))), false,
			ask("10.0.9.1 svc/a/web 80"), "allowed NotIsolated - 1/1"},
		{"S24 ready before draining",
			base(slice("e1", ready("10.0.0.1"), draining("10.0.0.2")), ingress("in", "app=2")), false,
			ask("c/src svc/a/web 80"), "allowed NotIsolated v4 1/1"},
		{"S24 draining when none is ready", base(slice("e1", draining("10.0.0.2"))), false,
			ask("c/src svc/a/web 80"), "allowed NotIsolated v4 1/1"},
		{"S24 serving alone is not enough",
			base(slice("e1", engine.SliceEndpoint{Addr: netip.MustParseAddr("10.0.0.1"), Serving: true})),
			false, ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 draining per family", base(slice("e1", draining("10.0.0.1")), slice("e2", ready("fd00::1"))),
			false, ask("c/src svc/a/web 80"), "allowed NotIsolated v4+v6 1/1"},
		{"S24 no such port", base(both), false, ask("c/src svc/a/web 81"), "NoServicePort dst"},
		{"S24 no such protocol", base(both), false, ask("c/src svc/a/web 80/udp"), "NoServicePort dst"},
		{"S24 no such port by address", base(both), false, ask("c/src 10.0.2.1 81"), "NoServicePort dst"},
		{"S24 no slice", base(), false, ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 a slice that lacks the port",
			base(&engine.EndpointSlice{Namespace: "a", Name: "e", Service: "web",
				Endpoints: []engine.SliceEndpoint{ready("10.0.0.1")}}),
			false, ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 a slice with the port by another name",
			base(&engine.EndpointSlice{Namespace: "a", Name: "e", Service: "web",
				Endpoints: []engine.SliceEndpoint{ready("10.0.0.1")},
				Ports:     []engine.ServicePort{{Name: "other", Port: 8080}}}),
			false, ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 a slice with the port in another protocol",
			base(&engine.EndpointSlice{Namespace: "a", Name: "e", Service: "web",
				Endpoints: []engine.SliceEndpoint{ready("10.0.0.1")},
				Ports:     []engine.ServicePort{{Name: "web", Port: 8080, Protocol: engine.UDP}}}),
			false, ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 ExternalName", objects{src, &engine.Service{Namespace: "a", Name: "web", ExternalName: true}},
			false, ask("c/src svc/a/web 80"), "ExternalName dst"},
		{"S24 headless, on the very port", objects{src, p1, p2, headless, both, on8080}, false,
			ask("c/src svc/a/web 8080"), "allowed AllowedByRule v4 2/2 ingress=in[0]"},
		{"S24 headless maps nothing", objects{src, p1, p2, headless, both, on8080}, false,
			ask("c/src svc/a/web 80"), "denied DeniedAtIngress - 0/2"},
		{"S24 headless has no address", objects{src, p1, p2, headless, both, on8080}, false,
			ask("c/src 10.0.2.1 80"), "allowed NotIsolated v4"},
		{"S24 an endpoint by Pod name", base(slice("e", byName("p1"), byName("nobody"))), false,
			ask("c/src svc/a/web 80"), "allowed NotIsolated v4+v6 1/1"},
		{"S24 an endpoint without an address, in every family",
			base(pod("a/p3", "", ""), slice("e", byName("p3"))), false, ask("c/src svc/a/web 80"),
			"allowed NotIsolated v4+v6 1/1"},
		{"S24 a denied family leaves the other",
			base(slice("e1", ready("10.0.0.2")), slice("e2", ready("fd00::1")), ingress("in", "app=1")),
			false, ask("c/src svc/a/web 80"), "allowed NotIsolated v4 1/1"},
		{"S24 a finished Pod is no endpoint",
			objects{src, web, pod("a/p1", "", "10.0.0.1", finished), slice("e", byName("p1"))}, false,
			ask("c/src svc/a/web 80"), "NoReadyEndpoint dst"},
		{"S24 an endpoint twice counts once", base(both, slice("e2", byName("p2"), ready("10.0.0.2"))), false,
			ask("c/src svc/a/web 80"), "allowed NotIsolated v4 2/2"},
		{"S24 an endpoint is whatever owns its address: outside", base(slice("e", ready("192.0.2.1"))), false,
			ask("c/src svc/a/web 80"), "allowed NotIsolated v4 1/1"},
		{"S24 an endpoint is whatever owns its address: the source", base(both, denyAll()), false,
			ask("a/p2 svc/a/web 80"), "denied DeniedAtEgress - 1/2"},
		{"S24 a shared address, by port", base(other, both), false, ask("c/src 10.0.2.1 81"),
			"NoReadyEndpoint dst"},
		{"S24 a Service's port at a Pod's address", base(pod("a/odd", "", "10.0.2.1"), both), false,
			ask("c/src 10.0.2.1 80"), "allowed NotIsolated v4 2/2"},
		{"S24 a Pod's other ports are its own", base(pod("a/odd", "", "10.0.2.1"), both), false,
			ask("c/src 10.0.2.1 81"), "allowed NotIsolated v4"},
		{"S24 a Node that shares the address", base(node("n1", "10.0.2.1"), both), false,
			ask("c/src 10.0.2.1 80"), "allowed NotIsolated v4 2/2"},
		{"S24 a Node's other ports are its own", base(node("n1", "10.0.2.1"), both), false,
			ask("c/src 10.0.2.1 30080"), "allowed NotIsolated v4"},
		{"S24 a Service's address as source is external",
			base(both, ingress("in", "", from(block("10.0.2.1/32")))), false, ask("10.0.2.1 a/p1 80"),
			"allowed AllowedByRule v4 ingress=in[0]"},
		{"S24 a source without an address, all families",
			base(both, slice("e2", ready("fd00::1")), pod("c/none", "", "")), false,
			ask("c/none svc/a/web 80"), "allowed NotIsolated v4+v6 2/2"},
	})
}

// TestOracleNames proves S24, S27 and S28: what has no answer.
func TestOracleNames(t *testing.T) {
	w := workload("Deployment", "w")
	p1, p2 := pod("a/p1", "app=1", "10.0.0.1", w), pod("a/p2", "app=2", "10.0.0.2 fd00::2", w)
	gone := pod("a/p0", "", "10.0.0.9", w, finished)
	pending := pod("a/p3", "app=3", "", w)
	dual := pod("b/q", "", "10.0.1.1 fd00:1::1")
	six := pod("a/six", "", "fd00::6", w)
	web, e := service("web", ""), slice("e", ready("10.0.1.1"), ready("fd00:1::1"))
	check(t, []rule{
		{"S24 a workload that has finished", objects{gone, dual}, false, ask("Deployment/a/w b/q 80"),
			"WorkloadFinished src"},
		{"S27 an unknown Pod", objects{dual}, false, ask("b/q a/nobody 80"), "NotFound dst"},
		{"S27 an unknown Service", objects{dual}, false, ask("b/q svc/a/nobody 80"), "NotFound dst"},
		{"S27 an unknown workload", objects{p1, dual}, false, ask("StatefulSet/a/w b/q 80"), "NotFound src"},
		{"S27 a workload of another namespace", objects{p1, dual}, false, ask("b/q Deployment/b/w 80"),
			"NotFound dst"},
		{"S27 the source's error is told", objects{dual}, false, ask("a/nobody svc/a/nobody 80"),
			"NotFound src"},
		{"S27 its Pods that have not finished", objects{gone, p1, p2, dual}, false,
			ask("b/q Deployment/a/w 80"), "allowed NotIsolated v4 2/2"},
		{"S27 allowed when all are", objects{p1, p2, dual, ingress("in", "app=2")}, false,
			ask("b/q Deployment/a/w 80"), "denied DeniedAtIngress - 1/2"},
		{"S27 pending ones too", objects{p1, pending, dual, ingress("in", "app=3")}, false,
			ask("b/q Deployment/a/w 80"), "denied DeniedAtIngress - 1/2"},
		{"S27 every pair", objects{p1, p2, denyAll()}, false, ask("Deployment/a/w Deployment/a/w 80"),
			"denied DeniedAtEgress - 2/4"},
		{"S27 each pair in its own families", objects{p1, six, dual}, false, ask("Deployment/a/w b/q 80"),
			"allowed NotIsolated - 2/2"},
		{"S27 a workload to a Service, in one family",
			objects{p1, six, dual, web, e, egress("out", "", from(block("10.0.1.1/32")))}, false,
			ask("Deployment/a/w svc/a/web 80"), "denied DeniedAtEgress - 1/2"},
		{"S28 no source", nil, false, ask("nothing 10.0.0.1 80"), "InvalidQuestion src"},
		{"S28 no destination", nil, false, ask("10.0.0.1 nothing 80"), "InvalidQuestion dst"},
		{"S28 a Service as source", objects{web}, false, ask("svc/a/web 10.0.0.1 80"), "InvalidQuestion src"},
	})
}
