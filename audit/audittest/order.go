package audittest

import (
	"cmp"
	"slices"

	"github.com/netpold/netpold/audit"
)

// compareGroups orders groups as they are sent.
func compareGroups(a, b *audit.Group) int {
	return cmp.Or(
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Workload.Kind, b.Workload.Kind), cmp.Compare(a.Workload.Name, b.Workload.Name),
		cmp.Compare(a.Members[0].Name, b.Members[0].Name),
	)
}

// orderKey is what connections are ordered by (L6).
func (o *Opened) orderKey() [4]uint32 {
	k := [4]uint32{}
	if len(o.SrcCIDRs) > 0 {
		k[0] = 1
	} else {
		k[1] = o.Src[0]
	}
	switch {
	case len(o.DstServices) > 0:
		k[2] = 2
	case len(o.DstCIDRs) > 0:
		k[2] = 1
	default:
		k[3] = o.Dst[0]
	}
	return k
}

// checkOrder checks L6.
func (r *Reading) checkOrder() {
	for i := 1; i < len(r.Connections); i++ {
		a, b := &r.Connections[i-1], &r.Connections[i]
		ka, kb := a.orderKey(), b.orderKey()
		if c := cmp.Or(slices.Compare(ka[:], kb[:]), comparePorts(a.Ports, b.Ports)); c > 0 {
			r.breaks("L6: %+v comes before %+v", *a.Connection, *b.Connection)
		}
	}
}

// comparePorts orders lists of ports.
func comparePorts(a, b []audit.PortRange) int {
	return slices.CompareFunc(a, b, func(a, b audit.PortRange) int {
		return cmp.Or(
			cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last),
		)
	})
}
