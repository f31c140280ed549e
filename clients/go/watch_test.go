package netpold_test

import (
	"errors"
	"testing"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

// A watch of the client answers, follows a change, goes on after CloseSend, and ends with an *Error.
func TestP18WatchOfTheClient(t *testing.T) {
	t.Parallel()
	server := servertest.Start(t, &engine.Namespace{Name: "shop"})
	w, err := server.Client().Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	question := &netpoldv1.AllowedRequest{
		Src: netpold.Pod("shop", "a"), Dst: netpold.IP("192.0.2.1"), Port: 80,
	}
	err = w.Send(&netpoldv1.WatchAllowedRequest{Add: []*netpoldv1.WatchQuestion{{Id: 1, Question: question}}})
	if err := errors.Join(err, w.CloseSend()); err != nil {
		t.Fatal(err)
	}
	next := func() *netpoldv1.WatchAnswer {
		for {
			r, err := w.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if len(r.GetAnswers()) > 0 {
				return r.GetAnswers()[0]
			}
		}
	}
	if got := next(); got.GetError().GetCode() != 5 {
		t.Errorf("before there is such a Pod: %v", got)
	}
	server.Apply(engine.Change{Object: &engine.Pod{Namespace: "shop", Name: "a"}})
	if got := next(); !got.GetResponse().GetAllowed() {
		t.Errorf("after it came: %v", got)
	}
	server.SetStale(true) // ends nothing
	other, err := servertest.Start(t).Client().Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Send(&netpoldv1.WatchAllowedRequest{AtLeast: "?"}); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = other.Recv()
	}
	if !errors.Is(err, netpold.ErrInvalidQuestion) {
		t.Errorf("a wrong token: %v", err)
	}
}
