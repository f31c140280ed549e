package render_test

import (
	"strings"
	"testing"

	"github.com/netpold/netpold/cmd/render"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const (
	ipv4 = netpoldv1.IpFamily_IP_FAMILY_IPV4
	ipv6 = netpoldv1.IpFamily_IP_FAMILY_IPV6
	tcp  = netpoldv1.Protocol_PROTOCOL_TCP
	udp  = netpoldv1.Protocol_PROTOCOL_UDP
	sctp = netpoldv1.Protocol_PROTOCOL_SCTP
)

func portRange(p netpoldv1.Protocol, first, last uint32) *netpoldv1.PortRange {
	return &netpoldv1.PortRange{Protocol: p, First: first, Last: last}
}

func allPorts() []*netpoldv1.PortRange {
	return []*netpoldv1.PortRange{portRange(tcp, 1, 65535), portRange(udp, 1, 65535), portRange(sctp, 1, 65535)}
}

// A script collects hand-made messages.
type script struct {
	messages []*netpoldv1.ListConnectionsResponse
	groups   uint32
	kind     netpoldv1.GroupKind
}

func (s *script) header() {
	s.messages = append(s.messages, &netpoldv1.ListConnectionsResponse{Item: &netpoldv1.ListConnectionsResponse_Header{
		Header: &netpoldv1.AuditHeader{Revision: 7, Objects: &netpoldv1.ObjectCounts{Nodes: 3, Services: 1}},
	}})
}

// group adds a group of Pods of a Deployment, or of one Pod of none if workload is empty.
func (s *script) group(namespace, workload string, families []netpoldv1.IpFamily, isolated bool, members ...string) {
	s.groups++
	g := &netpoldv1.Group{
		Id: s.groups, Kind: netpoldv1.GroupKind_GROUP_KIND_POD, Namespace: namespace, Families: families,
		IsolatedEgress: isolated, IsolatedIngress: isolated,
	}
	if s.kind != 0 {
		g.Kind = s.kind
	}
	if workload != "" {
		g.Workload = &netpoldv1.WorkloadRef{Namespace: namespace, Kind: "Deployment", Name: workload}
	}
	for _, name := range members {
		g.Members = append(g.Members, &netpoldv1.Member{Name: name})
	}
	s.messages = append(s.messages,
		&netpoldv1.ListConnectionsResponse{Item: &netpoldv1.ListConnectionsResponse_Group{Group: g}})
}

func (s *script) set(id uint32, groups ...uint32) {
	s.messages = append(s.messages, &netpoldv1.ListConnectionsResponse{Item: &netpoldv1.ListConnectionsResponse_Set{
		Set: &netpoldv1.Set{Id: id, Groups: groups},
	}})
}

func (s *script) connect(c *netpoldv1.Connection) {
	s.messages = append(s.messages,
		&netpoldv1.ListConnectionsResponse{Item: &netpoldv1.ListConnectionsResponse_Connection{Connection: c}})
}

func (s *script) summary(summary *netpoldv1.ListSummary) {
	s.messages = append(s.messages,
		&netpoldv1.ListConnectionsResponse{Item: &netpoldv1.ListConnectionsResponse_Summary{Summary: summary}})
}

// list returns what the messages collect to.
func (s *script) list(t *testing.T, request *netpoldv1.ListConnectionsRequest) *render.List {
	t.Helper()
	l := render.NewList(request)
	for _, m := range s.messages {
		if err := l.Add(m); err != nil {
			t.Fatal(err)
		}
	}
	if !l.Complete() {
		t.Fatal("the list has no summary")
	}
	return l
}

// shop is a list with everything that a row can have: a workload in two groups, a set, families that differ,
// CIDRs on both ends, and rules.
func shop() *script {
	v4, both := []netpoldv1.IpFamily{ipv4}, []netpoldv1.IpFamily{ipv4, ipv6}
	s := new(script)
	s.header()
	s.group("shop", "cart", both, true, "cart-0", "cart-1")
	s.group("shop", "cart", both, true, "cart-2", "cart-3")
	s.group("shop", "db", both, true, "db-0")
	s.group("shop", "", v4, false, "bare")
	s.group("web", "front", v4, false, "front-0")
	rule := func(name string, index uint32) *netpoldv1.RuleRef {
		return &netpoldv1.RuleRef{Kind: "NetworkPolicy", Namespace: "shop", Name: name, RuleIndex: index}
	}
	s.connect(&netpoldv1.Connection{
		SrcGroups: []uint32{1}, DstGroups: []uint32{3}, Families: both,
		Ports:     []*netpoldv1.PortRange{portRange(tcp, 80, 80), portRange(tcp, 443, 445), portRange(udp, 53, 53)},
		IngressBy: rule("db", 0), EgressBy: rule("cart", 1),
	})
	s.set(1, 4, 5)
	s.connect(&netpoldv1.Connection{SrcGroups: []uint32{2}, DstGroups: []uint32{3}, Families: []netpoldv1.IpFamily{ipv6},
		Ports: []*netpoldv1.PortRange{portRange(tcp, 80, 80)}})
	s.connect(&netpoldv1.Connection{SrcSets: []uint32{1}, DstSets: []uint32{1}, Families: v4, Ports: allPorts()})
	s.connect(&netpoldv1.Connection{SrcGroups: []uint32{4}, DstGroups: []uint32{1, 2}, Families: v4,
		Ports: []*netpoldv1.PortRange{portRange(tcp, 8080, 8080)}})
	s.connect(&netpoldv1.Connection{SrcSets: []uint32{1}, DstCidrs: []string{"0.0.0.0/0"}, Families: v4, Ports: allPorts()})
	s.connect(&netpoldv1.Connection{SrcCidrs: []string{"203.0.113.0/24", "9.0.0.0/8", "2001:db8::/32"},
		DstGroups: []uint32{5}, Ports: []*netpoldv1.PortRange{portRange(tcp, 443, 443)}})
	s.summary(&netpoldv1.ListSummary{Groups: 5, Connections: 6, PairsAllowed: 9, PairsTotal: 42})
	return s
}

func text(t *testing.T, write func(w *strings.Builder) error) string {
	t.Helper()
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
