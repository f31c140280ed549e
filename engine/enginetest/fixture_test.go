package enginetest_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// A rule is one hand-made case: objects, a question, and the answer worked out from the text of the rule.
type rule struct {
	name    string
	objects []engine.Object
	// outside restricts ipBlock to addresses outside the cluster (S19).
	outside  bool
	question enginetest.Question
	// want is as [answer] writes it.
	want string
}

func check(t *testing.T, rules []rule) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			checkAnswer(t, r.objects, engine.Options{IPBlockIgnoresPods: r.outside}, r.question, r.want)
		})
	}
}

// checkAnswer asks the oracle, and the engine after the objects came at once, one by one, and in the reverse
// order.
func checkAnswer(
	t *testing.T, list []engine.Object, options engine.Options, q enginetest.Question, want string,
) {
	t.Helper()
	o := enginetest.Oracle{Objects: list, Options: options}
	if got := answer(o.Allowed(q)); got != want {
		t.Errorf("%s, %+v\ngot  %s\nwant %s", q, options, got, want)
	}
	var all []engine.Change
	for _, object := range list {
		all = append(all, engine.Change{Object: object})
	}
	reverse := slices.Clone(all)
	slices.Reverse(reverse)
	for order, batches := range map[string][][]engine.Change{
		"at once":    {all},
		"one by one": slices.Collect(slices.Chunk(all, 1)),
		"in reverse": slices.Collect(slices.Chunk(reverse, 1)),
	} {
		cluster := engine.NewCluster(options)
		for _, batch := range batches {
			apply(cluster, batch)
		}
		if got := answer(cluster.Snapshot().Allowed(q.Query())); got != want {
			t.Errorf("%s, %+v: the engine, objects %s\ngot  %s\nwant %s", q, options, order, got, want)
		}
	}
}

// answer returns a decision in short: the verdict, reason, families, pairs and the rules that allowed, or
// else the error's code and end.
func answer(d engine.Decision, err error) string {
	var q *engine.QueryError
	if errors.As(err, &q) {
		codes := []string{
			"InvalidQuestion", "NotFound", "PodFinished", "WorkloadFinished", "NoServicePort",
			"NoReadyEndpoint", "ExternalName",
		}
		return codes[q.Code] + " " + map[bool]string{false: "src", true: "dst"}[q.Dst]
	}
	words := []string{map[bool]string{false: "denied", true: "allowed"}[d.Allowed]}
	words = append(
		words,
		[]string{
			"Unknown", "Self", "LocalNode", "NotIsolated", "AllowedByRule", "DeniedAtEgress",
			"DeniedAtIngress",
		}[d.Reason],
	)
	words = append(words, []string{"-", "v4", "v6", "v4+v6"}[d.Families])
	if d.BackendsTotal > 0 {
		words = append(words, fmt.Sprintf("%d/%d", d.BackendsAllowed, d.BackendsTotal))
	}
	for i, s := range []engine.Side{d.Egress, d.Ingress} {
		if p := s.ClusterPolicy; p != nil {
			words = append(words, fmt.Sprintf("%s=%s[%d]", []string{"egress", "ingress"}[i], p.Name, s.Rule))
		}
		if s.Policy != nil {
			words = append(
				words, fmt.Sprintf("%s=%s[%d]", []string{"egress", "ingress"}[i], s.Policy.Name, s.Rule),
			)
		}
	}
	return strings.Join(words, " ")
}

// pod returns a Pod "namespace/name" with labels "k=v,k=v" and addresses, as further changed.
func pod(name, labels, ips string, changes ...func(*engine.Pod)) *engine.Pod {
	namespace, name, _ := strings.Cut(name, "/")
	p := &engine.Pod{Namespace: namespace, Name: name, Labels: labelled(labels), IPs: ipList(ips)}
	for _, change := range changes {
		change(p)
	}
	return p
}

func on(node string) func(*engine.Pod)     { return func(p *engine.Pod) { p.Node = node } }
func hostNetwork(p *engine.Pod)            { p.HostNetwork = true }
func finished(p *engine.Pod)               { p.Finished = true }
func created(at int64) func(*engine.Pod)   { return func(p *engine.Pod) { p.Created = at } }
func uid(uid string) func(*engine.Pod)     { return func(p *engine.Pod) { p.UID = uid } }
func hostIPs(ips string) func(*engine.Pod) { return func(p *engine.Pod) { p.HostIPs = ipList(ips) } }

func port(name string, number uint16, protocol engine.Protocol) func(*engine.Pod) {
	return func(p *engine.Pod) {
		p.Ports = append(p.Ports, engine.NamedPort{Name: name, Port: number, Protocol: protocol})
	}
}

func workload(kind, name string) func(*engine.Pod) {
	return func(p *engine.Pod) { p.Workloads = append(p.Workloads, engine.Workload{Kind: kind, Name: name}) }
}

func labelled(words string) map[string]string {
	labels := map[string]string{}
	for word := range strings.FieldsFuncSeq(words, func(r rune) bool { return r == ',' }) {
		k, v, _ := strings.Cut(word, "=")
		labels[k] = v
	}
	return labels
}

func ipList(words string) []netip.Addr {
	var list []netip.Addr
	for word := range strings.FieldsSeq(words) {
		list = append(list, netip.MustParseAddr(word))
	}
	return list
}

func namespace(name, labels string) *engine.Namespace {
	return &engine.Namespace{Name: name, Labels: labelled(labels)}
}

func node(name, ips string) *engine.Node { return &engine.Node{Name: name, IPs: ipList(ips)} }

// ingress returns a policy of namespace a that isolates the Pods with the labels for ingress, with rules.
func ingress(name, subject string, rules ...engine.Rule) *engine.Policy {
	return &engine.Policy{
		Namespace: "a", Name: name, Subject: *matching(subject), IsolatesIngress: true, Ingress: rules,
	}
}

func egress(name, subject string, rules ...engine.Rule) *engine.Policy {
	return &engine.Policy{
		Namespace: "a", Name: name, Subject: *matching(subject), IsolatesEgress: true, Egress: rules,
	}
}

// matching returns a selector of labels.
func matching(labels string) *engine.Selector {
	var s engine.Selector
	for word := range strings.FieldsFuncSeq(labels, func(r rune) bool { return r == ',' }) {
		k, v, _ := strings.Cut(word, "=")
		s = append(s, engine.Requirement{Key: k, Operator: engine.In, Values: []string{v}})
	}
	return &s
}

func from(peers ...engine.Peer) engine.Rule  { return engine.Rule{Peers: peers} }
func ports(ports ...engine.Port) engine.Rule { return engine.Rule{Ports: ports} }
func pods(labels string) engine.Peer         { return engine.Peer{Pods: matching(labels)} }
func namespaces(labels string) engine.Peer   { return engine.Peer{Namespaces: matching(labels)} }
func tcp(first, last uint16) engine.Port     { return engine.Port{First: first, Last: last} }
func named(name string) engine.Port          { return engine.Port{Name: name} }
func service(name, ips string) *engine.Service {
	return &engine.Service{
		Namespace: "a", Name: name, IPs: ipList(ips), Ports: []engine.ServicePort{{Name: "web", Port: 80}},
	}
}

func block(cidr string, excepts ...string) engine.Peer {
	b := &engine.IPBlock{CIDR: netip.MustParsePrefix(cidr)}
	for _, e := range excepts {
		b.Except = append(b.Except, netip.MustParsePrefix(e))
	}
	return engine.Peer{Block: b}
}

// slice returns an EndpointSlice of Service a/web whose target port is 8080.
func slice(name string, endpoints ...engine.SliceEndpoint) *engine.EndpointSlice {
	return &engine.EndpointSlice{
		Namespace: "a", Name: name, Service: "web", Endpoints: endpoints,
		Ports: []engine.ServicePort{{Name: "web", Port: 8080}},
	}
}

func ready(ip string) engine.SliceEndpoint {
	return engine.SliceEndpoint{Addr: netip.MustParseAddr(ip), Ready: true, Serving: true}
}

func draining(ip string) engine.SliceEndpoint {
	return engine.SliceEndpoint{Addr: netip.MustParseAddr(ip), Serving: true, Terminating: true}
}

// ask returns the question "src dst port[/protocol]"; an end is an address, "namespace/pod",
// "Kind/namespace/name", "svc/namespace/name" or "namespace?labels@ip".
func ask(question string) enginetest.Question {
	words := strings.Fields(question)
	q := enginetest.Question{Src: end(words[0]), Dst: end(words[1])}
	number, protocol, _ := strings.Cut(words[2], "/")
	if _, err := fmt.Sscan(number, &q.Port); err != nil {
		panic(err)
	}
	q.Protocol = map[string]engine.Protocol{"": engine.TCP, "udp": engine.UDP, "sctp": engine.SCTP}[protocol]
	return q
}

func end(word string) enginetest.Endpoint {
	if ip, err := netip.ParseAddr(word); err == nil {
		return enginetest.Endpoint{IP: ip}
	}
	if namespace, rest, ok := strings.Cut(word, "?"); ok {
		labels, ip, _ := strings.Cut(rest, "@")
		l := &engine.LabelledPod{Namespace: namespace, Labels: labelled(labels)}
		if ip != "" {
			l.IP = netip.MustParseAddr(ip)
		}
		return enginetest.Endpoint{Labels: l}
	}
	switch parts := strings.Split(word, "/"); {
	case word == "nothing":
		return enginetest.Endpoint{}
	case len(parts) == 2:
		return enginetest.Endpoint{Pod: &enginetest.Name{Namespace: parts[0], Name: parts[1]}}
	case parts[0] == "svc":
		return enginetest.Endpoint{Service: &enginetest.Name{Namespace: parts[1], Name: parts[2]}}
	default:
		return enginetest.Endpoint{Workload: &enginetest.WorkloadName{
			Namespace: parts[1], Workload: engine.Workload{Kind: parts[0], Name: parts[2]},
		}}
	}
}
