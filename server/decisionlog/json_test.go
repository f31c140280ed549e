package decisionlog

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// variants is how many messages are compared that differ: more than any oneof has members.
const variants = 12

// TestRecordsAreProtoJSON proves that questions and answers are written as protojson writes them with their
// defaults, but for the token: every field, every member of a oneof, and the empty messages (G1).
func TestRecordsAreProtoJSON(t *testing.T) {
	t.Parallel()
	for variant := -1; variant < variants; variant++ {
		t.Run(strconv.Itoa(variant), func(t *testing.T) {
			q, a := new(netpoldv1.AllowedRequest), new(netpoldv1.AllowedResponse)
			if variant >= 0 {
				fill(q.ProtoReflect(), variant, 0)
				fill(a.ProtoReflect(), variant, 0)
			}
			compare(t, q, appendRequest([]byte{}, q))
			compare(t, a, appendResponse([]byte{}, a))
		})
	}
}

func compare(t *testing.T, m proto.Message, got []byte) {
	t.Helper()
	raw, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var want, have map[string]any
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &have); err != nil {
		t.Fatalf("%v:\n%s", err, got)
	}
	delete(want, "token")
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("%T (-protojson +got):\n%s", m, diff)
	}
}

// fill sets every field of m, and of all messages in it. The variant chooses the member of each oneof and the
// values.
func fill(m protoreflect.Message, variant, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		oneof := field.ContainingOneof()
		switch {
		case oneof != nil && !oneof.IsSynthetic() && oneof.Fields().Get(variant%oneof.Fields().Len()) != field:
		case field.IsMap():
			m.Mutable(field).Map().Set(scalar(field.MapKey(), variant).MapKey(), scalar(field.MapValue(), variant))
		case field.IsList():
			for i := range variant % 3 {
				if list := m.Mutable(field).List(); field.Message() != nil {
					fill(list.AppendMutable().Message(), variant+i, depth+1)
				} else {
					list.Append(scalar(field, variant+i))
				}
			}
		case field.Message() != nil:
			fill(m.Mutable(field).Message(), variant, depth+1)
		default:
			m.Set(field, scalar(field, variant))
		}
	}
}

// scalar returns a value of the field's kind that is not zero.
func scalar(field protoreflect.FieldDescriptor, variant int) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind: // known ones and others
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(variant - 2))
	case protoreflect.StringKind:
		special := []string{"", `"\`, "\x00\n\u007f", "é\u2028<&>"}[variant%4]
		return protoreflect.ValueOfString(string(field.Name()) + special)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(variant)*400_000_000 + 1)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(variant)*1_700_000_000_000_000_000 + 1)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(variant)*1_000_000_007 + 1)
	case protoreflect.Int32Kind:
		if field.FullName() == "google.protobuf.Timestamp.nanos" {
			return protoreflect.ValueOfInt32(int32(variant + 1))
		}
		return protoreflect.ValueOfInt32(int32(3 - variant))
	default:
		panic("no value known for a field of kind " + field.Kind().String())
	}
}
