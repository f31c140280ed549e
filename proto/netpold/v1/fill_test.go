package netpoldv1_test

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// messageTypes returns every message of netpold.v1, in the order of the files.
func messageTypes(t *testing.T) []protoreflect.MessageType {
	t.Helper()
	var types []protoreflect.MessageType
	protoregistry.GlobalFiles.RangeFilesByPackage("netpold.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Messages().Len() {
			m, err := protoregistry.GlobalTypes.FindMessageByName(file.Messages().Get(i).FullName())
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, m)
		}
		return true
	})
	return types
}

// variants is how many messages fill makes that differ: at least as many as the largest oneof has members.
const variants = 12

// maxFillDepth ends messages that contain their own type.
const maxFillDepth = 6

// fill sets every field of m, and of all messages in it. The variant chooses the member of each oneof, the
// values, and whether the messages have unknown fields.
func fill(m protoreflect.Message, variant, depth int) {
	if depth == maxFillDepth {
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if oneof := field.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() &&
			oneof.Fields().Get(variant%oneof.Fields().Len()) != field {
			continue
		}
		fillField(m, field, variant, depth)
	}
	if variant%3 == 2 {
		m.SetUnknown(unknown(variant))
	}
}

// fillField sets one field of m.
func fillField(m protoreflect.Message, field protoreflect.FieldDescriptor, variant, depth int) {
	switch {
	case field.IsMap():
		for i := range variant%3 + 1 {
			value := m.Get(field).Map().NewValue
			if field.MapValue().Message() == nil {
				value = func() protoreflect.Value { return scalar(field.MapValue(), variant+i) }
			}
			m.Mutable(field).Map().Set(scalar(field.MapKey(), variant+i).MapKey(), value())
		}
	case field.IsList():
		for i := range variant%3 + 1 {
			list := m.Mutable(field).List()
			if field.Message() == nil {
				list.Append(scalar(field, variant+i))
				continue
			}
			fill(list.AppendMutable().Message(), variant+i, depth+1)
		}
	case field.Message() != nil:
		fill(m.Mutable(field).Message(), variant, depth+1)
	default:
		m.Set(field, scalar(field, variant))
	}
}

// scalar returns a value of the field's kind that is not zero. Some are the largest, and some strings need a
// longer length.
func scalar(field protoreflect.FieldDescriptor, variant int) protoreflect.Value {
	large := variant%2 == 1
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		if large {
			return protoreflect.ValueOfEnum(-1)
		}
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(1 + variant%3))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(field.JSONName() + strings.Repeat("é", variant*variant*10))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{0xff, 0, byte(variant)})
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		if large {
			return protoreflect.ValueOfUint32(math.MaxUint32)
		}
		return protoreflect.ValueOfUint32(uint32(variant) + 1)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if large {
			return protoreflect.ValueOfUint64(math.MaxUint64)
		}
		return protoreflect.ValueOfUint64(uint64(variant) + 1)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(-1 - variant))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(-1 - variant))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(variant) + 0.5)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(variant) + 0.5)
	case protoreflect.MessageKind, protoreflect.GroupKind:
	}
	panic("no scalar: " + string(field.FullName()))
}

// unknown returns a field that no message has.
func unknown(value int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 1_000_000, protowire.VarintType), uint64(value))
}

// filled returns messages of a type that together have every field, beside all others and alone.
func filled(t *testing.T, of protoreflect.MessageType) []proto.Message {
	t.Helper()
	var all []proto.Message
	seen := map[protoreflect.FieldNumber]bool{}
	for variant := range variants {
		m := of.New()
		fill(m, variant, 0)
		m.Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			seen[field.Number()] = true
			return true
		})
		all = append(all, m.Interface())
	}
	fields := of.Descriptor().Fields()
	for i := range fields.Len() {
		if !seen[fields.Get(i).Number()] {
			t.Fatalf("%s is never filled", fields.Get(i).FullName())
		}
	}
	for _, m := range sparse(of, 0) {
		all = append(all, m.Interface())
	}
	return all
}

// sparse returns messages of a type that have one field each, and in it a message that has one field, and so
// on: what is written by hand may leave a message with some fields to the library, and must not lose the
// others. The first has no field.
func sparse(of protoreflect.MessageType, depth int) []protoreflect.Message {
	onlyUnknown := of.New()
	onlyUnknown.SetUnknown(unknown(depth))
	all := []protoreflect.Message{of.New(), onlyUnknown}
	if depth == maxFillDepth {
		return all
	}
	fields := of.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case field.IsMap() || field.Message() == nil:
			for variant := range 4 {
				m := of.New()
				fillField(m, field, variant, depth)
				all = append(all, m)
			}
		case field.IsList():
			for _, inner := range sparse(of.New().NewField(field).List().NewElement().Message().Type(), depth+1) {
				m := of.New()
				m.Mutable(field).List().Append(protoreflect.ValueOfMessage(inner))
				all = append(all, m)
			}
		default:
			for _, inner := range sparse(of.New().NewField(field).Message().Type(), depth+1) {
				m := of.New()
				m.Set(field, protoreflect.ValueOfMessage(inner))
				all = append(all, m)
			}
		}
	}
	return all
}

// The codec writes and reads every field that the messages have, those of the future too.
func TestCodecHasEveryField(t *testing.T) {
	t.Parallel()
	types := messageTypes(t)
	if len(types) < 20 {
		t.Fatalf("%d messages in netpold.v1: are these all files?", len(types))
	}
	for _, of := range types {
		t.Run(string(of.Descriptor().Name()), func(t *testing.T) {
			t.Parallel()
			for _, m := range filled(t, of) {
				compareCodec(t, m)
			}
		})
	}
}

// compareCodec fails the test unless the codec and the library read alike what the other one writes of m.
func compareCodec(t *testing.T, m proto.Message) {
	t.Helper()
	byLibrary, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	want := fresh(m)
	if err := proto.Unmarshal(byLibrary, want); err != nil {
		t.Fatal(err)
	}
	written, err := netpoldv1.Codec(0).Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	defer written.Free()
	got := fresh(m)
	if err := proto.Unmarshal(written.Materialize(), got); err != nil || !proto.Equal(got, want) {
		t.Errorf("%v\nis written as\n%v, %v", want, got, err)
	}
	for _, cut := range []int{0, len(byLibrary) / 2} { // in one part and in two
		data := mem.BufferSlice{mem.SliceBuffer(byLibrary[:cut]), mem.SliceBuffer(byLibrary[cut:])}
		got := fresh(m)
		if err := netpoldv1.Codec(0).Unmarshal(data, got); err != nil || !proto.Equal(got, want) {
			t.Errorf("%v\nis read as\n%v, %v", want, got, err)
		}
	}
}
