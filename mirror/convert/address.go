package convert

import (
	"net/netip"
	"slices"
	"strconv"

	netutils "k8s.io/utils/net"
)

// addrOf reads an address as the API server of any version has stored it: leading zeros are decimal, and an IPv4-mapped one
// is the IPv4 address (S9).
func addrOf(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		ip := netutils.ParseIPSloppy(s)
		if ip == nil {
			return netip.Addr{}, false
		}
		a, _ = netip.AddrFromSlice(ip)
	}
	if a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// addr appends an address that stands at a path of the object, once, or reports that it is none.
func (f *findings) addr(to []netip.Addr, s string, path func() string) []netip.Addr {
	a, ok := addrOf(s)
	if !ok {
		f.add(path(), "Invalid value: "+strconv.Quote(s)+": must be an IP address, such as 10.9.8.7 or 2001:db8::ffff")
		return to
	}
	if slices.Contains(to, a) {
		return to
	}
	return append(to, a)
}

// addrs reads a list of addresses, or the single one that older objects have in its place.
func addrs[T any](f *findings, list []T, of func(T) string, single, listField, singleField, itemField string) []netip.Addr {
	if len(list) == 0 {
		if single == "" {
			return nil
		}
		return f.addr(nil, single, func() string { return singleField })
	}
	to := make([]netip.Addr, 0, len(list))
	for i, x := range list {
		to = f.addr(to, of(x), func() string { return listField + "[" + strconv.Itoa(i) + "]" + itemField })
	}
	return to
}
