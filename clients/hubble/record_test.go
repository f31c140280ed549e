package hubble_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cilium/cilium/api/v1/flow"
	"github.com/cilium/cilium/api/v1/observer"
	"github.com/cilium/cilium/api/v1/relay"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/clients/hubble"
)

// A live flow is read as package flows reads it from the output of "hubble observe -o json" (F2, and the
// table of the contract).
func TestF2LiveIsAsWritten(t *testing.T) {
	t.Parallel()
	const count = 4000
	random := fill{rand.New(rand.NewPCG(11, 7))}
	var messages []*observer.GetFlowsResponse
	var text bytes.Buffer
	for range count {
		m := random.message()
		// The hubble command writes by encoding/json.
		line, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(append(line, '\n'))
		messages = append(messages, m)
	}
	reader, err := flows.Open("flows.json", &text, flows.Options{Format: flows.Hubble})
	if err != nil {
		t.Fatal(err)
	}
	found := map[flows.Why]int{}
	observed := map[flows.Observed]int{}
	for i, m := range messages {
		var want flows.Record
		if err := reader.Next(&want); err != nil {
			t.Fatal(err)
		}
		got := hubble.RecordOf(m)
		ignored := cmpopts.IgnoreFields(flows.Record{}, "File", "Line")
		if diff := cmp.Diff(want, got, ignored, cmpopts.EquateEmpty(), cmpopts.EquateComparable(flows.End{}.IP)); diff != "" {
			t.Fatalf("message %d: %v\n%s", i, m, diff)
		}
		found[got.Why]++
		observed[got.Observed]++
	}
	if err := reader.Next(new(flows.Record)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	for _, why := range []flows.Why{"", flows.Malformed, flows.NotAFlow, flows.NotL4, flows.Reply} {
		if found[why] < count/100 {
			t.Errorf("%d records are %q: too few to compare", found[why], why)
		}
	}
	if len(observed) != 3 {
		t.Errorf("only %v is observed", observed)
	}
}

// A flow longer than a record may be (A8) is not asked.
func TestA8LongFlow(t *testing.T) {
	t.Parallel()
	f := numbered(1, "a", noon)
	f.Source = &flow.Endpoint{Labels: []string{string(make([]byte, 1<<20))}}
	r := hubble.RecordOf(&observer.GetFlowsResponse{ResponseTypes: &observer.GetFlowsResponse_Flow{Flow: f}})
	if r.Why != flows.Malformed || r.Problem == "" {
		t.Errorf("%+v", r)
	}
}

// fill makes messages of every field that they can have, so that a field read by one reader alone is noticed.
type fill struct{ *rand.Rand }

func (r fill) message() *observer.GetFlowsResponse {
	m := &observer.GetFlowsResponse{}
	switch r.IntN(20) {
	case 0:
		m.ResponseTypes = &observer.GetFlowsResponse_NodeStatus{NodeStatus: &relay.NodeStatusEvent{}}
		r.fields(m.GetNodeStatus().ProtoReflect())
	case 1:
		m.ResponseTypes = &observer.GetFlowsResponse_LostEvents{LostEvents: &flow.LostEvent{}}
		r.fields(m.GetLostEvents().ProtoReflect())
	default:
		f := &flow.Flow{}
		r.fields(f.ProtoReflect())
		// Most flows have what makes a question.
		if r.IntN(8) > 0 {
			f.IP = &flow.IP{Source: r.address(), Destination: r.address()}
		}
		if r.IntN(4) > 0 {
			f.Type = flow.FlowType_L3_L4
		}
		if r.IntN(2) == 0 {
			f.IsReply = nil
		}
		if r.IntN(2) == 0 {
			f.Reply = false //nolint:staticcheck // Of old releases.
		}
		m.ResponseTypes = &observer.GetFlowsResponse_Flow{Flow: f}
	}
	if r.IntN(2) == 0 {
		m.Time = r.time()
	}
	return m
}

func (r fill) address() string {
	all := []string{
		"10.0.0.1", "::ffff:10.0.0.2", "2001:db8::1", "fe80::1%eth0", "", "10.0.0.256", "a \"name\"\n", "10.0.0.3",
		"10.0.0.4", "10.0.0.5", "10.0.0.6", "2001:db8::2",
	}
	return all[r.IntN(len(all))]
}

func (r fill) time() *timestamppb.Timestamp {
	return timestamppb.New(time.Unix(r.Int64N(1<<32), r.Int64N(1e9)))
}

// fields sets some fields of m.
func (r fill) fields(m protoreflect.Message) {
	all := m.Descriptor().Fields()
	for i := range all.Len() {
		f := all.Get(i)
		switch {
		case r.IntN(4) == 0, f.FullName() == "flow.Flow.extensions":
		case f.IsList():
			for list := m.Mutable(f).List(); r.IntN(2) == 0; {
				if f.Message() != nil {
					r.fields(list.AppendMutable().Message())
				} else {
					list.Append(r.scalar(f))
				}
			}
		case f.Message() == nil:
			m.Set(f, r.scalar(f))
		case f.Message().FullName() == "google.protobuf.Timestamp":
			m.Set(f, protoreflect.ValueOfMessage(r.time().ProtoReflect()))
		default:
			r.fields(m.Mutable(f).Message())
		}
	}
}

func (r fill) scalar(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.EnumKind:
		// Some values of the enum, and one that this version does not know.
		values := f.Enum().Values()
		n := protoreflect.EnumNumber(9999)
		if i := r.IntN(values.Len() + 1); i < values.Len() {
			n = values.Get(i).Number()
		}
		if f.Name() == "drop_reason_desc" && r.IntN(2) == 0 {
			n = 133
		}
		return protoreflect.ValueOfEnum(n)
	case protoreflect.StringKind:
		all := []string{
			"", "shop", "web-0", "CiliumNetworkPolicy", "k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy",
			"k8s:io.cilium.k8s.policy.derived-from=", "a \"quoted\"\tname \u2028 ü", r.address(),
		}
		return protoreflect.ValueOfString(all[r.IntN(len(all))])
	case protoreflect.Uint32Kind:
		all := []uint32{0, 1, 80, 133, 181, 443, 65_535, 8080, 8081, 8082}
		n := all[r.IntN(len(all))]
		if r.IntN(50) == 0 {
			n = r.Uint32()
		}
		return protoreflect.ValueOfUint32(n)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(r.Int32())
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(r.Uint64())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(r.Float64())
	default:
		panic("no values for " + f.Kind().String())
	}
}
