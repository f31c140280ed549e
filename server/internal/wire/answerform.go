package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// The tags of fields in their wire form: the number times 8, plus 2 for text and messages.
const (
	number1, bytes1 = 1 << 3, 1<<3 | 2
	number2, bytes2 = 2 << 3, 2<<3 | 2
	number3, bytes3 = 3 << 3, 3<<3 | 2
	number4, bytes4 = 4 << 3, 4<<3 | 2
	bytes5          = 5<<3 | 2
	number6         = 6 << 3
	number7, bytes7 = 7 << 3, 7<<3 | 2
	number8, bytes8 = 8 << 3, 8<<3 | 2
	number9, bytes9 = 9 << 3, 9<<3 | 2
	number10        = 10 << 3
)

// appendAnswer appends the wire form of an AllowedResponse. shared is what it says of the snapshot, but for stale.
func appendAnswer(b []byte, d *engine.Decision, shared []byte, stale bool) []byte {
	egress, ingress := rulesOf(d)
	b = appendTrue(b, number1, d.Allowed)
	b = appendNumber(b, number2, uint64(reasons.proto(d.Reason)))
	var s said
	s.say(&d.Egress, egress)
	b, at := open(b, bytes3)
	b = closed(s.appendTo(b), at)
	s.say(&d.Ingress, ingress)
	b, at = open(b, bytes4)
	b = closed(s.appendTo(b), at)
	if d.Families != 0 {
		var memory [2]netpoldv1.IpFamily
		if families := protoFamilies(memory[:0], d.Families); len(families) > 0 {
			b = append(b, bytes5, byte(len(families)))
			for _, family := range families {
				b = append(b, byte(family))
			}
		}
	}
	b = append(b, shared...)
	b = appendNumber(b, number8, uint64(d.BackendsAllowed))
	b = appendNumber(b, number9, uint64(d.BackendsTotal))
	return appendTrue(b, number10, stale)
}

// answerBound returns how many bytes an answer has at most if its names are those of Kubernetes, but for what it says of
// the snapshot. Longer ones need more room, and get it.
func answerBound(d *engine.Decision) int {
	const fixed, name = 256, 320
	return fixed + name*(4+min(len(d.Egress.Isolating), maxIsolatedBy)+min(len(d.Ingress.Isolating), maxIsolatedBy))
}

// open begins a nested message, whose length takes one byte as a rule. It must be closed at the place returned.
func open(b []byte, tag byte) (_ []byte, at int) {
	b = append(b, tag, 0)
	return b, len(b)
}

// closed fills in the length of the message that began at a place. A longer length moves the message.
func closed(b []byte, at int) []byte {
	n := len(b) - at
	if n < oneByte {
		b[at-1] = byte(n)
		return b
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	b = append(b, make([]byte, more)...)
	copy(b[at+more:], b[at:at+n])
	protowire.AppendVarint(b[:at-1], uint64(n))
	return b
}

// appendTo appends the wire form of a Side.
func (s *said) appendTo(b []byte) []byte {
	b = appendTrue(b, number1, s.allowed)
	b = appendTrue(b, number2, s.isolated)
	switch {
	case s.kind == networkPolicy:
		b = appendName(b, bytes3, s.namespace, s.policy)
	case s.kind != "":
		b = appendText(b, bytes3, s.policy)
	}
	if s.rule >= 0 {
		b = protowire.AppendVarint(append(b, number4), uint64(s.rule))
	}
	for _, p := range s.isolating {
		b = appendName(b, bytes5, p.Namespace, p.Name)
	}
	b = appendNumber(b, number6, uint64(s.isolatingTotal))
	b = appendNumber(b, number7, uint64(s.tier))
	b = appendText(b, bytes8, s.kind)
	b = appendText(b, bytes9, s.ruleName)
	if s.priority != nil {
		b = protowire.AppendVarint(append(b, number10), uint64(int64(*s.priority)))
	}
	return b
}

func appendTrue(b []byte, tag byte, value bool) []byte {
	if value {
		return append(b, tag, 1)
	}
	return b
}

func appendNumber(b []byte, tag byte, value uint64) []byte {
	if value == 0 {
		return b
	}
	return protowire.AppendVarint(append(b, tag), value)
}

func appendText(b []byte, tag byte, text string) []byte {
	if text == "" {
		return b
	}
	return protowire.AppendString(append(b, tag), text)
}

// appendName appends a field with the name of a policy that has a namespace.
func appendName(b []byte, tag byte, namespace, name string) []byte {
	b = protowire.AppendVarint(append(b, tag), uint64(len(namespace)+1+len(name)))
	b = append(append(b, namespace...), '/')
	return append(b, name...)
}
