package convert

import (
	"net/netip"
	"slices"
	"strconv"

	netutils "k8s.io/utils/net"
)

// addrOf parses an address as any version of the API server stored it. Leading zeros are decimal. An
// IPv4-mapped address is the IPv4 address (S9).
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

// addr appends the address s unless the list has it. If s is no address, it reports a problem at path.
func (f *problemList) addr(to []netip.Addr, s string, path func() string) []netip.Addr {
	a, ok := addrOf(s)
	if !ok {
		f.add(path(), "Invalid value: "+strconv.Quote(s)+
			": must be an IP address, such as 10.9.8.7 or 2001:db8::ffff")
		return to
	}
	if slices.Contains(to, a) {
		return to
	}
	return append(to, a)
}

// addrs reads a list of addresses. Older objects have a single address instead, which it reads if the list is
// empty.
func addrs[T any](f *problemList, list []T, of func(T) string,
	single, listField, singleField, itemField string) []netip.Addr {
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
