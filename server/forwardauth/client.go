package forwardauth

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/netpold/netpold/server/internal/proxied"
)

// Proxies are the addresses of proxies that are trusted to name their clients.
type Proxies []netip.Prefix

// ParseProxies parses CIDRs and addresses with commas between them.
func ParseProxies(text string) (Proxies, error) {
	var list Proxies
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		prefix, err := netip.ParsePrefix(word)
		if err != nil {
			ip, err := netip.ParseAddr(word)
			if err != nil || ip.Zone() != "" {
				return nil, fmt.Errorf("%q is neither an address nor a CIDR, such as 10.0.0.0/8", word)
			}
			prefix = netip.PrefixFrom(ip, ip.BitLen())
		}
		if ip := prefix.Addr(); ip.Is4In6() {
			if prefix.Bits() < 96 {
				return nil, fmt.Errorf("%q has more than the IPv4-mapped addresses; write it as IPv4 or as IPv6", word)
			}
			prefix = netip.PrefixFrom(ip.Unmap(), prefix.Bits()-96)
		}
		if prefix != prefix.Masked() {
			return nil, fmt.Errorf("%q has bits beyond its length; write %v", word, prefix.Masked())
		}
		list = append(list, prefix)
	}
	if len(list) == 0 {
		return nil, errors.New("is empty")
	}
	return list, nil
}

// Has reports whether ip is that of a trusted proxy. ip has no zone, and is no IPv4-mapped address.
func (p Proxies) Has(ip netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}

// client returns the client that trusted proxies name in the values of a header, which has at least one (P15): from
// the right, the first address that is not a trusted proxy's, or the leftmost. What is left of it, the client may
// have written. hop is the address as they wrote it. ok is false if the hop so reached is no address.
func (p Proxies) client(values []string) (ip netip.Addr, hop string, ok bool) {
	for i := len(values) - 1; i >= 0; i-- {
		for rest, more := values[i], true; more; {
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, hop = rest[:comma], rest[comma+1:]
			} else {
				hop, more = rest, false
			}
			hop = strings.Trim(hop, " \t")
			if ip, ok = proxied.HeaderIP(hop); !ok || !p.Has(ip) {
				return ip, hop, ok
			}
		}
	}
	return ip, hop, ok
}
