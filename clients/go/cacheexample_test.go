package netpold_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A proxy asks the same questions again and again. With a cache only the first one of each goes to a server, and
// the answers still follow the cluster.
func ExampleWithCache() {
	address, stop := exampleServer()
	defer stop()

	client, err := netpold.Dial(address, netpold.WithInsecure(), netpold.WithCache(netpold.CacheConfig{
		MaxAge: 5 * time.Second, // no local answer is older
	}))
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for range 1000 {
		answer, err := client.Allowed(ctx, &netpoldv1.AllowedRequest{
			Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.IP("10.0.3.7"), Port: 8080,
		})
		if err != nil || !answer.GetAllowed() {
			panic(fmt.Sprint(answer, err))
		}
	}
	s := client.CacheStats()
	fmt.Println(s.Misses, "asked of the server,", s.Hits, "answered locally")
	// Output:
	// 1 asked of the server, 999 answered locally
}

// What to return when no server can be reached is a choice. None of the modes allows what was not allowed.
func ExampleWithFailureMode() {
	address, stop := exampleServer()
	stop() // it is gone

	for _, mode := range []netpold.FailureMode{netpold.FailError, netpold.FailDeny} {
		client, err := netpold.Dial(address, netpold.WithInsecure(), netpold.WithFailureMode(mode))
		if err != nil {
			panic(err)
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		answer, err := client.Allowed(ctx, &netpoldv1.AllowedRequest{
			Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.IP("10.0.3.7"), Port: 8080,
		})
		fmt.Println(errors.Is(err, netpold.ErrUnavailable), answer.GetAllowed(), answer.GetStale())
	}
	// Output:
	// true false false
	// false false true
}

// A program that keeps decisions itself, and closes connections when one is revoked, watches them.
func ExampleClient_Watch() {
	address, stop := exampleServer()
	defer stop()

	client, err := netpold.Dial(address, netpold.WithInsecure())
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	watch, err := client.Watch(ctx)
	if err != nil {
		panic(err)
	}
	err = watch.Send(&netpoldv1.WatchAllowedRequest{Add: []*netpoldv1.WatchQuestion{{
		Id: 1, Question: &netpoldv1.AllowedRequest{
			Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.IP("10.0.3.7"), Port: 8080,
		},
	}}})
	if err != nil && !errors.Is(err, io.EOF) { // io.EOF: Recv says why
		panic(err)
	}
	response, err := watch.Recv()
	if err != nil {
		panic(err) // open another, and send the questions again with if_not and at_least
	}
	for _, answer := range response.GetAnswers() {
		fmt.Println(answer.GetId(), answer.GetResponse().GetAllowed())
	}
	fmt.Println("all of it is current:", response.GetComplete() && response.GetApplied() == 1)
	// Output:
	// 1 true
	// all of it is current: true
}
