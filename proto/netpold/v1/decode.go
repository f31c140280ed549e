package netpoldv1

import (
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// text returns the bytes of a message as one string.
func text(data mem.BufferSlice) string {
	if len(data) == 1 {
		return string(data[0].ReadOnlyData())
	}
	var b strings.Builder
	b.Grow(data.Len())
	for _, part := range data {
		b.Write(part.ReadOnlyData())
	}
	return b.String()
}

// A decoder reads a message of the usual form. At anything else it stops with ok false, and the library
// decodes the message instead.
type decoder struct {
	s  string
	ok bool
}

func decode(s string) decoder { return decoder{s, true} }

// next returns the tag of the next field; 0 at the end. Tags of the known fields have one byte.
func (d *decoder) next() byte {
	if !d.ok || d.s == "" {
		return 0
	}
	tag := d.s[0]
	d.s = d.s[1:]
	d.ok = tag != end // no field has the number 0
	return tag
}

func (d *decoder) varint() uint64 {
	var value uint64
	for i := 0; i < len(d.s) && i < 9; i++ {
		b := d.s[i]
		value |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			d.s = d.s[i+1:]
			return value
		}
	}
	d.ok = false // ten bytes long, or cut off
	return 0
}

func (d *decoder) bytes() string {
	n := d.varint()
	if n > uint64(len(d.s)) {
		d.ok = false
		return ""
	}
	value := d.s[:n]
	d.s = d.s[n:]
	return value
}

func (d *decoder) string() string {
	value := d.bytes()
	if !utf8.ValidString(value) {
		d.ok = false
	}
	return value
}

// The tags of the fields, by their number.
const (
	number1, bytes1      = 1<<3 | asVarint, 1<<3 | asBytes
	number2, bytes2      = 2<<3 | asVarint, 2<<3 | asBytes
	number3, bytes3      = 3<<3 | asVarint, 3<<3 | asBytes
	number4, bytes4      = 4<<3 | asVarint, 4<<3 | asBytes
	bytes5               = 5<<3 | asBytes
	number6              = 6<<3 | asVarint
	number7, bytes7      = 7<<3 | asVarint, 7<<3 | asBytes
	number8, bytes8      = 8<<3 | asVarint, 8<<3 | asBytes
	number9, bytes9      = 9<<3 | asVarint, 9<<3 | asBytes
	number10             = 10<<3 | asVarint
	end             byte = 0
)

// An ends allocates endpoints several at a time, but only as many as occur. So the memory of a message stays
// in proportion to its size.
type ends struct {
	each int
	free []byIP
}

// A byIP is an endpoint by IP.
type byIP struct {
	endpoint Endpoint
	ip       Endpoint_Ip
}

func (e *ends) take(ip string) *Endpoint {
	if len(e.free) == 0 {
		e.free = make([]byIP, e.each)
	}
	next := &e.free[0]
	e.free = e.free[1:]
	next.ip.Ip = ip
	next.endpoint.Endpoint = &next.ip
	return &next.endpoint
}

func readQuestion(q *AllowedRequest, free *ends, wire string) bool {
	d := decode(wire)
	for {
		switch d.next() {
		case end:
			return d.ok
		case bytes1:
			d.end(&q.Src, free)
		case bytes2:
			d.end(&q.Dst, free)
		case number3:
			q.Port = uint32(d.varint())
		case number4:
			q.Protocol = Protocol(d.varint())
		case bytes5:
			q.AtLeast = d.string()
		case number6:
			q.Details = d.varint() != 0
		default:
			return false
		}
	}
}

// end reads an endpoint by IP. A second one in the same question would have to be merged, so it is left to
// the library.
func (d *decoder) end(to **Endpoint, free *ends) {
	in := decode(d.bytes())
	if *to != nil || in.next() != bytes1 {
		d.ok = false
		return
	}
	ip := in.string()
	if !in.ok || in.s != "" {
		d.ok = false
		return
	}
	*to = free.take(ip)
}

// count returns the length of a list that is the first field of its message.
func count(wire string, list byte) (n int) {
	d := decode(wire)
	for {
		switch d.next() {
		case list:
			n++
			d.bytes()
		default:
			return n
		}
	}
}

// read decodes a batch. If it has more than most questions, and most is not 0, it only counts them.
func (m *BatchAllowedRequest) read(wire string, most int) bool {
	m.Reset()
	n := count(wire, bytes1)
	if most > 0 && n > most {
		m.Questions = make([]*AllowedRequest, n)
		return true
	}
	m.Questions = make([]*AllowedRequest, 0, n)
	slab, free := make([]AllowedRequest, n), &ends{each: min(2*n, 512)}
	d := decode(wire)
	for {
		switch d.next() {
		case end:
			return d.ok
		case bytes1:
			if len(m.Questions) == n {
				return false // after other fields
			}
			q := &slab[len(m.Questions)]
			m.Questions = append(m.Questions, q)
			in := d.bytes()
			if d.ok && !readQuestion(q, free, in) && proto.Unmarshal([]byte(in), q) != nil {
				return false
			}
		case bytes2:
			m.AtLeast = d.string()
		default:
			return false
		}
	}
}

// A parts holds what a response points to.
type parts struct {
	egress, ingress         Side
	egressRule, ingressRule uint32
	families                [2]IpFamily
}

// readResponse decodes a response. It appends lists of names to names, one after another.
func readResponse(r *AllowedResponse, p *parts, names *[]string, wire string) bool {
	d := decode(wire)
	for {
		switch d.next() {
		case end:
			return d.ok
		case number1:
			r.Allowed = d.varint() != 0
		case number2:
			r.Reason = Reason(d.varint())
		case bytes3:
			d.side(&r.Egress, &p.egress, &p.egressRule, names)
		case bytes4:
			d.side(&r.Ingress, &p.ingress, &p.ingressRule, names)
		case bytes5:
			r.Families = d.families(r.Families, p.families[:0:len(p.families)])
		case number6:
			r.Revision = d.varint()
		case bytes7:
			r.Token = d.string()
		case number8:
			r.BackendsAllowed = uint32(d.varint())
		case number9:
			r.BackendsTotal = uint32(d.varint())
		case number10:
			r.Stale = d.varint() != 0
		default:
			return false
		}
	}
}

func (d *decoder) families(before, to []IpFamily) []IpFamily {
	in := decode(d.bytes())
	for in.ok && in.s != "" {
		to = append(to, IpFamily(in.varint()))
	}
	d.ok = d.ok && in.ok && before == nil
	return to
}

func (d *decoder) side(to **Side, s *Side, rule *uint32, names *[]string) {
	in := decode(d.bytes())
	if *to != nil {
		d.ok = false // to be merged
	}
	*to = s
	first := len(*names)
	for d.ok {
		switch in.next() {
		case end:
			d.ok = in.ok
			if all := *names; len(all) > first {
				s.IsolatedBy = all[first:len(all):len(all)]
			}
			return
		case number1:
			s.Allowed = in.varint() != 0
		case number2:
			s.Isolated = in.varint() != 0
		case bytes3:
			s.Policy = in.string()
		case number4:
			*rule = uint32(in.varint())
			s.RuleIndex = rule
		case bytes5:
			*names = append(*names, in.string())
		case number6:
			s.IsolatedByTotal = uint32(in.varint())
		case number7:
			s.Tier = Tier(in.varint())
		case bytes8:
			s.Kind = in.string()
		case bytes9:
			s.RuleName = in.string()
		case number10:
			s.Priority = new(int32(in.varint()))
		default:
			d.ok = false
		}
	}
}

func (m *BatchAllowedResponse) read(wire string) bool {
	m.Reset()
	n := count(wire, bytes1)
	m.Answers = make([]*BatchAnswer, 0, n)
	slab := make([]struct {
		answer   BatchAnswer
		member   BatchAnswer_Response
		response AllowedResponse
		parts    parts
	}, n)
	names := make([]string, 0, n)
	d := decode(wire)
	for {
		switch d.next() {
		case end:
			return d.ok
		case bytes1:
			if len(m.Answers) == n {
				return false // after other fields
			}
			a := &slab[len(m.Answers)]
			m.Answers = append(m.Answers, &a.answer)
			in := d.bytes()
			nested := decode(in)
			if nested.next() == bytes1 && readResponse(&a.response, &a.parts, &names, nested.bytes()) && nested.ok &&
				nested.s == "" {
				a.member.Response = &a.response
				a.answer.Answer = &a.member
			} else if d.ok && proto.Unmarshal([]byte(in), &a.answer) != nil {
				return false
			}
		case number2:
			m.Revision = d.varint()
		case bytes3:
			m.Token = d.string()
		case number4:
			m.Stale = d.varint() != 0
		default:
			return false
		}
	}
}
