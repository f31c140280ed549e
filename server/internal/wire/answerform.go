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

// An answerForm is a decision on its way to the wire form of an AllowedResponse: first it is measured, since lengths
// come before what they are of, and then written.
type answerForm struct {
	reason                  netpoldv1.Reason
	egress, ingress         said
	egressSize, ingressSize int
	families                int
}

// measure returns the size of the answer. shared is what it says of the snapshot, but for stale.
func (a *answerForm) measure(d *engine.Decision, shared []byte, stale bool) int {
	a.reason = reasons.proto(d.Reason)
	egress, ingress := rulesOf(d)
	a.egress.say(&d.Egress, egress)
	a.ingress.say(&d.Ingress, ingress)
	a.egressSize, a.ingressSize = a.egress.size(), a.ingress.size()
	n := sizeTrue(d.Allowed) + sizeNumber(uint64(a.reason)) + len(shared) + sizeTrue(stale)
	n += 2 + protowire.SizeBytes(a.egressSize) + protowire.SizeBytes(a.ingressSize)
	if d.Families != 0 || d.BackendsTotal != 0 {
		var memory [2]netpoldv1.IpFamily
		if a.families = len(protoFamilies(memory[:0], d.Families)); a.families > 0 {
			n += 2 + a.families
		}
		n += sizeNumber(uint64(d.BackendsAllowed)) + sizeNumber(uint64(d.BackendsTotal))
	}
	return n
}

// appendTo appends what was measured, of the same decision.
func (a *answerForm) appendTo(b []byte, d *engine.Decision, shared []byte, stale bool) []byte {
	b = appendTrue(b, number1, d.Allowed)
	b = appendNumber(b, number2, uint64(a.reason))
	b = protowire.AppendVarint(append(b, bytes3), uint64(a.egressSize))
	b = a.egress.appendTo(b)
	b = protowire.AppendVarint(append(b, bytes4), uint64(a.ingressSize))
	b = a.ingress.appendTo(b)
	if n := a.families; n > 0 {
		var memory [2]netpoldv1.IpFamily
		b = append(b, bytes5, byte(n))
		for _, family := range protoFamilies(memory[:0], d.Families) {
			b = append(b, byte(family))
		}
	}
	b = append(b, shared...)
	if d.BackendsTotal != 0 {
		b = appendNumber(b, number8, uint64(d.BackendsAllowed))
		b = appendNumber(b, number9, uint64(d.BackendsTotal))
	}
	return appendTrue(b, number10, stale)
}

// size returns the size of the wire form of a Side.
func (s *said) size() int {
	n := sizeTrue(s.allowed) + sizeTrue(s.isolated) + sizeNumber(uint64(s.tier)) + sizeText(len(s.kind))
	switch {
	case s.kind == networkPolicy:
		n += sizeText(len(s.namespace) + 1 + len(s.policy))
	case s.kind != "":
		n += sizeText(len(s.policy)) + sizeText(len(s.ruleName))
	}
	if s.rule >= 0 {
		n += 1 + protowire.SizeVarint(uint64(s.rule))
	}
	if s.priority != nil {
		n += 1 + protowire.SizeVarint(uint64(int64(*s.priority)))
	}
	for _, p := range s.isolating {
		n += sizeText(len(p.Namespace) + 1 + len(p.Name))
	}
	return n + sizeNumber(uint64(s.isolatingTotal))
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

func sizeTrue(value bool) int {
	if value {
		return 2
	}
	return 0
}

func appendTrue(b []byte, tag byte, value bool) []byte {
	if value {
		return append(b, tag, 1)
	}
	return b
}

func sizeNumber(value uint64) int {
	if value == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(value)
}

func appendNumber(b []byte, tag byte, value uint64) []byte {
	if value == 0 {
		return b
	}
	return protowire.AppendVarint(append(b, tag), value)
}

// sizeText returns the size of a field with text of a length.
func sizeText(length int) int {
	if length == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(length)
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
