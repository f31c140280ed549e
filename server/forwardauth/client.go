package forwardauth

import (
	"errors"
	"fmt"
	"net/http"
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

// Everybody returns those that are all addresses of a family, with commas between them.
func (p Proxies) Everybody() string {
	var all []string
	for _, prefix := range p {
		if prefix.Bits() == 0 {
			all = append(all, prefix.String())
		}
	}
	return strings.Join(all, ",")
}

// NeverRead reports whether a header of requests is never read (P14): what answers call theirs, a client may send too.
func NeverRead(header string) bool {
	const ours = "x-netpold-"
	return len(header) >= len(ours) && strings.EqualFold(header[:len(ours)], ours)
}

// Unreadable reports whether a header cannot name a client: Go's server keeps some to itself, and Forwarded (RFC 7239) has words
// around the address.
func Unreadable(header string) bool {
	switch http.CanonicalHeaderKey(header) {
	case "Host", "Transfer-Encoding", "Trailer", "Forwarded":
		return true
	}
	return false
}

// A client is the hop that trusted proxies name.
type client struct {
	ip netip.Addr
	// text is the address as they wrote it.
	text string
	// ok is false if the hop is no address.
	ok bool
	// forgeable means that the client may have written it: no trusted proxy is known to have done so.
	forgeable bool
}

// client returns the client in the values of a header, which has at least one (P15): from the right, the first address
// that is not a trusted proxy's, or the leftmost. What is left of it, the client may have written, and the leftmost too
// if all are trusted.
func (p Proxies) client(values []string) (c client) {
	for i := len(values) - 1; i >= 0; i-- {
		for rest, more := values[i], true; more; {
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, c.text = rest[:comma], rest[comma+1:]
			} else {
				c.text, more = rest, false
			}
			c.text = strings.Trim(c.text, " \t")
			if c.ip, c.ok = proxied.HeaderIP(c.text); !c.ok || !p.Has(c.ip) {
				return c
			}
		}
	}
	c.forgeable = true
	return c
}
