package jsontext_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/proto/jsontext"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// FuzzString: a string is read back as it was, but for bytes that are not UTF-8, and all of its text prints.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "shop/cart", `"\`, "\x00\n\x1f\x7f", "é\u2028\u202e<&>", "\U000e0001😀", "\xff\xc3", "\ufffd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := jsontext.AppendString([]byte("before"), s)
		var got string
		if err := json.Unmarshal(text[len("before"):], &got); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if want := string([]rune(s)); got != want {
			t.Errorf("%q is written as %s", s, text)
		}
		if strings.ContainsFunc(string(text), jsontext.Hidden) {
			t.Errorf("%q has what does not print", text)
		}
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		visible := jsontext.Visible(string(raw))
		if err := json.Unmarshal([]byte(visible), &got); err != nil || got != string([]rune(s)) ||
			strings.ContainsFunc(visible, jsontext.Hidden) {
			t.Errorf("%q is made visible as %s, %v", s, visible, err)
		}
	})
}

// A side is written as protojson writes it, with each field and without.
func TestSideIsProtoJSON(t *testing.T) {
	t.Parallel()
	full := &netpoldv1.Side{
		Allowed: true, Isolated: true, Policy: "shop/web", RuleIndex: new(uint32(0)), IsolatedBy: []string{"a/b", "ü/\x7f"},
		IsolatedByTotal: 1 << 31, Tier: netpoldv1.Tier_TIER_ADMIN, Kind: "ClusterNetworkPolicy", RuleName: "\"\\",
		Priority: new(int32(-7)),
	}
	sides := []*netpoldv1.Side{full, {}, {Tier: 99}}
	fields := full.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if !full.ProtoReflect().Has(fields.Get(i)) {
			t.Errorf("the test has no %s", fields.Get(i).Name())
		}
		without := proto.CloneOf(full)
		without.ProtoReflect().Clear(fields.Get(i))
		sides = append(sides, without)
	}
	for _, side := range sides {
		raw, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(side)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		text := jsontext.AppendSide(nil, side)
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-protojson +got):\n%s", text, diff)
		}
	}
	if text := jsontext.AppendSide(nil, nil); string(text) != "null" {
		t.Errorf("nil is %s", text)
	}
}
