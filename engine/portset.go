package engine

import (
	"cmp"
	"slices"
)

// PortRange is an inclusive range of ports of one protocol.
type PortRange struct {
	Protocol    Protocol
	First, Last uint16
}

// from and to return the ends of the range as one number each.
func (r PortRange) from() protocolPort { return portOf(r.Protocol, r.First) }
func (r PortRange) to() protocolPort   { return portOf(r.Protocol, r.Last) }

// PortSet is a set of ports: ranges sorted by protocol and first port, disjoint and not touching. Sets are
// equal if their ranges are. A set must not be modified. The nil PortSet is empty.
type PortSet []PortRange

// everyPort is all ports of all protocols. No port is 0.
var everyPort = PortSet{{TCP, 1, 65535}, {UDP, 1, 65535}, {SCTP, 1, 65535}}

// EveryPort returns the set of all ports of all protocols.
func EveryPort() PortSet { return everyPort }

// NewPortSet returns the set of the ports of ranges, in any order. Empty ranges, port 0 and unknown protocols
// add nothing.
func NewPortSet(ranges ...PortRange) PortSet {
	list := make(PortSet, 0, len(ranges))
	for _, r := range ranges {
		if r.First = max(r.First, 1); r.First <= r.Last && r.Protocol < protocols {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, PortRange.compare)
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && out[n-1].Protocol == r.Protocol && uint32(r.First) <= uint32(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// compare orders ranges by protocol, first and last port.
func (r PortRange) compare(o PortRange) int {
	return cmp.Or(cmp.Compare(r.from(), o.from()), cmp.Compare(r.Last, o.Last))
}

// Equal reports whether both sets have the same ports.
func (s PortSet) Equal(o PortSet) bool { return slices.Equal(s, o) }

// Compare orders sets by their ranges.
func (s PortSet) Compare(o PortSet) int { return slices.CompareFunc(s, o, PortRange.compare) }

// Contains reports whether the set has a port.
func (s PortSet) Contains(protocol Protocol, port uint16) bool {
	at := portOf(protocol, port)
	return slices.ContainsFunc(s, func(r PortRange) bool { return r.from() <= at && at <= r.to() })
}

// Union returns the ports that are in either set.
func (s PortSet) Union(o PortSet) PortSet {
	switch {
	case len(s) == 0:
		return o
	case len(o) == 0 || slices.Equal(s, o):
		return s
	}
	return NewPortSet(slices.Concat(s, o)...)
}

// Intersect returns the ports that are in both sets.
func (s PortSet) Intersect(o PortSet) PortSet {
	switch { // nearly always one of them is all ports
	case slices.Equal(s, everyPort):
		return o
	case slices.Equal(o, everyPort):
		return s
	}
	var out PortSet
	for i, j := 0, 0; i < len(s) && j < len(o); {
		first, last := max(s[i].from(), o[j].from()), min(s[i].to(), o[j].to())
		if first <= last {
			out = append(out, PortRange{first.protocol(), first.port(), last.port()})
		}
		if s[i].to() < o[j].to() {
			i++
		} else {
			j++
		}
	}
	return out
}

// Minus returns the ports of s that are not in o.
func (s PortSet) Minus(o PortSet) PortSet {
	if len(o) == 0 {
		return s
	}
	var out PortSet
	j := 0
	for _, r := range s {
		at, end := r.from(), r.to()
		for ; j < len(o) && o[j].to() < at; j++ {
		}
		for k := j; k < len(o) && o[k].from() <= end; k++ {
			if at < o[k].from() {
				out = append(out, PortRange{r.Protocol, at.port(), o[k].First - 1})
			}
			at = o[k].to() + 1
		}
		if at <= end {
			out = append(out, PortRange{r.Protocol, at.port(), r.Last})
		}
	}
	return out
}
