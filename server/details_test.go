package server_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

func addr(ip string) netip.Addr { return netip.MustParseAddr(ip) }

// town returns a cluster with every note of a question. Each namespace is one scenario.
func town() []engine.Object {
	in := func(namespace, name string, change func(*engine.Pod)) *engine.Pod {
		p := &engine.Pod{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}}
		change(p)
		return p
	}
	deny := func(namespace string) *engine.Policy {
		return &engine.Policy{Namespace: namespace, Name: "deny", IsolatesIngress: true}
	}
	return []engine.Object{
		&engine.Node{Name: "n1", IPs: []netip.Addr{addr("192.168.7.1")},
			PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.42.1.0/24")}},
		&engine.Node{Name: "n2", IPs: []netip.Addr{addr("192.168.7.2")}},
		&engine.Namespace{Name: "np"},
		in("np", "w", func(p *engine.Pod) {
			p.Node, p.IPs = "n1", []netip.Addr{addr("10.42.1.7")}
			p.Workloads = []engine.Workload{{Kind: "ReplicaSet", Name: "w-5d9f"}, {Kind: "Deployment", Name: "w"}}
			p.HostPorts = []engine.HostPort{{Port: 8088, ContainerPort: 8080}}
			p.SecondaryIPs = []netip.Addr{addr("192.168.50.5")}
		}),
		deny("np"),
		&engine.Service{
			Namespace: "np", Name: "w", IPs: []netip.Addr{addr("10.96.0.1")}, Ports: []engine.ServicePort{{Port: 80}},
			PortDetails: []engine.ServicePortDetail{{Port: 80, NodePort: 30644}},
		},
		&engine.EndpointSlice{
			Namespace: "np", Name: "w-x", Service: "w", Ports: []engine.ServicePort{{Port: 8080}},
			Endpoints: []engine.SliceEndpoint{{Addr: addr("10.42.1.7"), Pod: "w", Ready: true}},
		},
		in("edge", "proxy", func(p *engine.Pod) {
			p.Node, p.HostNetwork, p.IPs = "n2", true, []netip.Addr{addr("192.168.7.2")}
		}),
		in("dw", "p", func(p *engine.Pod) { p.IPs = []netip.Addr{addr("10.42.2.1")} }),
		in("ops", "op", func(p *engine.Pod) { p.IPs = []netip.Addr{addr("10.42.2.2")} }),
		&engine.Policy{
			Namespace: "dw", Name: "deny", IsolatesIngress: true, IsolatesEgress: true,
			Ingress: []engine.Rule{
				{Peers: []engine.Peer{{Namespaces: &engine.Selector{{Key: "team", Operator: engine.In,
					Values: []string{"ops"}}}}}},
			},
			Egress: []engine.Rule{
				{Peers: []engine.Peer{{Block: &engine.IPBlock{CIDR: netip.MustParsePrefix("0.0.0.0/0")}}}},
				{Peers: []engine.Peer{{Namespaces: &engine.Selector{}}}, Ports: []engine.Port{{Name: "http"}}},
			},
		},
		in("rv", "a", func(p *engine.Pod) { p.IPs = []netip.Addr{addr("10.42.3.1")} }),
		in("rv", "b", func(p *engine.Pod) { p.IPs = []netip.Addr{addr("10.42.3.2")} }),
		deny("rv"),
		&engine.Policy{
			Namespace: "rv", Name: "meant-for-b", IsolatesIngress: true,
			Subject: engine.Selector{{Key: "app", Operator: engine.In, Values: []string{"a"}}},
			Ingress: []engine.Rule{{
				Peers: []engine.Peer{{Pods: &engine.Selector{{Key: "app", Operator: engine.In, Values: []string{"b"}}}}},
				Ports: []engine.Port{{First: 80, Last: 80}},
			}},
		},
		in("jobs", "old", func(p *engine.Pod) {
			p.Finished, p.Created, p.IPs = true, 1, []netip.Addr{addr("10.42.1.99")}
		}),
		in("jobs", "done", func(p *engine.Pod) {
			p.Finished, p.Created, p.IPs = true, 2, []netip.Addr{addr("10.42.1.99"), addr("10.42.2.1")}
		}),
		in("jobs", "host", func(p *engine.Pod) {
			p.Finished, p.HostNetwork, p.IPs = true, true, []netip.Addr{addr("192.168.7.9")}
		}),
		&engine.Namespace{Name: "ti"},
		in("ti", "new", func(*engine.Pod) {}),
		&engine.Namespace{Name: "mesh", Labels: map[string]string{"istio.io/dataplane-mode": "ambient"}},
		in("mesh", "a", func(*engine.Pod) {}),
		in("mesh", "b", func(*engine.Pod) {}),
		in("mesh", "out", func(p *engine.Pod) { p.Labels["istio.io/dataplane-mode"] = "none" }),
	}
}

// Every note of a question, at the wire.
func TestNotesOfQuestions(t *testing.T) {
	t.Parallel()
	client := start(t, synced(town()...), nil).decisions()
	pod, ip := netpold.Pod, netpold.IP
	labels := func(namespace string) *netpoldv1.Endpoint {
		return netpold.Labels(namespace, map[string]string{"app": "x"})
	}
	for name, test := range map[string]struct {
		src, dst *netpoldv1.Endpoint
		port     uint32
		code     string
		want     []string
	}{
		"an address outside": {ip("203.0.113.7"), pod("mesh", "a"), 80, "OUTSIDE_CLUSTER",
			[]string{"203.0.113.7 is outside the cluster", "so that only an ipBlock or a rule without peers matches it"}},
		"as destination too": {pod("mesh", "a"), ip("203.0.113.7"), 80, "OUTSIDE_CLUSTER",
			[]string{"203.0.113.7 is outside the cluster"}},
		"in the range of a Node's Pods": {
			ip("10.42.1.1"), pod("np", "w"), 80, "OUTSIDE_CLUSTER",
			[]string{"10.42.1.1 is in the range of Pods 10.42.1.0/24 of Node n1, and no Pod has it"},
		},
		"in a second network": {
			pod("mesh", "a"), ip("192.168.50.5"), 80, "OUTSIDE_CLUSTER",
			[]string{"192.168.50.5 is the address of Pod np/w in a second network", "ask np/w"},
		},
		"labels in a namespace of nothing": {labels("shpo"), pod("mesh", "a"), 80, "EMPTY_NAMESPACE",
			[]string{"namespace shpo", "is the name right?"}},
		"labels in one namespace of nothing, twice": {labels("shpo"), labels("shpo"), 80, "EMPTY_NAMESPACE",
			[]string{"namespace shpo", "is the name right?"}},
		"a host-network Pod as source": {pod("edge", "proxy"), pod("np", "w"), 80, "HOST_NETWORK",
			[]string{"edge/proxy is on the host network: no policy can select it"}},
		"a host-network Pod as destination": {
			pod("np", "w"), pod("edge", "proxy"), 80, "HOST_NETWORK", []string{"edge/proxy is on the host network"},
		},
		"a host-network Pod by its address": {
			ip("192.168.7.2"), pod("np", "w"), 80, "HOST_NETWORK",
			[]string{"192.168.7.2 is a Node's address", "such as edge/proxy"},
		},
		"a node port": {
			ip("203.0.113.7"), ip("192.168.7.2"), 30644, "NODE_PORT",
			[]string{"port 30644/TCP of a Node leads to Service np/w", "ask svc/np/w on port 80"},
		},
		"a host port": {
			ip("203.0.113.7"), ip("192.168.7.1"), 8088, "HOST_PORT",
			[]string{"port 8088/TCP of Node n1 leads to Pod np/w", "ask np/w on port 8080"},
		},
		"a port name that labels lack": {
			pod("dw", "p"), labels("ti"), 8080, "PORT_NAME_MISSING",
			[]string{"policy dw/deny asks for ports by name", "does not have: http", "named_ports", "#http=PORT"},
		},
		"a Pod without an address": {
			pod("dw", "p"), pod("ti", "new"), 80, "NO_ADDRESS",
			[]string{"ti/new has no address yet", "policy dw/deny asks for ipBlocks"},
		},
		"a Namespace that was not read": {
			pod("ops", "op"), pod("dw", "p"), 80, "NAMESPACE_UNKNOWN",
			[]string{"the Namespace ops was not read", "policy dw/deny asks for its labels team"},
		},
		"two Pods of an ambient mesh": {pod("mesh", "a"), pod("mesh", "b"), 80, "AMBIENT_MESH",
			[]string{"port 15008"}},
		"a node port of a host-network Pod": {
			pod("np", "w"), pod("edge", "proxy"), 30644, "NODE_PORT",
			[]string{"leads to Service np/w", "ask svc/np/w on port 80"},
		},
		"the address of a finished Pod": {
			pod("mesh", "a"), ip("10.42.1.99"), 80, "OUTSIDE_CLUSTER",
			[]string{"Pod jobs/done had the address 10.42.1.99 and has finished (S6)"},
		},
		"the other way": {pod("rv", "a"), pod("rv", "b"), 80, "REVERSE_ALLOWED",
			[]string{"rv/b may open 80/TCP to rv/a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			question := &netpoldv1.AllowedRequest{Src: test.src, Dst: test.dst, Port: test.port, Details: true}
			answer, err := client.Allowed(soon(t), question)
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(answer.GetNotes(), func(n *netpoldv1.Note) bool { return n.GetCode() == test.code })
			if at < 0 {
				t.Fatalf("no note %s among %v", test.code, answer.GetNotes())
			}
			told := make(map[string]bool)
			for _, n := range answer.GetNotes() {
				if told[n.GetMessage()] {
					t.Errorf("told twice: %q", n.GetMessage())
				}
				told[n.GetMessage()] = true
			}
			for _, want := range test.want {
				if message := answer.GetNotes()[at].GetMessage(); !strings.Contains(message, want) {
					t.Errorf("message %q has no %q", message, want)
				}
			}
		})
	}
}

// Notes that tell more where there are cluster-wide policies.
func TestNotesWithTiers(t *testing.T) {
	t.Parallel()
	everywhere := []engine.Peer{{Namespaces: &engine.Selector{}}}
	network := []engine.Peer{{Block: &engine.IPBlock{CIDR: netip.MustParsePrefix("10.0.0.0/8")}}}
	teams := engine.Selector{{Key: "team", Operator: engine.In, Values: []string{"ops"}}}
	in := func(namespace string) engine.ClusterSubject {
		return engine.ClusterSubject{Namespaces: engine.Selector{
			{Key: "kubernetes.io/metadata.name", Operator: engine.In, Values: []string{namespace}}}}
	}
	deny := func(peers []engine.Peer, ports ...engine.Port) []engine.ClusterRule {
		return []engine.ClusterRule{{Action: engine.Deny, Rule: engine.Rule{Peers: peers, Ports: ports}}}
	}
	client := start(t, synced(append(town(),
		&engine.ClusterPolicy{Kind: engine.AdminNetworkPolicy, Name: "names", Tier: engine.Admin, Subject: in("mesh"),
			Egress: deny(everywhere, engine.Port{Name: "http", AnyProtocol: true})},
		&engine.ClusterPolicy{Name: "names", Tier: engine.Admin, Subject: in("mesh"),
			Egress: deny(everywhere, engine.Port{Name: "admin", AnyProtocol: true})},
		&engine.ClusterPolicy{Name: "nets", Tier: engine.Admin, Subject: in("jobs"), Egress: deny(network)},
		&engine.ClusterPolicy{Name: "nets", Kind: engine.AdminNetworkPolicy, Tier: engine.Admin, Subject: in("rv"),
			Egress: deny(network)},
		&engine.ClusterPolicy{Name: "teams", Tier: engine.Admin, Subject: in("mesh"),
			Ingress: deny([]engine.Peer{{Namespaces: &teams}})},
	)...), nil).decisions()
	pod, ip := netpold.Pod, netpold.IP
	for name, test := range map[string]struct {
		src, dst *netpoldv1.Endpoint
		code     string
		want     string
	}{
		"port names that labels lack": {
			pod("mesh", "a"), netpold.Labels("mesh", nil), "PORT_NAME_MISSING",
			"ClusterNetworkPolicy names, AdminNetworkPolicy names ask for ports by name that the Pod of labels " +
				"does not have: admin, http;",
		},
		"a Pod without an address": {
			pod("rv", "a"), pod("ti", "new"), "NO_ADDRESS",
			"ti/new has no address yet, so that no networks match it (S39); AdminNetworkPolicy nets asks for " +
				"networks on this port",
		},
		"a Namespace that was not read": {
			pod("ops", "op"), pod("mesh", "a"), "NAMESPACE_UNKNOWN", "ClusterNetworkPolicy teams asks for its labels team",
		},
		"an address outside": {
			pod("mesh", "a"), ip("203.0.113.7"), "OUTSIDE_CLUSTER",
			"only an ipBlock, a peer networks (egress), or a rule without peers matches it",
		},
		"the address of a finished Pod": {
			pod("mesh", "a"), ip("10.42.1.99"), "OUTSIDE_CLUSTER", "only an ipBlock, a peer networks (egress), or",
		},
		"a host-network Pod": {
			pod("mesh", "a"), pod("edge", "proxy"), "HOST_NETWORK",
			"only an ipBlock, a peer nodes or networks (egress), or a rule without peers matches it (S4)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			question := &netpoldv1.AllowedRequest{Src: test.src, Dst: test.dst, Port: 80, Details: true}
			answer, err := client.Allowed(soon(t), question)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(answer.GetNotes(), func(n *netpoldv1.Note) bool {
				return n.GetCode() == test.code && strings.Contains(n.GetMessage(), test.want)
			}) {
				t.Errorf("no note %s %q among %v", test.code, test.want, answer.GetNotes())
			}
		})
	}
}

// Questions that need no note have none.
func TestNotesAreNotTold(t *testing.T) {
	t.Parallel()
	client := start(t, synced(town()...), nil).decisions()
	pod, ip := netpold.Pod, netpold.IP
	named := netpold.Labels("ti", nil)
	named.GetLabels().NamedPorts = []*netpoldv1.NamedPort{{Name: "http", Port: 80}}
	for name, test := range map[string]struct {
		src, dst *netpoldv1.Endpoint
		port     uint32
		want     []string
	}{
		"a Service's address":              {pod("ti", "new"), ip("10.96.0.1"), 80, nil},
		"nothing forbids the other way":    {pod("mesh", "a"), pod("np", "w"), 80, nil},
		"an address that is reused":        {pod("mesh", "a"), ip("10.42.2.1"), 80, nil},
		"another port of a Node":           {pod("ti", "new"), ip("192.168.7.1"), 30645, nil},
		"a host port of another Node":      {pod("ti", "new"), ip("192.168.7.2"), 8088, []string{"HOST_NETWORK"}},
		"a Pod that left the mesh":         {pod("mesh", "a"), pod("mesh", "out"), 80, nil},
		"the port of the mesh":             {pod("mesh", "a"), pod("mesh", "b"), 15008, nil},
		"a port by name that the Pod has":  {pod("dw", "p"), named, 80, nil},
		"an ipBlock of a rule that allows": {pod("dw", "p"), ip("192.168.7.1"), 80, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, err := client.Allowed(soon(t),
				&netpoldv1.AllowedRequest{Src: test.src, Dst: test.dst, Port: test.port, Details: true})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range answer.GetNotes() {
				got = append(got, n.GetCode())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("notes %v, want %v", answer.GetNotes(), test.want)
			}
		})
	}
}

// An answer has the endpoints of the deciding pair, alone and in a batch, but only with details.
func TestDetails(t *testing.T) {
	t.Parallel()
	client := start(t, synced(town()...), nil).decisions()
	np := &netpoldv1.Resolved{
		Kind: netpoldv1.ResolvedKind_RESOLVED_KIND_POD, Namespace: "np", Name: "w", Node: "n1", Ip: "10.42.1.7",
		IpFamily: netpoldv1.IpFamily_IP_FAMILY_IPV4,
		Workload: &netpoldv1.WorkloadRef{Namespace: "np", Kind: "Deployment", Name: "w"},
	}
	behind := proto.CloneOf(np)
	behind.Service = &netpoldv1.ServiceRef{Namespace: "np", Name: "w"}
	asReplicaSet := proto.CloneOf(np)
	asReplicaSet.Workload = &netpoldv1.WorkloadRef{Namespace: "np", Kind: "ReplicaSet", Name: "w-5d9f"}
	node := &netpoldv1.Resolved{
		Kind: netpoldv1.ResolvedKind_RESOLVED_KIND_NODE, Node: "n1", Ip: "192.168.7.1",
		IpFamily: netpoldv1.IpFamily_IP_FAMILY_IPV4,
	}
	outside := &netpoldv1.Resolved{
		Kind: netpoldv1.ResolvedKind_RESOLVED_KIND_EXTERNAL, Ip: "203.0.113.7",
		IpFamily: netpoldv1.IpFamily_IP_FAMILY_IPV4,
	}
	for name, test := range map[string]struct {
		src, dst         *netpoldv1.Endpoint
		wantSrc, wantDst *netpoldv1.Resolved
		wantPort         uint32
	}{
		"by address":          {netpold.IP("192.168.7.1"), netpold.IP("10.42.1.7"), node, np, 80},
		"a Service":           {netpold.IP("203.0.113.7"), netpold.Service("np", "w"), outside, behind, 8080},
		"a Service's address": {netpold.IP("203.0.113.7"), netpold.IP("10.96.0.1"), outside, behind, 8080},
		"the workload asked": {netpold.IP("203.0.113.7"), netpold.Workload("np", "ReplicaSet", "w-5d9f"), outside,
			asReplicaSet, 80},
		"labels": {netpold.Labels("mesh", nil), netpold.Pod("edge", "proxy"),
			&netpoldv1.Resolved{Kind: netpoldv1.ResolvedKind_RESOLVED_KIND_HYPOTHETICAL, Namespace: "mesh",
				IpFamily: netpoldv1.IpFamily_IP_FAMILY_IPV4},
			&netpoldv1.Resolved{
				Kind: netpoldv1.ResolvedKind_RESOLVED_KIND_HOST_NETWORK_POD, Namespace: "edge", Name: "proxy", Node: "n2",
				Ip:       "192.168.7.2",
				IpFamily: netpoldv1.IpFamily_IP_FAMILY_IPV4,
			}, 80},
		"a Service's address as source": {netpold.IP("10.96.0.1"), netpold.Pod("np", "w"),
			&netpoldv1.Resolved{
				Kind: netpoldv1.ResolvedKind_RESOLVED_KIND_EXTERNAL, Ip: "10.96.0.1",
				IpFamily: netpoldv1.IpFamily_IP_FAMILY_IPV4,
				Service:  &netpoldv1.ServiceRef{Namespace: "np", Name: "w"},
			}, np, 80},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			question := &netpoldv1.AllowedRequest{Src: test.src, Dst: test.dst, Port: 80}
			plain, err := client.Allowed(soon(t), question)
			if err != nil {
				t.Fatal(err)
			}
			detailed := proto.CloneOf(question)
			detailed.Details = true
			answer, err := client.Allowed(soon(t), detailed)
			if err != nil {
				t.Fatal(err)
			}
			batch, err := client.BatchAllowed(soon(t),
				&netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{question, detailed}})
			if err != nil {
				t.Fatal(err)
			}
			if answer.GetProtocol() != netpoldv1.Protocol_PROTOCOL_TCP || answer.GetPort() != test.wantPort {
				t.Errorf("decided on %d/%v, want %d", answer.GetPort(), answer.GetProtocol(), test.wantPort)
			}
			equal := func(what string, got, want proto.Message) {
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("%s: -want +got:\n%s", what, diff)
				}
			}
			equal("src", answer.GetSrc(), test.wantSrc)
			equal("dst", answer.GetDst(), test.wantDst)
			equal("without details, in a batch", batch.GetAnswers()[0].GetResponse(), plain)
			equal("with details, in a batch", batch.GetAnswers()[1].GetResponse(), answer)
			answer.Src, answer.Dst, answer.Port, answer.Protocol, answer.Notes = nil, nil, 0, 0, nil
			equal("without the details", answer, plain)
		})
	}
}
