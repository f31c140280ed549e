package wire

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// TestEnumsAreWhole proves that the engine has one value for each value of the wire, except UNSPECIFIED.
func TestEnumsAreWhole(t *testing.T) {
	t.Parallel()
	for _, e := range []struct {
		want protoreflect.EnumDescriptor
		got  []protoreflect.EnumNumber
	}{
		{netpoldv1.Reason(0).Descriptor(), numbers(reasons)},
		{netpoldv1.Tier(0).Descriptor(), numbers(tiers)},
		{netpoldv1.ResolvedKind(0).Descriptor(), numbers(resolvedKinds)},
		{netpoldv1.IpFamily(0).Descriptor(), numbers(ipFamilies)},
		{netpoldv1.Protocol(0).Descriptor(), numbers(protocols)},
	} {
		counts := map[protoreflect.EnumNumber]int{}
		for _, n := range e.got {
			counts[n]++
		}
		for i := range e.want.Values().Len() {
			v := e.want.Values().Get(i)
			if n := counts[v.Number()]; v.Number() != 0 && n != 1 {
				t.Errorf("%d values of the engine are %s, want 1", n, v.Name())
			}
		}
	}
	if got := reasons.proto(255); got != 0 {
		t.Errorf("an unknown reason is %v", got)
	}
	if next := engine.Reason(len(reasons)).String(); !strings.HasPrefix(next, "reason(") {
		t.Errorf("the reason %s has no value on the wire", next)
	}
	if next := engine.Protocol(len(protocols)).String(); !strings.HasPrefix(next, "Protocol(") {
		t.Errorf("the protocol %s has no value on the wire", next)
	}
}

func numbers[K ~uint8, V ~int32](e enum[K, V]) []protoreflect.EnumNumber {
	var list []protoreflect.EnumNumber
	for _, v := range e {
		list = append(list, protoreflect.EnumNumber(v))
	}
	return list
}
