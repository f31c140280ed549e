package render_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/cmd/render"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// flowsToWrite returns records that together have every field, with and without a value.
func flowsToWrite() []*netpoldv1.Flow {
	side := &netpoldv1.Side{
		Allowed: true, Isolated: true, Policy: "shop/web", RuleIndex: new(uint32(0)), IsolatedBy: []string{"a/b", "ü/\x7f"},
		IsolatedByTotal: math.MaxUint32, Tier: netpoldv1.Tier_TIER_ADMIN, Kind: "ClusterNetworkPolicy", RuleName: "\"\\",
		Priority: new(int32(-7)),
	}
	full := &netpoldv1.Flow{
		Line: math.MaxUint32, File: "a \"file\"\\\n\u2028\u202e\U000e0001é😀.json", Time: &timestamppb.Timestamp{Seconds: 1, Nanos: 7},
		Src: "shop?app=web", Dst: "2001:db8::1", Port: 65535, Protocol: netpoldv1.Protocol_PROTOCOL_SCTP, Observed: "allowed",
		Direction: netpoldv1.Direction_DIRECTION_INGRESS, Allowed: true, Reason: netpoldv1.Reason_REASON_DENIED_AT_INGRESS,
		Egress: side, Ingress: new(netpoldv1.Side), Compared: "DISAGREES", Why: "moved", Revision: math.MaxUint64,
		Error: &spb.Status{Code: 5, Message: "no such <thing>\t\x00"}, ObservedAllowedBy: []string{"x"},
		ObservedDeniedBy: []string{"y", "z\r"},
	}
	list := []*netpoldv1.Flow{new(netpoldv1.Flow), full}
	full.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		one, without := new(netpoldv1.Flow), proto.CloneOf(full)
		one.ProtoReflect().Set(field, proto.CloneOf(full).ProtoReflect().Get(field))
		without.ProtoReflect().Clear(field)
		list = append(list, one, without)
		return value.IsValid()
	})
	for _, nanos := range []int32{0, 1_000_000, 120_000_000, 1_000, 1, 999_999_999} {
		list = append(list, &netpoldv1.Flow{Time: &timestamppb.Timestamp{Seconds: 1_781_427_600, Nanos: nanos}})
	}
	return list
}

// F1: a record is written as protojson writes it, with all its fields.
func TestF1FlowIsProtojson(t *testing.T) {
	t.Parallel()
	if fields, have := (&netpoldv1.Flow{}).ProtoReflect().Descriptor().Fields().Len(), 0; true {
		flowsToWrite()[1].ProtoReflect().Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
			have++
			return true
		})
		if have != fields {
			t.Fatalf("the test has %d of %d fields", have, fields)
		}
	}
	for _, flow := range flowsToWrite() {
		line := render.AppendFlow([]byte("before"), flow)
		text, _ := strings.CutPrefix(string(line), "before")
		var byHand, byLibrary any
		var library bytes.Buffer
		if err := render.JSONLine(&library, &netpoldv1.FlowAudit{Item: &netpoldv1.FlowAudit_Flow{Flow: flow}}); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(text), &byHand); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		if err := json.Unmarshal(library.Bytes(), &byLibrary); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(byLibrary, byHand); diff != "" {
			t.Errorf("%s%s", text, diff)
		}
		if strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\u2028\u202e\x7f") {
			t.Errorf("%q", text)
		}
		got := new(netpoldv1.FlowAudit)
		if err := protojson.Unmarshal([]byte(text), got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(flow, got.GetFlow(), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
}
