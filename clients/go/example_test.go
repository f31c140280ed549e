package netpold_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/manifests"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/notes"
	"github.com/netpold/netpold/server/servertest"
)

// shop returns a namespace in which only the frontend may reach the cart, on port 8080.
func shop() []engine.Object {
	return []engine.Object{
		&engine.Namespace{Name: "shop"},
		&engine.Pod{
			Namespace: "shop", Name: "frontend-0", Labels: map[string]string{"app": "frontend"},
			IPs: []netip.Addr{netip.MustParseAddr("10.0.1.4")},
		},
		&engine.Pod{
			Namespace: "shop", Name: "cart-0", Labels: map[string]string{"app": "cart"},
			IPs: []netip.Addr{netip.MustParseAddr("10.0.3.7")},
		},
		&engine.Policy{Namespace: "shop", Name: "default-deny", IsolatesIngress: true},
		&engine.Policy{
			Namespace: "shop", Name: "cart", IsolatesIngress: true, Subject: app("cart"),
			Ingress: []engine.Rule{{
				Peers: []engine.Peer{{Pods: new(app("frontend"))}},
				Ports: []engine.Port{{Protocol: engine.TCP, First: 8080, Last: 8080}},
			}},
		},
	}
}

func app(name string) engine.Selector {
	return engine.Selector{{Key: "app", Operator: engine.In, Values: []string{name}}}
}

// exampleServer starts a server, in place of one that runs somewhere.
func exampleServer() (address string, stop func()) {
	tb := &exampleTB{}
	readOverlay := func(base *engine.Snapshot, o *mirror.Overlay) ([]engine.Change, []mirror.OverlayProblem, error) {
		return manifests.ReadOverlay(base, o, manifests.Options{})
	}
	return servertest.StartWith(tb, readOverlay, shop()...).Addr(), tb.cleanUp
}

// An exampleTB is a testing.TB for examples, which have none.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (*exampleTB) Helper()                           {}
func (tb *exampleTB) Cleanup(f func())               { tb.cleanups = append(tb.cleanups, f) }
func (*exampleTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (*exampleTB) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (tb *exampleTB) cleanUp() {
	for i := len(tb.cleanups) - 1; i >= 0; i-- {
		tb.cleanups[i]()
	}
}

func ExampleClient_Allowed() {
	address, stop := exampleServer()
	defer stop()

	client, err := netpold.Dial(address, netpold.WithInsecure())
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, port := range []uint32{8080, 9090} {
		answer, err := client.Allowed(ctx, &netpoldv1.AllowedRequest{
			Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.IP("10.0.3.7"), Port: port,
		})
		if err != nil {
			panic(err)
		}
		fmt.Println(port, answer.GetAllowed(), answer.GetReason(), answer.GetIngress().GetPolicy())
	}
	// Output:
	// 8080 true REASON_ALLOWED_BY_RULE shop/cart
	// 9090 false REASON_DENIED_AT_INGRESS
}

// With Details the answer says what it is about. Proxies leave it out and pay only for the decision.
func ExampleClient_Allowed_details() {
	address, stop := exampleServer()
	defer stop()

	client, err := netpold.Dial(address, netpold.WithInsecure())
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, src := range []string{"10.0.1.4", "192.0.2.1"} {
		answer, err := client.Allowed(ctx, &netpoldv1.AllowedRequest{
			Src: netpold.IP(src), Dst: netpold.IP("10.0.3.7"), Port: 8080, Details: true,
		})
		if err != nil {
			panic(err)
		}
		fmt.Println(answer.GetSrc().GetKind(), answer.GetSrc().GetName(), "to", answer.GetDst().GetName(),
			answer.GetPort(), answer.GetProtocol())
		for _, note := range answer.GetNotes() {
			if note.GetCode() == notes.OutsideCluster {
				fmt.Println("is the source's address right?")
			}
		}
	}
	// Output:
	// RESOLVED_KIND_POD frontend-0 to cart-0 8080 PROTOCOL_TCP
	// RESOLVED_KIND_EXTERNAL  to cart-0 8080 PROTOCOL_TCP
	// is the source's address right?
}

func ExampleClient_BatchAllowed() {
	address, stop := exampleServer()
	defer stop()

	client, err := netpold.Dial(address, netpold.WithInsecure())
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	response, err := client.BatchAllowed(ctx,
		&netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{
			{Src: netpold.IP("10.0.1.4"), Dst: netpold.IP("10.0.3.7"), Port: 8080},
			{Src: netpold.IP("10.0.1.4"), Dst: netpold.Pod("shop", "card-0"), Port: 8080},
			{Src: netpold.IP("192.0.2.1"), Dst: netpold.Pod("shop", "cart-0"), Port: 8080},
		}})
	if err != nil {
		panic(err)
	}
	for i, answer := range response.GetAnswers() {
		if err := netpold.AnswerError(answer); err != nil {
			fmt.Println(i, "no answer:", errors.Is(err, netpold.ErrNotFound))
			continue
		}
		fmt.Println(i, answer.GetResponse().GetAllowed())
	}
	// Output:
	// 0 true
	// 1 no answer: true
	// 2 false
}

func ExampleClient_Explain() {
	address, stop := exampleServer()
	defer stop()

	client, err := netpold.Dial(address, netpold.WithInsecure())
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	why, err := client.Explain(ctx, &netpoldv1.ExplainRequest{Question: &netpoldv1.AllowedRequest{
		Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.IP("10.0.3.7"), Port: 9090,
	}})
	if err != nil {
		panic(err)
	}
	for _, c := range why.GetClosest() {
		fmt.Printf("rule %d of %s lacks port %d\n", c.GetPolicy().GetRuleIndex(), c.GetPolicy().GetName(),
			c.GetOpenPort().GetPort())
	}
	// Output:
	// rule 0 of cart lacks port 9090
}

// What would the deletion of a policy change? Of a connection that is not in the answer nothing changes.
func ExampleClient_Simulate() {
	address, stop := exampleServer()
	defer stop()

	client, err := netpold.Dial(address, netpold.WithInsecure())
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	deletion := &netpoldv1.OverlayChange{Change: &netpoldv1.OverlayChange_Delete{
		Delete: &netpoldv1.ObjectRef{Kind: "NetworkPolicy", Namespace: "shop", Name: "cart"},
	}}
	names := map[uint32]string{}
	for message, err := range client.Simulate(ctx, &netpoldv1.SimulateRequest{
		Overlay: &netpoldv1.Overlay{Changes: []*netpoldv1.OverlayChange{deletion}},
	}) {
		switch {
		case err != nil:
			panic(err)
		case message.GetGroup() != nil:
			names[message.GetGroup().GetId()] = message.GetGroup().GetMembers()[0].GetName()
		case message.GetChange() != nil:
			c := message.GetChange()
			fmt.Println(c.GetKind(), names[c.GetSrcGroups()[0]], "to", names[c.GetDstGroups()[0]], c.GetPorts()[0].GetFirst())
		case message.GetSummary() != nil:
			fmt.Println(message.GetSummary().GetClosed(), "closed,", message.GetSummary().GetOpened(), "opened")
		}
	}
	// Output:
	// CHANGE_KIND_CLOSED frontend-0 to cart-0 8080
	// 1 closed, 0 opened
}

func ExampleError() {
	address, stop := exampleServer()
	defer stop()

	client, err := netpold.Dial(address, netpold.WithInsecure())
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = client.Allowed(ctx, &netpoldv1.AllowedRequest{
		Src: netpold.IP("10.0.1.400"), Dst: netpold.Pod("shop", "cart-0"),
	})
	if e, ok := errors.AsType[*netpold.Error](err); ok {
		fmt.Println(e.Code, e.Reason)
		for _, v := range e.Violations {
			fmt.Printf("%s: %s\n", v.Field, v.Description)
		}
	}
	// Output:
	// InvalidArgument INVALID_QUESTION
	// src.ip: "10.0.1.400" is not an IPv4 or IPv6 address; write it like "10.0.3.7" or "2001:db8::7"
	// port: 0 is not a port; give 1 to 65535
}

func ExampleParseEndpoint() {
	for _, words := range []string{"shop/frontend-0", "deploy/shop/frontend", "10.0.3.7",
		"shop?app=web,tier=front"} {
		endpoint, err := netpold.ParseEndpoint(words)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%T %s\n", endpoint.GetEndpoint(), netpold.FormatEndpoint(endpoint))
	}
	_, err := netpold.ParseEndpoint("frontend")
	fmt.Println(err != nil)
	// Output:
	// *netpoldv1.Endpoint_Pod shop/frontend-0
	// *netpoldv1.Endpoint_Workload deploy/shop/frontend
	// *netpoldv1.Endpoint_Ip 10.0.3.7
	// *netpoldv1.Endpoint_Labels shop?app=web,tier=front
	// true
}
