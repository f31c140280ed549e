package wire

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// sides returns sides of every form that a decision has, and some that it has not.
func sides() []engine.Side {
	policy := func(name string) *engine.Policy { return &engine.Policy{Namespace: "shop", Name: name} }
	long := strings.Repeat("n", 200)
	admin := &engine.ClusterPolicy{Kind: engine.AdminNetworkPolicy, Name: "tenants", Priority: math.MinInt32,
		Egress: []engine.ClusterRule{{}, {Name: "rule"}}, Ingress: []engine.ClusterRule{{Name: long}, {}}}
	baseline := &engine.ClusterPolicy{Kind: engine.BaselineAdminNetworkPolicy, Name: "default",
		Egress: []engine.ClusterRule{{}}, Ingress: []engine.ClusterRule{{}}}
	all := []engine.Side{
		{}, {Allowed: true},
		{Allowed: true, Isolated: true, Tier: engine.NetworkPolicies, Policy: policy("cart")},
		{Allowed: true, Isolated: true, Tier: engine.NetworkPolicies, Policy: policy(long), Rule: 300},
		{Tier: engine.Admin, ClusterPolicy: admin, Rule: 1},
		{Allowed: true, Isolated: true, Tier: engine.Admin, ClusterPolicy: admin},
		{Tier: engine.Baseline, ClusterPolicy: baseline},
	}
	for n := range 20 {
		side := engine.Side{Isolated: true, Tier: engine.NetworkPolicies}
		for range n {
			side.Isolating = append(side.Isolating, policy(strings.Repeat("x", 20*n)))
		}
		all = append(all, side)
	}
	return all
}

// decisionsOf returns decisions with every pair of sides.
func decisionsOf() []engine.Decision {
	var all []engine.Decision
	for i, egress := range sides() {
		for j, ingress := range sides() {
			all = append(all, engine.Decision{Allowed: i%2 == 0, Reason: engine.Reason(j % 9), Egress: egress, Ingress: ingress,
				Families: engine.Families(i % 4), BackendsAllowed: uint32(i * j), BackendsTotal: uint32(i * 300)})
			if all[len(all)-1].BackendsTotal == 0 {
				all[len(all)-1].BackendsAllowed = 0 // of none
			}
		}
	}
	return all
}

var snapshots = []OfSnapshot{{}, {Revision: math.MaxUint64, Token: strings.Repeat("t", 300), Stale: true},
	{Revision: 7, Token: "servertest:7"}}

// message returns an answer as a message.
func message(d *engine.Decision, of OfSnapshot) *netpoldv1.AllowedResponse {
	r := new(Answer).Fill(d)
	r.Revision, r.Token, r.Stale = of.Revision, of.Token, of.Stale
	return r
}

func bytesOf(t *testing.T, e *Encoded) []byte {
	t.Helper()
	b, err := Codec(0).Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	return bytes.Clone(b.Materialize())
}

// What is written without messages is what the library writes, byte for byte, alone and in a batch.
func TestEncodedIsWhatTheLibraryWrites(t *testing.T) {
	t.Parallel()
	for _, of := range snapshots {
		all := decisionsOf()
		batch := EncodeBatch(1, of)
		want := &netpoldv1.BatchAllowedResponse{Revision: of.Revision, Token: of.Token, Stale: of.Stale}
		for i := range all {
			d := &all[i]
			library, err := proto.Marshal(message(d, of))
			if err != nil {
				t.Fatal(err)
			}
			if got := bytesOf(t, EncodeAnswer(d, of)); !bytes.Equal(got, library) {
				t.Fatalf("%+v\nis written as\n%x, by the library\n%x", d, got, library)
			}
			answer := &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: message(d, of)}}
			if want.Answers = append(want.Answers, answer); i%3 == 0 {
				batch.AddMessage(answer)
			} else {
				batch.Add(d)
			}
		}
		batch.End()
		library, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytesOf(t, batch); !bytes.Equal(got, library) {
			t.Errorf("a batch of %d is written otherwise", len(all))
		}
	}
}

// Every field of an answer is in a decision of the tests, but for those that come with details: so a field that is new
// must be written too.
func TestEveryFieldOfAnAnswerIsTested(t *testing.T) {
	t.Parallel()
	seen := map[protoreflect.FullName]bool{}
	for _, of := range snapshots {
		for _, d := range decisionsOf() {
			r := message(&d, of)
			for _, m := range []proto.Message{r, r.GetEgress(), r.GetIngress()} {
				m.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
					seen[field.FullName()] = true
					return true
				})
			}
		}
	}
	withDetails := map[protoreflect.Name]bool{"src": true, "dst": true, "port": true, "protocol": true, "notes": true}
	answer := (*netpoldv1.AllowedResponse)(nil).ProtoReflect().Descriptor()
	for _, of := range []protoreflect.MessageDescriptor{answer, (*netpoldv1.Side)(nil).ProtoReflect().Descriptor()} {
		for i := range of.Fields().Len() {
			field := of.Fields().Get(i)
			if !seen[field.FullName()] && (of != answer || !withDetails[field.Name()]) {
				t.Errorf("%s is in no answer", field.FullName())
			}
		}
	}
	batch := (*netpoldv1.BatchAllowedResponse)(nil).ProtoReflect().Descriptor().Fields()
	if wrapper := (*netpoldv1.BatchAnswer)(nil).ProtoReflect().Descriptor().Fields(); batch.Len() != 4 || wrapper.Len() != 2 {
		t.Error("batches have other fields than Encoded writes")
	}
}

// An answer of a batch costs no memory of its own, once there are buffers.
func TestAnswersOfABatchAreNoGarbage(t *testing.T) {
	d := decisionsOf()[200]
	batch := func(n int) float64 {
		return testing.AllocsPerRun(100, func() {
			e := EncodeBatch(n, snapshots[2])
			for range n {
				e.Add(&d)
			}
			e.End()
			b, err := Codec(0).Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			b.Free()
		})
	}
	if few, many := batch(10), batch(1000); many > few+20 {
		t.Errorf("%v allocations for 10 answers, %v for 1,000", few, many)
	}
}

// Reading a question by IP costs no memory.
func TestQuestionsByIPAreNoGarbage(t *testing.T) {
	request := &netpoldv1.BatchAllowedRequest{}
	for range 1000 {
		request.Questions = append(request.Questions, &netpoldv1.AllowedRequest{Port: 8080,
			Src: &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: "10.0.1.4"}},
			Dst: &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: "10.0.3.7"}}})
	}
	encoded, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	codec, data := Codec(10_000), mem.BufferSlice{mem.SliceBuffer(encoded)}
	allocations := testing.AllocsPerRun(100, func() {
		q := TakeQuestions(10_000)
		defer q.Release()
		if err := codec.Unmarshal(data, q); err != nil || q.Len() != 1000 {
			t.Fatal(q.Len(), err)
		}
	})
	if allocations > 20 { // collections take pooled memory now and then, and so does the race detector
		t.Errorf("%v allocations for 1,000 questions", allocations)
	}
}
