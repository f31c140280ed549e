package html

import (
	"cmp"
	"slices"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// families is a set of address families: 1 is IPv4, 2 is IPv6.
type families uint8

func familiesOf(list []netpoldv1.IpFamily) families {
	var f families
	for _, family := range list {
		switch family {
		case netpoldv1.IpFamily_IP_FAMILY_IPV4:
			f |= 1
		case netpoldv1.IpFamily_IP_FAMILY_IPV6:
			f |= 2
		case netpoldv1.IpFamily_IP_FAMILY_UNSPECIFIED:
		}
	}
	return f
}

// shared returns the families that two ends share, as rule A3 has it: those of both; those of one when the
// other has no address; none when they have none in common.
func shared(a, b families) families {
	if a == 0 || b == 0 {
		return a | b
	}
	return a & b
}

// portsAsked returns how many pairs of protocol and port a list is about.
func portsAsked(r *netpoldv1.ListConnectionsRequest) uint64 {
	protocols := []netpoldv1.Protocol{
		netpoldv1.Protocol_PROTOCOL_TCP, netpoldv1.Protocol_PROTOCOL_UDP, netpoldv1.Protocol_PROTOCOL_SCTP,
	}
	if p := r.GetProtocol(); p != netpoldv1.Protocol_PROTOCOL_UNSPECIFIED {
		protocols = []netpoldv1.Protocol{p}
	}
	asked := r.GetPorts()
	if len(asked) == 0 {
		asked = []*netpoldv1.PortRange{{First: 1, Last: 65535}}
	}
	var ranges []*netpoldv1.PortRange
	for _, p := range protocols {
		for _, r := range asked {
			if own := r.GetProtocol(); own == p || own == netpoldv1.Protocol_PROTOCOL_UNSPECIFIED {
				ranges = addRanges(ranges, []*netpoldv1.PortRange{
					{Protocol: p, First: r.GetFirst(), Last: max(r.GetFirst(), r.GetLast())},
				})
			}
		}
	}
	return countPorts(ranges)
}

func countPorts(ranges []*netpoldv1.PortRange) uint64 {
	var n uint64
	for _, r := range ranges {
		n += uint64(r.GetLast()-r.GetFirst()) + 1
	}
	return n
}

// addRanges returns the union of two lists of ranges: by protocol and port, disjoint, not touching. It
// modifies neither list.
func addRanges(a, b []*netpoldv1.PortRange) []*netpoldv1.PortRange {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y *netpoldv1.PortRange) int {
		return cmp.Or(cmp.Compare(x.GetProtocol(), y.GetProtocol()), cmp.Compare(x.GetFirst(), y.GetFirst()))
	})
	var out []*netpoldv1.PortRange
	for _, r := range all {
		last := len(out) - 1
		if last >= 0 && out[last].GetProtocol() == r.GetProtocol() && r.GetFirst() <= out[last].GetLast()+1 {
			end := max(out[last].GetLast(), r.GetLast())
			out[last] = &netpoldv1.PortRange{
				Protocol: r.GetProtocol(), First: out[last].GetFirst(), Last: end,
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// rangesJSON returns ranges as the page reads them.
func rangesJSON(ranges []*netpoldv1.PortRange) []portRange {
	out := make([]portRange, len(ranges))
	for i, r := range ranges {
		out[i] = portRange{r.GetProtocol().String(), r.GetFirst(), r.GetLast()}
	}
	return out
}
