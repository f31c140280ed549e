package server_test

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
)

// S28: every invalid field of a question is named at once, with its value and what it should be.
func TestS28WrongQuestionNamesEveryField(t *testing.T) {
	t.Parallel()
	service := decisions.New(synced(shop()...), decisions.Options{})
	cart := netpold.Pod("shop", "cart-0")
	for name, test := range map[string]struct {
		question *netpoldv1.AllowedRequest
		want     []violation
	}{
		"nothing": {&netpoldv1.AllowedRequest{}, []violation{
			{"src", "is required: set one of ip, pod, workload, labels"},
			{"dst", "is required: set one of ip, pod, workload, service, labels"},
			{"port", "0 is not a port; give 1 to 65535"},
		}},
		"no request": {nil, []violation{
			{"src", "is required: set one of ip, pod, workload, labels"},
			{"dst", "is required: set one of ip, pod, workload, service, labels"},
			{"port", "0 is not a port; give 1 to 65535"},
		}},
		"endpoints that are empty": {&netpoldv1.AllowedRequest{Src: &netpoldv1.Endpoint{}, Dst: cart, Port: 1},
			[]violation{
				{"src", "is required: set one of ip, pod, workload, labels"},
			}},
		"addresses": {&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.700"), Dst: netpold.IP("fe80::1%eth0"),
			Port: 1}, []violation{
			{"src.ip", `"10.0.3.700" is not an IPv4 or IPv6 address; write it like "10.0.3.7" or "2001:db8::7"`},
			{"dst.ip", `"fe80::1%eth0" has a zone, which means nothing to a cluster; give the address without it`},
		}},
		"what is nearly an address": {&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.0/24"),
			Dst: netpold.IP("10.0.3.7:80"), Port: 1}, []violation{
			{"src.ip", `"10.0.3.0/24" is not an IPv4 or IPv6 address but a range; ask about one address of it`},
			{"dst.ip", `"10.0.3.7:80" is not an IPv4 or IPv6 address alone; give the port in the field port`},
		}},
		"brackets, and nothing": {&netpoldv1.AllowedRequest{Src: netpold.IP("[::1]"), Dst: netpold.IP(""), Port: 1},
			[]violation{
				{"src.ip", `"[::1]" is not an IPv4 or IPv6 address; leave out the brackets`},
				{"dst.ip", `"" is not an IPv4 or IPv6 address; write it like "10.0.3.7" or "2001:db8::7"`},
			}},
		"port and protocol": {&netpoldv1.AllowedRequest{Src: cart, Dst: cart, Port: 65536, Protocol: 7},
			[]violation{
				{"port", "65536 is not a port; give 1 to 65535"},
				{"protocol", "7 is not a protocol; give PROTOCOL_TCP (1), PROTOCOL_UDP (2) or PROTOCOL_SCTP (3)"},
			}},
		"a port that would wrap around": {&netpoldv1.AllowedRequest{Src: cart, Dst: cart,
			Port: math.MaxUint32 - 65535 + 81}, []violation{
			{"port", "4294901841 is not a port; give 1 to 65535"},
		}},
		"names": {&netpoldv1.AllowedRequest{Src: netpold.Pod("", ""),
			Dst: netpold.Service("shop", strings.Repeat("a", 254)), Port: 1}, []violation{
			{"src.pod.namespace", "is required"},
			{"src.pod.name", "is required"},
			{"dst.service.name", `"` + strings.Repeat("a", 80) + `"... is 254 bytes long; a name has at most 253`},
		}},
		"a reference that is not there": {&netpoldv1.AllowedRequest{
			Src: &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Pod{}}, Dst: cart, Port: 1,
		}, []violation{
			{"src.pod.namespace", "is required"},
			{"src.pod.name", "is required"},
		}},
		"workloads": {&netpoldv1.AllowedRequest{Src: netpold.Workload("shop", "deployment", "cart"),
			Dst: netpold.Workload("", "", ""), Port: 1}, []violation{
			{"src.workload.kind", `"deployment" is no kind of workload; write exactly one of Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob`},
			{"dst.workload.namespace", "is required"},
			{"dst.workload.name", "is required"},
			{"dst.workload.kind", "is required: one of Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob"},
		}},
		"a Service as source": {&netpoldv1.AllowedRequest{Src: netpold.Service("shop", "cart"), Dst: cart, Port: 1},
			[]violation{
				{"src.service", "a Service cannot be a source; give the workload or the Pod that opens the connection"},
			}},
		"labels": {&netpoldv1.AllowedRequest{Src: cart, Port: 1,
			Dst: &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Labels{
				Labels: &netpoldv1.LabelledPod{Ip: "x", NamedPorts: []*netpoldv1.NamedPort{
					{Name: "http", Port: 80}, {Port: 70000, Protocol: -1},
				}},
			}}}, []violation{
			{"dst.labels.namespace", "is required"},
			{"dst.labels.ip", `"x" is not an IPv4 or IPv6 address; write it like "10.0.3.7" or "2001:db8::7"`},
			{"dst.labels.named_ports[1].name", `is required: the port's name, for example "http"`},
			{"dst.labels.named_ports[1].port", "70000 is not a port; give 1 to 65535"},
			{"dst.labels.named_ports[1].protocol",
				"-1 is not a protocol; give PROTOCOL_TCP (1), PROTOCOL_UDP (2) or PROTOCOL_SCTP (3)"},
		}},
		"labels that no Pod can have": {&netpoldv1.AllowedRequest{Dst: cart, Port: 1,
			Src: &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Labels{
				Labels: &netpoldv1.LabelledPod{
					Namespace: "Shop.x", Labels: map[string]string{"app": "web", "a b": "-", "x/": "",
						"tier": strings.Repeat("a", 64)},
					NamedPorts: []*netpoldv1.NamedPort{{Name: "8080", Port: 1}, {Name: "a-name-too-long-", Port: 1},
						{Name: "HTTP", Port: 1}},
				},
			}}}, []violation{
			{"src.labels.namespace", `"Shop.x" is not the name of a namespace; it has a-z, 0-9 and "-", and begins and ends with a letter or digit`},
			{`src.labels.labels["a b"]`, `"a b" is not the key of a label; it has letters, digits, "-", "_" and ".", and begins and ends with a letter or digit`},
			{`src.labels.labels["a b"]`, `"-" is not the value of a label; it has letters, digits, "-", "_" and ".", and begins and ends with a letter or digit`},
			{`src.labels.labels["tier"]`,
				`"` + strings.Repeat("a", 64) + `" is 64 bytes long; a label's value has at most 63`},
			{`src.labels.labels["x/"]`, `"x/" is not the key of a label; it has letters, digits, "-", "_" and ".", and begins and ends with a letter or digit`},
			{"src.labels.named_ports[0].name",
				`"8080" is not the name of a port; it has a-z, 0-9 and single "-" between them, and at least one letter`},
			{"src.labels.named_ports[1].name", `"a-name-too-long-" is 16 bytes long; a port's name has at most 15`},
			{"src.labels.named_ports[2].name",
				`"HTTP" is not the name of a port; it has a-z, 0-9 and single "-" between them, and at least one letter`},
		}},
		"at_least beside something else": {&netpoldv1.AllowedRequest{Src: cart, Dst: cart, AtLeast: "nonsense"},
			[]violation{
				{"port", "0 is not a port; give 1 to 65535"},
				{"at_least", "is not a token of netpold; give the token of an earlier response, or leave it out"},
			}},
		"at_least alone": {&netpoldv1.AllowedRequest{Src: cart, Dst: cart, Port: 1, AtLeast: "nonsense"},
			[]violation{
				{"at_least", "is not a token of netpold; give the token of an earlier response, or leave it out"},
			}},
		// It is never reached, and nothing waits for it.
		"a wrong question with a token to come": {&netpoldv1.AllowedRequest{Src: cart, Dst: cart,
			AtLeast: "servertest:99"}, []violation{
			{"port", "0 is not a port; give 1 to 65535"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := service.Allowed(t.Context(), test.question)
			got := detailsOf(t, status.Convert(err))
			want := details{Code: codes.InvalidArgument, Reason: "INVALID_QUESTION", Message: messageOf(test.want),
				Violations: test.want}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func messageOf(violations []violation) string {
	lines := make([]string, len(violations))
	for i, v := range violations {
		lines[i] = v.Field + ": " + v.Description
	}
	return strings.Join(lines, "; ")
}

// One question cannot make the server write a long error.
func TestViolationsAreBounded(t *testing.T) {
	t.Parallel()
	service := decisions.New(synced(), decisions.Options{})
	question := ask()
	question.Dst = &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Labels{Labels: &netpoldv1.LabelledPod{
		NamedPorts: make([]*netpoldv1.NamedPort, 10_000), Ip: strings.Repeat("\xff", 1<<20),
	}}}
	_, err := service.Allowed(t.Context(), question)
	got := detailsOf(t, status.Convert(err))
	if n := len(got.Violations); n != 16 {
		t.Errorf("%d violations", n)
	}
	if n := len(got.Message); n > 4096 {
		t.Errorf("a message of %d bytes", n)
	}
}

// S21: two containers of a Pod may use one name of a port, for several numbers, protocols, or the same: each
// counts.
func TestS21DoubledNamedPorts(t *testing.T) {
	t.Parallel()
	service := decisions.New(synced(&engine.Policy{
		Namespace: "shop", Name: "web", IsolatesIngress: true,
		Ingress: []engine.Rule{{Ports: []engine.Port{{Name: "http"}}}},
	}), decisions.Options{})
	dst := netpold.Labels("shop", nil)
	dst.GetLabels().NamedPorts = []*netpoldv1.NamedPort{
		{Name: "http", Port: 80}, {Name: "http", Port: 8080}, {Name: "http", Port: 80},
		{Name: "http", Port: 90, Protocol: netpoldv1.Protocol_PROTOCOL_UDP},
	}
	for port, want := range map[uint32]bool{80: true, 8080: true, 90: false, 81: false} {
		answer, err := service.Allowed(t.Context(),
			&netpoldv1.AllowedRequest{Src: netpold.IP("192.0.2.1"), Dst: dst, Port: port})
		if err != nil || answer.GetAllowed() != want {
			t.Errorf("port %d: %v, %v", port, answer, err)
		}
	}
}

// One question with thousands of invalid labels is rejected as briefly as one with a few.
func TestWrongLabelsAreBounded(t *testing.T) {
	t.Parallel()
	labels := map[string]string{}
	for i := range 10_000 {
		labels[strings.Repeat("?", i)] = "?"
	}
	question := ask()
	question.Dst = netpold.Labels("shop", labels)
	_, err := decisions.New(synced(), decisions.Options{}).Allowed(t.Context(), question)
	got := detailsOf(t, status.Convert(err))
	if n := len(got.Violations); n != 16 || len(got.Message) > 8192 {
		t.Errorf("%d violations in %d bytes", n, len(got.Message))
	}
}

// P5: a loopback, unspecified or multicast address is an error for proxies alone. Other ways take it as one outside of the
// cluster (S5), in any spelling; a zone is wrong in each.
func TestP5OtherWaysTakeAnyAddress(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	outside, err := r.decisions().Allowed(soon(t), ipQuestion("8.8.8.8", "10.0.3.7"))
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{
		"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "0:0:0:0:0:0:0:1",
	} {
		q := ipQuestion(src, "10.0.3.7")
		alone, err := r.decisions().Allowed(soon(t), q)
		if err != nil {
			t.Errorf("Allowed: %s: %v", src, err)
		}
		batch, err := r.decisions().BatchAllowed(soon(t), &netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{q}})
		if err != nil {
			t.Fatal(err)
		}
		w := watch(t, r.conn)
		w.add(1, q)
		streamed := exchange(t, open(t, r.conn), &netpoldv1.StreamAllowedRequest{Port: 8080, Dst: dstIPv4("10.0.3.7"),
			Src: &netpoldv1.StreamAllowedRequest_SrcIpv6{SrcIpv6: column(16, src)}})
		for way, got := range map[string]netpoldv1.Reason{
			"Allowed": alone.GetReason(), "BatchAllowed": batch.GetAnswers()[0].GetResponse().GetReason(),
			"WatchAllowed": w.answers[1].GetResponse().GetReason(), "StreamAllowed": netpoldv1.Reason(streamed.GetReasons()[0]),
		} {
			if got != outside.GetReason() || got == netpoldv1.Reason_REASON_UNSPECIFIED {
				t.Errorf("%s: %s: %v, want %v", way, src, got, outside.GetReason())
			}
		}
	}
	_, err = r.decisions().Allowed(soon(t), ipQuestion("fe80::1%eth0", "10.0.3.7"))
	if d := detailsOf(t, status.Convert(err)); d.Code != codes.InvalidArgument || len(d.Violations) != 1 ||
		d.Violations[0].Field != "src.ip" || !strings.Contains(d.Violations[0].Description, "zone") {
		t.Errorf("a zone: %+v", d)
	}
}

// S9, S22: IPv4-mapped addresses are the IPv4 address, and a question without a protocol means TCP.
func TestS9S22ReadingOfGoodQuestions(t *testing.T) {
	t.Parallel()
	service := decisions.New(synced(shop()...), decisions.Options{})
	for name, test := range map[string]struct {
		change func(*netpoldv1.AllowedRequest)
		want   bool
	}{
		"as it is":    {func(*netpoldv1.AllowedRequest) {}, true},
		"IPv4-mapped": {func(q *netpoldv1.AllowedRequest) { q.Src = netpold.IP("::ffff:10.0.1.4") }, true},
		"TCP":         {func(q *netpoldv1.AllowedRequest) { q.Protocol = netpoldv1.Protocol_PROTOCOL_TCP }, true},
		"UDP":         {func(q *netpoldv1.AllowedRequest) { q.Protocol = netpoldv1.Protocol_PROTOCOL_UDP }, false},
		"SCTP": {func(q *netpoldv1.AllowedRequest) { q.Protocol = netpoldv1.Protocol_PROTOCOL_SCTP },
			false},
		"another port": {func(q *netpoldv1.AllowedRequest) { q.Port = 65535 }, false},
		"labels": {func(q *netpoldv1.AllowedRequest) {
			q.Src = netpold.Labels("shop", map[string]string{"app": "frontend"})
		}, true},
		"no labels": {func(q *netpoldv1.AllowedRequest) { q.Src = netpold.Labels("shop", nil) }, false},
		"workload": {func(q *netpoldv1.AllowedRequest) {
			q.Src = netpold.Workload("shop", "Deployment",
				"frontend")
		}, true},
		"service": {func(q *netpoldv1.AllowedRequest) {
			q.Dst, q.Port = netpold.Service("shop", "cart"),
				80
		}, true},
		"cluster IP": {func(q *netpoldv1.AllowedRequest) { q.Dst, q.Port = netpold.IP("10.96.0.10"), 80 }, true},
		"elsewhere":  {func(q *netpoldv1.AllowedRequest) { q.Src = netpold.IP("192.0.2.1") }, false},
		"two addresses": {func(q *netpoldv1.AllowedRequest) {
			q.Src, q.Dst = netpold.IP("2001:db8::1:4"), netpold.IP("2001:db8::3:7")
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			question := ask()
			test.change(question)
			answer, err := service.Allowed(t.Context(), question)
			if err != nil {
				t.Fatal(err)
			}
			if answer.GetAllowed() != test.want {
				t.Errorf("allowed is %v: %v", answer.GetAllowed(), answer)
			}
		})
	}
}

// S9, S19: the address of a Pod by labels is unmapped too.
func TestS9S19AddressOfALabelledPod(t *testing.T) {
	t.Parallel()
	block := &engine.IPBlock{CIDR: netip.MustParsePrefix("10.9.0.0/16")}
	service := decisions.New(synced(pod("cart-0", "cart", "10.0.3.7"), &engine.Policy{
		Namespace: "shop", Name: "block", IsolatesIngress: true,
		Ingress: []engine.Rule{{Peers: []engine.Peer{{Block: block}}}},
	}), decisions.Options{})
	for ip, want := range map[string]bool{"10.9.9.9": true, "::ffff:10.9.9.9": true, "10.8.9.9": false,
		"::a09:909": false, "": false} {
		source := netpold.Labels("shop", nil)
		source.GetLabels().Ip = ip
		answer, err := service.Allowed(t.Context(),
			&netpoldv1.AllowedRequest{Src: source, Dst: netpold.IP("10.0.3.7"), Port: 80})
		if err != nil || answer.GetAllowed() != want {
			t.Errorf("%q: %v, %v", ip, answer, err)
		}
	}
}
