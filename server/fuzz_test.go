package server_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
)

// FuzzRequest reads bytes as a question and as a batch. There is always an answer or an error that says what
// is wrong, never a panic or an error that is the server's own fault.
func FuzzRequest(f *testing.F) {
	for _, question := range []*netpoldv1.AllowedRequest{
		{}, ask(), atLeast("servertest:1"), atLeast("servertest:99"), atLeast("other:1"), atLeast("nonsense"),
		{Src: netpold.IP("10.0.1.4"), Dst: netpold.IP("::ffff:10.0.3.7"), Port: 8080,
			Protocol: netpoldv1.Protocol_PROTOCOL_UDP},
		{Src: netpold.Workload("shop", "Deployment", "frontend"), Dst: netpold.Service("shop", "cart"), Port: 80},
		{Src: netpold.Service("shop", "cart"), Dst: netpold.Pod("shop", "batch-0"), Port: 70000, Protocol: 9},
		{Src: netpold.Labels("shop", map[string]string{"app": "frontend"}), Dst: &netpoldv1.Endpoint{
			Endpoint: &netpoldv1.Endpoint_Labels{Labels: &netpoldv1.LabelledPod{
				Namespace: "shop", Ip: "10.9.9.9", NamedPorts: []*netpoldv1.NamedPort{{Name: "http", Port: 80}, {}},
			}},
		}, Port: 80},
	} {
		for _, message := range []proto.Message{
			question, &netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{ask(), question},
				AtLeast: question.GetAtLeast()},
		} {
			wire, err := proto.Marshal(message)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(wire)
		}
	}
	service := decisions.New(synced(shop()...), decisions.Options{MaxBatch: 100})
	f.Fuzz(func(t *testing.T, wire []byte) {
		// It has ended, so that nothing waits for tokens of the future.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		question := &netpoldv1.AllowedRequest{}
		if proto.Unmarshal(wire, question) == nil {
			response, err := service.Allowed(ctx, question)
			checkOutcome(t, response, err)
		}
		batch := &netpoldv1.BatchAllowedRequest{}
		if proto.Unmarshal(wire, batch) != nil {
			return
		}
		response, err := service.BatchAllowed(t.Context(), withoutTokensToCome(batch))
		if err != nil {
			checkOutcome(t, nil, err)
			return
		}
		if len(response.GetAnswers()) != len(batch.GetQuestions()) {
			t.Fatalf("%d answers to %d questions", len(response.GetAnswers()), len(batch.GetQuestions()))
		}
		for _, a := range response.GetAnswers() {
			if a.GetError() == nil {
				checkOutcome(t, a.GetResponse(), nil)
			} else {
				checkOutcome(t, nil, status.FromProto(a.GetError()).Err())
			}
		}
	})
}

// checkOutcome fails the test unless there is an answer with its reason, or an error that is not the server's
// fault.
func checkOutcome(t *testing.T, response *netpoldv1.AllowedResponse, err error) {
	t.Helper()
	if err == nil {
		if response.GetReason() == netpoldv1.Reason_REASON_UNSPECIFIED || response.GetRevision() == 0 {
			t.Errorf("an answer without a reason or a revision: %v", response)
		}
		if _, err := proto.Marshal(response); err != nil {
			t.Errorf("an answer that cannot be sent: %v", err)
		}
		return
	}
	st := status.Convert(err)
	if st.Code() == codes.Unknown || st.Code() == codes.Internal || st.Code() == codes.OK {
		t.Errorf("%v", err)
	}
	if _, err := proto.Marshal(st.Proto()); err != nil {
		t.Errorf("an error that cannot be sent: %v", err)
	}
}

// withoutTokensToCome removes the tokens that a batch would wait for for ever.
func withoutTokensToCome(batch *netpoldv1.BatchAllowedRequest) *netpoldv1.BatchAllowedRequest {
	known := func(token string) bool { return token == "servertest:1" || !strings.Contains(token, ":") }
	if !known(batch.GetAtLeast()) {
		batch.AtLeast = ""
	}
	for _, question := range batch.GetQuestions() {
		if !known(question.GetAtLeast()) {
			question.AtLeast = ""
		}
	}
	return batch
}

// FuzzStream reads bytes as a batch of a stream. Every question is answered or rejected in its place, or the
// stream ends with an error that says what is wrong. It never panics.
func FuzzStream(f *testing.F) {
	for _, batch := range []*netpoldv1.StreamAllowedRequest{
		{}, twice(), large(9), {Ports: ports(1)},
		{Src: srcIPv4("10.0.1.4"), Dst: dstIPv4("10.96.0.11"), Port: 81, Protocol: 9},
		{
			Src:  &netpoldv1.StreamAllowedRequest_SrcIpv6{SrcIpv6: column(16, "10.0.1.4", "2001:db8::1:4")},
			Dst:  &netpoldv1.StreamAllowedRequest_DstIpv6{DstIpv6: column(16, "10.0.3.7", "2001:db8::3:7")},
			Port: 8080, Protocols: []byte{1, 200},
		},
	} {
		wire, err := proto.Marshal(batch)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	service := decisions.New(synced(shop()...), decisions.Options{MaxBatch: 100})
	f.Fuzz(func(t *testing.T, wire []byte) {
		batch := &netpoldv1.StreamAllowedRequest{}
		if proto.Unmarshal(wire, batch) != nil {
			return
		}
		batch.AtLeast = "" // not waited for
		var got *netpoldv1.StreamAllowedResponse
		err := service.StreamAllowed(&script{ctx: t.Context(), batch: batch, left: 1,
			look: func(r *netpoldv1.StreamAllowedResponse) {
				got = proto.CloneOf(r)
			}})
		if err != nil {
			checkOutcome(t, nil, err)
			return
		}
		questions := max(len(batch.GetSrcIpv4())/4, len(batch.GetSrcIpv6())/16)
		if len(got.GetReasons()) != questions || len(got.GetAllowed()) != (questions+7)/8 {
			t.Fatalf("%d reasons and %d bytes of verdicts for %d questions", len(got.GetReasons()),
				len(got.GetAllowed()), questions)
		}
		refused := 0
		for i, reason := range got.GetReasons() {
			if reason != 0 {
				continue
			}
			if refused == len(got.GetErrors()) || got.GetErrors()[refused].GetIndex() != uint32(i) {
				t.Fatalf("question %d has neither a reason nor an error: %v", i, got.GetErrors())
			}
			checkOutcome(t, nil, status.FromProto(got.GetErrors()[refused].GetError()).Err())
			refused++
		}
		if refused != len(got.GetErrors()) {
			t.Fatalf("%d errors for %d questions without a reason", len(got.GetErrors()), refused)
		}
	})
}
