package convert

import (
	"net"
	"net/netip"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/netpold/netpold/engine"
)

// block converts an ipBlock. errs is what the API server rejects; warnings is what it rejects in new objects
// only.
func block(b *networkingv1.IPBlock, path *field.Path) (to *engine.IPBlock, errs, warnings field.ErrorList) {
	if b.CIDR == "" {
		return nil, field.ErrorList{field.Required(path.Child("cidr"), "")}, nil
	}
	cidr, errs, warnings := prefix(b.CIDR, path.Child("cidr"))
	if cidr == nil {
		return nil, errs, warnings
	}
	to = &engine.IPBlock{CIDR: prefixOf(cidr)}
	for i, text := range b.Except {
		at := path.Child("except").Index(i)
		except, e, w := prefix(text, at)
		errs, warnings = append(errs, e...), append(warnings, w...)
		if except == nil {
			continue
		}
		outer, _ := cidr.Mask.Size()
		inner, _ := except.Mask.Size()
		if !cidr.Contains(except.IP) || inner <= outer {
			errs = append(errs, field.Invalid(at, text, "must be a strict subset of `cidr`"))
		}
		to.Except = append(to.Except, prefixOf(except))
	}
	return to, errs, warnings
}

// prefix parses a CIDR as older API servers did: leading zeros are decimal, host bits are masked. Each of
// these is a warning (S23). The network is nil if text cannot be parsed at all.
func prefix(text string, path *field.Path) (network *net.IPNet, errs, warnings field.ErrorList) {
	ip, network, err := netutils.ParseCIDRSloppy(text)
	if err != nil {
		return nil, validation.IsValidCIDRForLegacyField(path, text, true, nil), nil
	}
	if ip.To4() != nil && strings.ContainsRune(text, ':') {
		return network, field.ErrorList{field.Invalid(path, text, "must not have an IPv4-mapped IPv6 address")}, nil
	}
	for _, e := range validation.IsValidCIDRForLegacyField(path, text, true, nil) {
		e.Detail += "; it is read as " + network.String()
		warnings = append(warnings, e)
	}
	return network, nil, warnings
}

func prefixOf(n *net.IPNet) netip.Prefix {
	addr, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addr, bits)
}
