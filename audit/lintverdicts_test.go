package audit_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// snapshotOf returns the snapshot of objects.
func snapshotOf(objects []engine.Object, o engine.Options) *engine.Snapshot {
	changes := make([]engine.Change, len(objects))
	for i, x := range objects {
		changes[i] = engine.Change{Object: enginetest.Clone(x)}
	}
	return engine.NewCluster(o).Apply(changes...)
}

// lint returns all findings about a snapshot, suppressed ones too.
func lint(t *testing.T, s *engine.Snapshot) []*audit.Finding {
	t.Helper()
	var list []*audit.Finding
	_, err := audit.Lint(nil, s, &audit.LintRequest{Suppressed: true}, nil, func(f *audit.Finding) bool {
		list = append(list, f)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A ruleName names a rule in the objects of a test.
type ruleName struct {
	policy    engine.ObjectKey
	direction audit.Direction
	index     int
}

// eachRule yields the rules of policies.
func eachRule(objects []engine.Object, yield func(ruleName, *engine.Rule)) {
	add := func(o engine.Object, d audit.Direction, i int, r *engine.Rule) {
		yield(ruleName{engine.KeyOf(o), d, i}, r)
	}
	for _, o := range objects {
		switch o := o.(type) {
		case *engine.Policy:
			for i := range o.Egress {
				add(o, audit.Egress, i, &o.Egress[i])
			}
			for i := range o.Ingress {
				add(o, audit.Ingress, i, &o.Ingress[i])
			}
		case *engine.ClusterPolicy:
			for i := range o.Egress {
				add(o, audit.Egress, i, &o.Egress[i].Rule)
			}
			for i := range o.Ingress {
				add(o, audit.Ingress, i, &o.Ingress[i].Rule)
			}
		}
	}
}

// without returns the objects without some rules. Directions stay isolated.
func without(objects []engine.Object, rules map[ruleName]bool) []engine.Object {
	out := make([]engine.Object, len(objects))
	for i, o := range objects {
		key := engine.KeyOf(o)
		switch o := enginetest.Clone(o).(type) {
		case *engine.Policy:
			o.Egress = drop(o.Egress, key, audit.Egress, rules)
			o.Ingress = drop(o.Ingress, key, audit.Ingress, rules)
			out[i] = o
		case *engine.ClusterPolicy:
			o.Egress = drop(o.Egress, key, audit.Egress, rules)
			o.Ingress = drop(o.Ingress, key, audit.Ingress, rules)
			out[i] = o
		default:
			out[i] = o
		}
	}
	return out
}

// drop returns a list of rules without some.
func drop[T any](list []T, key engine.ObjectKey, d audit.Direction, rules map[ruleName]bool) []T {
	var out []T
	for i := range list {
		if !rules[ruleName{key, d, i}] {
			out = append(out, list[i])
		}
	}
	return out
}

// ways returns every way to ask for an end of the objects: Pods by name, addresses in the cluster, and outside
// addresses at the borders of all blocks.
func ways(
	objects []engine.Object, options engine.Options,
) (inside []engine.Endpoint, addresses, outside []netip.Addr) {
	oracle := &enginetest.Oracle{Objects: objects, Options: options}
	owned := map[netip.Addr]bool{}
	services := map[netip.Addr]bool{}
	for _, o := range objects {
		switch o := o.(type) {
		case *engine.Pod:
			if o.Finished {
				continue
			}
			inside = append(inside, engine.ByPod(o.Namespace, o.Name))
			for _, a := range oracle.Addresses(enginetest.ListedEnd{Pod: o}) {
				owned[a] = true
			}
		case *engine.Service:
			for _, a := range o.IPs {
				services[a] = services[a] || !o.Headless && !o.ExternalName
			}
		}
	}
	for a := range oracle.NodeAddresses() {
		owned[a] = true
	}
	for a := range owned {
		addresses = append(addresses, a) // although a Service may have it too
	}
	borders := map[netip.Addr]bool{
		netip.MustParseAddr("192.0.2.200"): true, netip.MustParseAddr("2001:db8::7777"): true,
	}
	eachRule(objects, func(_ ruleName, r *engine.Rule) {
		for _, p := range r.Peers {
			if p.Block == nil {
				continue
			}
			for _, x := range append([]netip.Prefix{p.Block.CIDR}, p.Block.Except...) {
				if !x.IsValid() {
					continue
				}
				first := x.Masked().Addr()
				last := lastAddr(x)
				for _, a := range []netip.Addr{first.Prev(), first, first.Next(), last.Prev(), last, last.Next()} {
					borders[a] = a.IsValid()
				}
			}
		}
	})
	// Owned addresses may fill the borders of a range, so their neighbours are asked too.
	for range 3 {
		for _, a := range slices.Collect(maps.Keys(owned)) {
			borders[a.Next()], borders[a.Prev()] = true, true
		}
	}
	for a, ok := range borders {
		if ok && a.IsValid() && !owned[a] && !services[a] {
			outside = append(outside, a)
		}
	}
	return inside, addresses, outside
}

// lastAddr returns the last address of a prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// verdicts returns what policies allow between all ways to ask for ends (A2).
func verdicts(
	t *testing.T, s *engine.Snapshot, inside []engine.Endpoint, addresses, outside []netip.Addr,
) []string {
	t.Helper()
	roles := s.NewRoles(false)
	var in, out []engine.RoleEnd
	for _, e := range inside {
		ends, err := roles.Ends(e, false)
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, ends...)
	}
	for _, a := range addresses {
		in = append(in, roles.AskedByIP(a))
	}
	for _, a := range outside {
		out = append(out, roles.AskedByIP(a))
	}
	known := map[[2]uint32]string{}
	var list []string
	ask := func(src, dst *engine.RoleEnd) {
		k := [2]uint32{src.Source, dst.Destination}
		if _, ok := known[k]; !ok {
			var ports engine.PortSet
			for _, r := range roles.Between(k[0], k[1]) {
				ports = ports.Union(r.Ports)
			}
			known[k] = fmt.Sprint(ports)
		}
		list = append(list, known[k])
	}
	for i := range in {
		for j := range in {
			ask(&in[i], &in[j])
		}
		for j := range out {
			ask(&in[i], &out[j])
			ask(&out[j], &in[i])
		}
	}
	return list
}

// random returns a random cluster; every other one has tiers.
func random(seed uint64) ([]engine.Object, engine.Options) {
	r := enginetest.NewRandom(seed)
	if seed%2 == 0 {
		r.WithTiers()
	}
	return r.Cluster(), engine.Options{IPBlockIgnoresPods: seed%5 == 0}
}
