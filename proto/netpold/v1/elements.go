package netpoldv1

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// MaxQuestionElements is the most elements of one question: labels, named ports, and the question itself. No Pod has
// as many.
const MaxQuestionElements = 1024

// A Shape says where messages of a kind have others inside. It is safe for concurrent use.
type Shape struct {
	// fields has the fields that are elements, by number: messages, map entries, and entries of lists.
	fields map[protowire.Number]*Shape
	// sizes has what the values of other fields are in memory, in elements, by number.
	sizes map[protowire.Number]func(value []byte) int
	// question means that messages of this kind have a limit of their own.
	question bool
}

// maxNesting is how deep messages may nest. The deepest of ours have less than ten levels.
const maxNesting = 100

// ShapeOf returns the shape of messages of a kind.
func ShapeOf(d protoreflect.MessageDescriptor) *Shape {
	return shapeOf(d, map[protoreflect.FullName]*Shape{})
}

func shapeOf(d protoreflect.MessageDescriptor, known map[protoreflect.FullName]*Shape) *Shape {
	if s := known[d.FullName()]; s != nil {
		return s
	}
	s := &Shape{
		fields:   map[protowire.Number]*Shape{},
		sizes:    map[protowire.Number]func([]byte) int{},
		question: d.FullName() == (*AllowedRequest)(nil).ProtoReflect().Descriptor().FullName(),
	}
	known[d.FullName()] = s
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		switch {
		case f.Message() != nil:
			s.fields[f.Number()] = shapeOf(f.Message(), known)
		case f.IsList():
			s.fields[f.Number()] = nil
			if f.IsPacked() {
				s.sizes[f.Number()] = packedSize
			}
		case f.FullName() == yamlField:
			s.sizes[f.Number()] = yamlSize
		}
	}
	return s
}

// yamlField is the field that has manifests.
const yamlField = protoreflect.FullName("netpold.v1.OverlayChange.apply")

// marksPerElement is how many marks of YAML take as much as an element, about.
const marksPerElement = 2

// perElement is how many packed numbers take as much as an element, about.
const perElement = 32

// packedSize returns what the numbers of a list are in memory, of a byte each or more.
func packedSize(value []byte) int { return len(value) / perElement }

// yamlSize returns what a YAML or JSON document is in memory: about half an element for each of its lines, entries of lists
// and maps, and other marks of a new one. So an overlay of 10,000 usual policies in 4 MiB counts as about 72 MiB.
func yamlSize(value []byte) (n int) {
	for _, mark := range [...]string{"\n", "[", "{", ",", "- "} {
		n += bytes.Count(value, []byte(mark))
	}
	return n / marksPerElement
}

// Elements counts what a message will be in memory, without decoding it: messages, map entries, and entries of lists.
// It stops when there are more than most, and when a question has more than [MaxQuestionElements]: then it returns the
// index of the field of the message in which that is, of those with its number. Otherwise the index is -1. What is not
// well-formed is not counted, since decoding fails there.
func (s *Shape) Elements(wire []byte, most int) (n, tooLarge int) {
	c := counter{left: most}
	index := map[protowire.Number]int{}
	tooLarge = -1
	s.each(wire, func(number protowire.Number, inner *Shape, value []byte) bool {
		at := index[number]
		index[number]++
		if !c.add(inner, value, 0) {
			tooLarge = at
			return false
		}
		return true
	})
	return most - c.left, tooLarge
}

// counter counts down the elements that may follow.
type counter struct{ left int }

// add counts an element and what is inside, and reports whether there may be as much.
func (c *counter) add(s *Shape, wire []byte, depth int) bool {
	if c.left--; c.left < 0 {
		return false
	}
	if s == nil || depth > maxNesting {
		return true
	}
	if s.question {
		own := counter{left: min(c.left, MaxQuestionElements)}
		before := own.left
		ok := s.each(wire, func(_ protowire.Number, inner *Shape, value []byte) bool { return own.add(inner, value, depth+1) })
		c.left -= before - max(own.left, 0)
		return ok
	}
	return s.each(wire, func(_ protowire.Number, inner *Shape, value []byte) bool { return c.add(inner, value, depth+1) })
}

// each calls visit for each element of a message until it returns false, and reports whether it never did. Values of other
// fields that are large in memory are visited as elements without anything inside.
func (s *Shape) each(wire []byte, visit func(protowire.Number, *Shape, []byte) bool) bool {
	for len(wire) > 0 {
		number, kind, n := protowire.ConsumeTag(wire)
		if n < 0 {
			return true
		}
		wire = wire[n:]
		var value []byte
		if kind == protowire.BytesType {
			value, n = protowire.ConsumeBytes(wire)
		} else {
			n = protowire.ConsumeFieldValue(number, kind, wire)
		}
		if n < 0 {
			return true
		}
		wire = wire[n:]
		if inner, element := s.fields[number]; element && !visit(number, inner, value) {
			return false
		}
		if size := s.sizes[number]; size != nil {
			for range size(value) {
				if !visit(number, nil, nil) {
					return false
				}
			}
		}
	}
	return true
}
