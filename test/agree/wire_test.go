package agree

import (
	"net/netip"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/audit/audittest"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// readList reads the messages of a list as the contract has them, and expects it to keep L2 to L6.
func readList(t *testing.T, messages []*netpoldv1.ListConnectionsResponse) *audittest.Reading {
	t.Helper()
	var groups []audit.Group
	var items []audit.Item
	for _, m := range messages {
		switch {
		case m.GetGroup() != nil:
			groups = append(groups, group(t, m.GetGroup()))
		case m.GetSet() != nil:
			items = append(items, audit.Item{Set: &audit.Set{ID: m.GetSet().GetId(), Groups: m.GetSet().GetGroups()}})
		case m.GetConnection() != nil:
			c := m.GetConnection()
			items = append(items, audit.Item{Connection: &audit.Connection{
				Src:      audit.GroupList{Groups: c.GetSrcGroups(), Sets: c.GetSrcSets()},
				Dst:      audit.GroupList{Groups: c.GetDstGroups(), Sets: c.GetDstSets()},
				SrcCIDRs: prefixes(t, c.GetSrcCidrs()), DstCIDRs: prefixes(t, c.GetDstCidrs()),
				Ports: ports(c.GetPorts()), Families: families(c.GetFamilies()),
			}})
		}
	}
	reading := audittest.Read(groups, items, false)
	if len(reading.Broken) > 0 {
		t.Fatalf("the list breaks %q", reading.Broken)
	}
	return reading
}

// readDiff reads the messages of a difference, as readList does.
func readDiff(t *testing.T, messages []*netpoldv1.SimulateResponse) *audittest.Reading {
	t.Helper()
	var groups []audit.Group
	var items []audit.DiffItem
	for _, m := range messages {
		switch {
		case m.GetGroup() != nil:
			groups = append(groups, group(t, m.GetGroup()))
		case m.GetSet() != nil:
			items = append(items,
				audit.DiffItem{Set: &audit.Set{ID: m.GetSet().GetId(), Groups: m.GetSet().GetGroups()}})
		case m.GetChange() != nil:
			c := m.GetChange()
			items = append(items, audit.DiffItem{Change: &audit.Change{
				Kind:     audit.ChangeKind(c.GetKind()), //nolint:gosec // the numbers are the same
				Src:      audit.GroupList{Groups: c.GetSrcGroups(), Sets: c.GetSrcSets()},
				Dst:      audit.GroupList{Groups: c.GetDstGroups(), Sets: c.GetDstSets()},
				SrcCIDRs: prefixes(t, c.GetSrcCidrs()), DstCIDRs: prefixes(t, c.GetDstCidrs()),
				Ports: ports(c.GetPorts()), Before: changeState(c.GetBefore()), After: changeState(c.GetAfter()),
			}})
		}
	}
	reading := audittest.ReadDiff(groups, items, false)
	if len(reading.Broken) > 0 {
		t.Fatalf("the difference breaks %q", reading.Broken)
	}
	return reading
}

func group(t *testing.T, g *netpoldv1.Group) audit.Group {
	t.Helper()
	to := audit.Group{
		ID: g.GetId(), Kind: audit.GroupKind(g.GetKind()), //nolint:gosec // the numbers are the same
		Namespace: g.GetNamespace(), Families: families(g.GetFamilies()),
		Workload: engine.Workload{Kind: g.GetWorkload().GetKind(), Name: g.GetWorkload().GetName()},
		Partial:  g.GetPartial(), IsolatedEgress: g.GetIsolatedEgress(), IsolatedIngress: g.GetIsolatedIngress(),
		Presence: audit.Presence(g.GetPresence()), //nolint:gosec // the numbers are the same
	}
	for _, m := range g.GetMembers() {
		member := audit.Member{Name: m.GetName(), Node: m.GetNode()}
		for _, ip := range m.GetIps() {
			member.IPs = append(member.IPs, netip.MustParseAddr(ip))
		}
		to.Members = append(to.Members, member)
	}
	return to
}

func changeState(s *netpoldv1.ChangeState) audit.ChangeState {
	return audit.ChangeState{Allowed: s.GetAllowed(), Families: families(s.GetFamilies())}
}

func families(list []netpoldv1.IpFamily) (f engine.Families) {
	for _, one := range list {
		switch one {
		case netpoldv1.IpFamily_IP_FAMILY_IPV4:
			f |= engine.IPv4
		case netpoldv1.IpFamily_IP_FAMILY_IPV6:
			f |= engine.IPv6
		case netpoldv1.IpFamily_IP_FAMILY_UNSPECIFIED:
		}
	}
	return f
}

func protocol(p netpoldv1.Protocol) engine.Protocol {
	return engine.Protocol(p - netpoldv1.Protocol_PROTOCOL_TCP) //nolint:gosec // the order is the same
}

func ports(list []*netpoldv1.PortRange) []audit.PortRange {
	var to []audit.PortRange
	for _, p := range list {
		to = append(to, audit.PortRange{
			Protocol: protocol(p.GetProtocol()),
			First:    uint16(p.GetFirst()), Last: uint16(p.GetLast()), //nolint:gosec // ports
		})
	}
	return to
}

func prefixes(t *testing.T, texts []string) []netip.Prefix {
	t.Helper()
	var list []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}
