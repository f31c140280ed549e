package agree

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/audit/audittest"
	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/render"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// TestP1EveryWayToAskAgrees asks of random clusters who may reach whom: the naive oracle, Allowed, a batch, a stream, a
// watch, questions that the client gathers, the client with a cache, Check of both filters, forward-auth, Explain, and the
// list as a reader of the contract expands it, over the wire and from the command (P1, A2, A3, A6, L1). Ports and addresses
// are those at the borders of rules. Real proxies on random clusters are in test/proxies.
func TestP1EveryWayToAskAgrees(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := newCluster(t, seed)
			a := &agreement{cluster: c, rand: rand.New(rand.NewPCG(seed, 7))}
			addr, forwardAuth, client := serve(t, c)
			a.borders()
			a.list(t, addr, client)
			a.byName(t, client, dial(t, addr, netpold.WithCache(netpold.CacheConfig{})), newProxies(t, addr, forwardAuth))
			a.byAddress(t, client)
			a.change(t, client)
		})
	}
}

// An agreement is one cluster, and what its list says.
type agreement struct {
	*cluster
	rand  *rand.Rand
	ports []engine.PortRange // of one port each
	addrs []netip.Addr
	// listed is the list, and groups has the group of each Pod.
	listed *audittest.Reading
	groups map[string]uint32
}

// borders collects the ports at the borders of rules, and the addresses there that are outside the cluster.
func (a *agreement) borders() {
	a.ports, a.addrs = enginetest.Borders(a.objects)
	a.addrs = slices.DeleteFunc(a.addrs, func(ip netip.Addr) bool { return ip.Is4In6() || !a.isOutside(ip) })
}

// isOutside reports whether nothing in the cluster has an address.
func (a *agreement) isOutside(ip netip.Addr) bool {
	for _, o := range a.objects {
		switch o := o.(type) {
		case *engine.Pod:
			if slices.Contains(o.IPs, ip) || slices.Contains(o.HostIPs, ip) || slices.Contains(o.SecondaryIPs, ip) {
				return false
			}
		case *engine.Node:
			if slices.Contains(o.IPs, ip) {
				return false
			}
		case *engine.Service:
			if slices.Contains(o.IPs, ip) {
				return false
			}
		}
	}
	return true
}

// list takes the list over the wire, and expects the command to print it, from the manifests and from the server.
func (a *agreement) list(t *testing.T, addr string, client *netpold.Client) {
	t.Helper()
	var messages []*netpoldv1.ListConnectionsResponse
	var text strings.Builder
	for m, err := range client.Connections(t.Context(), &netpoldv1.ListConnectionsRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		if m.GetProgress() != nil {
			continue
		}
		messages = append(messages, m)
		if err := render.JSONLine(&text, m); err != nil {
			t.Fatal(err)
		}
	}
	want := jsonLines(t, text.String())
	for _, from := range [][]string{{"--manifests", a.dir}, {"--server", addr}} {
		if got := jsonLines(t, command(t, append([]string{"list", "-q", "-o", "json"}, from...)...)); got != want {
			t.Fatalf("A6: list %s\ngot  %s\nwant %s", from[0], got, want)
		}
	}
	a.listed = readList(t, messages)
	a.groups = map[string]uint32{}
	for i := range a.listed.Groups {
		for _, m := range a.listed.Groups[i].Members {
			a.groups[a.listed.Groups[i].Namespace+"/"+m.Name] = a.listed.Groups[i].ID
		}
	}
}

// groupOf returns the group of a Pod.
func (a *agreement) groupOf(t *testing.T, p *engine.Pod) uint32 {
	t.Helper()
	id, ok := a.groups[p.Namespace+"/"+p.Name]
	if !ok {
		t.Fatalf("Pod %s/%s is in no group", p.Namespace, p.Name)
	}
	return id
}

// pairs returns questions about all ordered pairs of Pods, on some ports.
func (a *agreement) pairs() []question {
	var list []question
	for _, src := range a.pods() {
		for _, dst := range a.pods() {
			for range 2 {
				list = append(list, question{end{pod: src}, end{pod: dst}, a.ports[a.rand.IntN(len(a.ports))]})
			}
		}
	}
	return list
}

// exempt reports whether policies may have no say in a pair of Pods (S2, S3, S44).
func exempt(src, dst *engine.Pod) bool {
	return src == dst || src.HostNetwork != dst.HostNetwork && src.Node == dst.Node && src.Node != ""
}

// byName compares all ways about pairs of Pods, and about a Pod and the outside.
func (a *agreement) byName(t *testing.T, client, cached *netpold.Client, by *proxies) {
	t.Helper()
	questions := a.pairs()
	inside := len(questions)
	for _, p := range a.pods() {
		for range min(2, len(a.addrs)) {
			outer := end{ip: a.addrs[a.rand.IntN(len(a.addrs))]}
			port := a.ports[a.rand.IntN(len(a.ports))]
			questions = append(questions, question{end{pod: p}, outer, port}, question{outer, end{pod: p}, port})
		}
	}
	answers := askBatch(t, client, questions)
	checkStreamed(t, client, questions, answers)
	for i, q := range questions {
		want, err := a.oracle.Allowed(q.oracle())
		if err != nil {
			t.Fatal(err)
		}
		checkAnswer(t, "batch", q, answers[i], want)
		if i%16 == 0 {
			checkAlone(t, client, q, answers[i])
			checkWatched(t, cached, q, answers[i])
			by.check(t, q, answers[i])
		}
		if i < inside {
			a.checkListed(t, q, want)
		} else {
			a.checkOutside(t, q, want)
		}
	}
}

// checkListed compares what the list says of a pair of Pods.
func (a *agreement) checkListed(t *testing.T, q question, want engine.Decision) {
	t.Helper()
	if exempt(q.src.pod, q.dst.pod) {
		return
	}
	found := a.listed.Between(a.groupOf(t, q.src.pod), a.groupOf(t, q.dst.pod), q.port.Protocol, q.port.First)
	if len(found) > 1 || (len(found) == 1) != want.Allowed ||
		len(found) == 1 && found[0].Families != want.Families {
		t.Errorf("L1: %v: %d connections, want %v in families %d", q.oracle(), len(found), want.Allowed, want.Families)
	}
}

// checkOutside compares what the list says of a Pod and an address outside, unless it lacks the family.
func (a *agreement) checkOutside(t *testing.T, q question, want engine.Decision) {
	t.Helper()
	toOutside := q.src.pod != nil
	pod, ip := q.src.pod, q.dst.ip
	if !toOutside {
		pod, ip = q.dst.pod, q.src.ip
	}
	family := engine.IPv6
	if ip.Is4() {
		family = engine.IPv4
	}
	id := a.groupOf(t, pod)
	if has := a.listed.Groups[id-1].Families; has != 0 && has&family == 0 {
		return
	}
	found := a.listed.Outside(id, toOutside, ip, q.port.Protocol, q.port.First)
	if len(found) > 1 || (len(found) == 1) != want.Allowed {
		t.Errorf("L1: %v: %d connections, want %v", q.oracle(), len(found), want.Allowed)
	}
}

// byAddress compares a stream, and questions of many goroutines, with the oracle.
func (a *agreement) byAddress(t *testing.T, client *netpold.Client) {
	t.Helper()
	addrs := slices.Clone(a.addrs)
	for _, p := range a.pods() {
		addrs = append(addrs, p.IPs...)
	}
	if len(addrs) == 0 {
		return
	}
	var asked []netpold.Question
	var questions []question
	for range 300 {
		q := question{
			end{ip: addrs[a.rand.IntN(len(addrs))]}, end{ip: addrs[a.rand.IntN(len(addrs))]},
			a.ports[a.rand.IntN(len(a.ports))],
		}
		if _, err := a.oracle.Allowed(q.oracle()); err != nil {
			continue // about a Service
		}
		questions = append(questions, q)
		asked = append(asked, netpold.Question{
			Src: q.src.ip, Dst: q.dst.ip, Port: q.port.First,
			Protocol: netpoldv1.Protocol(q.port.Protocol) + netpoldv1.Protocol_PROTOCOL_TCP,
		})
	}
	stream, err := client.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if err := errors.Join(stream.Send(asked), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	answers, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	gathered := askGathered(t, client, asked)
	batched, err := client.Verdicts(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range questions {
		want, _ := a.oracle.Allowed(q.oracle())
		for way, got := range map[string]netpold.Verdict{
			"stream": answers.At(i), "Verdict": gathered[i], "Verdicts": batched.At(i),
		} {
			if got.Err != nil || got.Allowed != want.Allowed || got.Reason.String() != "REASON_"+reasons[want.Reason] {
				t.Errorf("%s: %v: %+v, want %v %s", way, q.oracle(), got, want.Allowed, reasons[want.Reason])
			}
		}
	}
}

// change takes one policy away: Simulate answers questions as the oracle does of both states, and its changes are what
// differs between the two lists (D1, D3).
func (a *agreement) change(t *testing.T, client *netpold.Client) {
	t.Helper()
	var policies []engine.Object
	for _, o := range a.objects {
		switch o.(type) {
		case *engine.Policy, *engine.ClusterPolicy:
			policies = append(policies, o)
		}
	}
	if len(policies) == 0 {
		return
	}
	gone := policies[a.rand.IntN(len(policies))]
	after := a.without(gone)
	request := &netpoldv1.SimulateRequest{Overlay: &netpoldv1.Overlay{Changes: []*netpoldv1.OverlayChange{{
		Change: &netpoldv1.OverlayChange_Delete{Delete: reference(gone)},
	}}}}
	questions := a.pairs()
	for _, q := range questions {
		request.Questions = append(request.Questions, q.proto())
	}
	var messages []*netpoldv1.SimulateResponse
	answers := map[int]*netpoldv1.SimulatedAnswer{}
	for m, err := range client.Simulate(t.Context(), request) {
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
		if x := m.GetAnswer(); x != nil {
			answers[int(x.GetIndex())] = x
		}
	}
	diff := readDiff(t, messages)
	groups := map[string]uint32{}
	for i := range diff.Groups {
		for _, m := range diff.Groups[i].Members {
			groups[diff.Groups[i].Namespace+"/"+m.Name] = diff.Groups[i].ID
		}
	}
	for i, q := range questions {
		before, _ := a.oracle.Allowed(q.oracle())
		then, _ := after.oracle.Allowed(q.oracle())
		checkAnswer(t, "D3 before", q, answers[i].GetBefore().GetResponse(), before)
		checkAnswer(t, "D3 after", q, answers[i].GetAfter().GetResponse(), then)
		src, dst := enginetest.ListedEnd{Pod: q.src.pod}, enginetest.ListedEnd{Pod: q.dst.pod}
		before = a.oracle.PolicyVerdict(src, dst, q.port.First, q.port.Protocol)
		then = after.oracle.PolicyVerdict(src, dst, q.port.First, q.port.Protocol)
		found := diff.Between(groups[q.src.pod.Namespace+"/"+q.src.pod.Name],
			groups[q.dst.pod.Namespace+"/"+q.dst.pod.Name], q.port.Protocol, q.port.First)
		differs := before.Allowed != then.Allowed || before.Allowed && before.Families != then.Families
		if len(found) > 1 || (len(found) == 1) != differs {
			t.Errorf("D1: %v without %v: %d changes; before %v, after %v",
				q.oracle(), engine.KeyOf(gone), len(found), before.Allowed, then.Allowed)
		}
	}
}

// reference names an object.
func reference(o engine.Object) *netpoldv1.ObjectRef {
	key := engine.KeyOf(o)
	return &netpoldv1.ObjectRef{Kind: audit.PolicyKind(key.Kind), Namespace: key.Namespace, Name: key.Name}
}
