package audits_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/servertest"
)

// crowd returns a source with a Deployment of 300 Pods and Service shop/crowd of them, Pod shop/one, and a policy
// by which all Pods of the crowd may reach each other and shop/one, but for those with the given numbers.
func crowd(denied ...int) *servertest.Source {
	s := servertest.NewSource()
	var changes []engine.Change
	slice := &engine.EndpointSlice{Namespace: "shop", Name: "crowd", Service: "crowd",
		Ports: []engine.ServicePort{{Name: "p", Port: 8080}}}
	pod := func(name, app string, i int) engine.Change {
		return engine.Change{Object: &engine.Pod{
			Namespace: "shop", Name: name, Labels: map[string]string{"app": app},
			IPs:       []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})},
			Workloads: []engine.Workload{{Kind: "Deployment", Name: "crowd"}},
		}}
	}
	for i := range 300 {
		app := "in"
		for _, d := range denied {
			if d == i {
				app = "out"
			}
		}
		c := pod(fmt.Sprintf("p-%03d", i), app, i)
		changes = append(changes, c)
		slice.Endpoints = append(slice.Endpoints, engine.SliceEndpoint{Addr: c.Object.(*engine.Pod).IPs[0], Ready: true})
	}
	one := pod("one", "in", 1000)
	one.Object.(*engine.Pod).Workloads = nil
	in := engine.Selector{{Key: "app", Values: []string{"in"}}}
	rules := []engine.Rule{{Peers: []engine.Peer{{Pods: &in}}}}
	s.Apply(append(changes, one, engine.Change{Object: slice},
		engine.Change{Object: &engine.Service{Namespace: "shop", Name: "crowd", Ports: []engine.ServicePort{{Name: "p", Port: 80}}}},
		engine.Change{Object: &engine.Policy{Namespace: "shop", Name: "in", IsolatesIngress: true, IsolatesEgress: true,
			Ingress: rules, Egress: rules}})...)
	return s
}

// metadataOf returns the metadata of an error's ErrorInfo.
func metadataOf(err error) map[string]string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()
		}
	}
	return nil
}

// A8: an explanation looks at 256 pairs for a denied one, in their order, and at one if all are allowed.
func TestA8ExplainPairs(t *testing.T) {
	t.Parallel()
	all, one := netpold.Workload("shop", "Deployment", "crowd"), netpold.Pod("shop", "one")
	for name, c := range map[string]struct {
		denied   []int
		src, dst *netpoldv1.Endpoint
		port     uint32
		want     string // the name of the end of the crowd; empty for an error
		verdict  string
	}{
		"X4 all allowed":               {nil, all, one, 80, "p-000", "allowed"},
		"X4 all of a Service allowed":  {nil, one, netpold.Service("shop", "crowd"), 80, "p-000", "allowed"},
		"X4 the last within":           {[]int{255, 270}, all, one, 80, "p-255", "denied"},
		"X4 the last of a Service":     {[]int{255, 270}, one, netpold.Service("shop", "crowd"), 80, "p-255", "denied"},
		"X4 the last to a workload":    {[]int{255}, one, all, 80, "p-255", "denied"},
		"one too far":                  {[]int{256, 257}, all, one, 80, "", ""},
		"one too far in a Service":     {[]int{256, 257}, one, netpold.Service("shop", "crowd"), 80, "", ""},
		"the first denied is denied":   {[]int{0}, all, all, 80, "p-000", "denied"},
		"a pair of the second source":  {[]int{255}, all, all, 80, "p-000", "denied"},
		"an address of the crowd":      {[]int{299}, one, netpold.IP("10.0.0.7"), 80, "p-007", "allowed"},
		"a workload to itself allowed": {nil, all, all, 80, "p-000", "allowed"},
	} {
		s := audits.New(crowd(c.denied...), audits.Options{})
		got, err := s.Explain(t.Context(), &netpoldv1.ExplainRequest{
			Question: &netpoldv1.AllowedRequest{Src: c.src, Dst: c.dst, Port: c.port},
		})
		if c.want == "" {
			code, reason, _ := reasonOf(err)
			metadata := metadataOf(err)
			const message = "question: 300 pairs of source and destination are more than the 256 that one audit looks at; " +
				"the first 256 are allowed, and 2 after them denied: ask about Pods by name"
			if code != codes.ResourceExhausted || reason != "AUDIT_TOO_LARGE" || metadata["limit"] != "256" ||
				metadata["actual"] != "300" || !contains(err, message) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		end := got.GetSrc().GetName()
		if end == "one" {
			end = got.GetDst().GetName()
		}
		if end != c.want || !strings.HasPrefix(got.GetText(), c.verdict+" ") {
			t.Errorf("%s: explained is %s, want %s:\n%s", name, end, c.want, got.GetText())
		}
	}
}

// A8: 1,000 rules of a side are listed, whole policies at a time, the one that decided among them; the others
// are counted. The text stays short.
func TestA8ExplainRules(t *testing.T) {
	t.Parallel()
	s := shop()
	var changes []engine.Change
	for i, name := range []string{"a", "b", "c", "d"} {
		p := &engine.Policy{Namespace: "shop", Name: name, IsolatesIngress: true}
		for j := range 400 {
			p.Ingress = append(p.Ingress, engine.Rule{Ports: []engine.Port{{First: uint16(1000*i + j), Last: uint16(1000*i + j)}}})
		}
		changes = append(changes, engine.Change{Object: p})
	}
	s.Apply(changes...)
	for port, want := range map[uint32][]string{
		9: {"a 400", "b 400", "db 2"}, 3_000: {"a 400", "d 400", "db 2"}, 9_999: {"a 400", "b 400", "db 2"},
	} {
		got, err := audits.New(s, audits.Options{}).Explain(t.Context(), explain("web-0", port))
		if err != nil {
			t.Fatal(err)
		}
		tier := got.GetIngress().GetTiers()[1]
		var listed []string
		for _, p := range tier.GetPolicies() {
			listed = append(listed, fmt.Sprintf("%s %d", p.GetName(), len(p.GetRules())))
		}
		if fmt.Sprint(listed) != fmt.Sprint(want) || tier.GetPoliciesTotal() != 5 {
			t.Errorf("port %d: listed are %v of %d, want %v", port, listed, tier.GetPoliciesTotal(), want)
		}
		lines := strings.Count(got.GetText(), "\n")
		if lines > 40 || !strings.Contains(got.GetText(), "2 more policies of ingress") {
			t.Errorf("port %d: the text has %d lines:\n%s", port, lines, got.GetText())
		}
	}
}
