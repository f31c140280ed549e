// Package report tests the HTML report in a real browser. It is a module of its own, so that the client that
// drives the browser does not reach netpold.
package report

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A Cluster is made up: what a list or a difference of it would say, without netpold having decided any of
// it. The same size gives the same messages.
type Cluster struct {
	random *rand.Rand
	groups []*netpoldv1.Group
	// open are the ids of groups that nothing isolates; each may reach each.
	open []uint32
}

// NewCluster returns a cluster with so many workloads, in namespaces of twelve.
func NewCluster(workloads int) *Cluster {
	c := &Cluster{random: rand.New(rand.NewPCG(1, uint64(workloads)))} //nolint:gosec // not a secret
	namespaces := (workloads + 11) / 12
	teams := []string{"shop", "pay", "mail", "search", "data", "auth", "ops", "media", "stock", "maps"}
	for n := range namespaces {
		name := teams[n%len(teams)]
		if namespaces > 1 {
			name = fmt.Sprintf("%s-%03d", name, n)
		}
		for range min(12, workloads-len(c.groups)) {
			c.add(name, n)
		}
	}
	return c
}

var workloadNames = []string{
	"frontend", "cart", "checkout", "catalog", "payment", "shipping", "email", "currency", "recommendation",
	"ads", "loadgenerator", "redis",
}

// add adds a workload of the namespace. Every third namespace is not isolated.
func (c *Cluster) add(namespace string, place int) {
	id := len(c.groups)
	name := workloadNames[id%len(workloadNames)]
	kind := "Deployment"
	if name == "redis" {
		kind = "StatefulSet"
	}
	g := &netpoldv1.Group{
		Id: uint32(
			id + 1,
		), Kind: netpoldv1.GroupKind_GROUP_KIND_POD, Namespace: namespace, //nolint:gosec // an index
		Workload: &netpoldv1.WorkloadRef{Namespace: namespace, Kind: kind, Name: name},
		Families: []netpoldv1.IpFamily{netpoldv1.IpFamily_IP_FAMILY_IPV4},
	}
	g.IsolatedEgress = place%3 != 1 && name != "loadgenerator"
	g.IsolatedIngress = place%3 != 1
	for i := range 1 + c.random.IntN(4) {
		g.Members = append(g.Members, &netpoldv1.Member{
			Name: fmt.Sprintf("%s-%d", name, i), Node: fmt.Sprintf("node-%d", i),
			Ips: []string{fmt.Sprintf("10.%d.%d.%d", id/250, id%250, i+1)},
		})
	}
	c.groups = append(c.groups, g)
	if !g.IsolatedEgress && !g.IsolatedIngress {
		c.open = append(c.open, g.GetId())
	}
}

// List returns the messages of a list of the cluster.
func (c *Cluster) List() []*netpoldv1.ListConnectionsResponse {
	messages := []*netpoldv1.ListConnectionsResponse{
		{Item: &netpoldv1.ListConnectionsResponse_Header{Header: c.header()}},
	}
	for _, g := range c.groups {
		messages = append(messages, &netpoldv1.ListConnectionsResponse{
			Item: &netpoldv1.ListConnectionsResponse_Group{Group: g},
		})
	}
	if len(c.open) > 0 {
		set := &netpoldv1.Set{Id: 1, Groups: c.open}
		messages = append(messages, &netpoldv1.ListConnectionsResponse{
			Item: &netpoldv1.ListConnectionsResponse_Set{Set: set},
		})
	}
	connections := c.connections()
	for _, connection := range connections {
		messages = append(messages, &netpoldv1.ListConnectionsResponse{
			Item: &netpoldv1.ListConnectionsResponse_Connection{Connection: connection},
		})
	}
	for _, e := range c.exposures() {
		messages = append(messages, &netpoldv1.ListConnectionsResponse{
			Item: &netpoldv1.ListConnectionsResponse_Exposure{Exposure: e},
		})
	}
	return append(messages, &netpoldv1.ListConnectionsResponse{
		Item: &netpoldv1.ListConnectionsResponse_Summary{Summary: &netpoldv1.ListSummary{
			Groups: uint32(len(c.groups)), Connections: uint64(len(connections)), //nolint:gosec // a count
			PairsAllowed: 1234, PairsTotal: 56789, Took: durationpb.New(time.Millisecond),
		}},
	})
}

func (c *Cluster) header() *netpoldv1.AuditHeader {
	return &netpoldv1.AuditHeader{
		Revision: 42, Token: "t", Source: "manifests of examples", IpblockMatchesPods: true,
		SnapshotTime: timestamppb.New(time.Date(2026, 3, 1, 12, 30, 5, 0, time.UTC)),
		Objects: &netpoldv1.ObjectCounts{
			NetworkPolicies: uint32(len(c.groups) + 1),
		}, //nolint:gosec // a count
	}
}

func ports(list ...uint32) []*netpoldv1.PortRange {
	out := make([]*netpoldv1.PortRange, len(list))
	for i, port := range list {
		out[i] = &netpoldv1.PortRange{Protocol: netpoldv1.Protocol_PROTOCOL_TCP, First: port, Last: port}
	}
	return out
}

func allPorts() []*netpoldv1.PortRange {
	var out []*netpoldv1.PortRange
	for _, p := range []netpoldv1.Protocol{1, 2, 3} {
		out = append(out, &netpoldv1.PortRange{Protocol: p, First: 1, Last: 65535})
	}
	return out
}

// connections returns: all that is not isolated reaches itself and the outside; in each other namespace the
// calls of a shop, its DNS, and now and then a call to another namespace.
func (c *Cluster) connections() []*netpoldv1.Connection {
	v4 := []netpoldv1.IpFamily{netpoldv1.IpFamily_IP_FAMILY_IPV4}
	var out []*netpoldv1.Connection
	if len(c.open) > 0 {
		out = append(
			out,
			&netpoldv1.Connection{
				SrcSets:  []uint32{1},
				DstSets:  []uint32{1},
				Ports:    allPorts(),
				Families: v4,
			},
			&netpoldv1.Connection{
				SrcSets:  []uint32{1},
				DstCidrs: []string{"0.0.0.0/0"},
				Ports:    allPorts(),
				Families: v4,
			},
			&netpoldv1.Connection{
				SrcCidrs: []string{"0.0.0.0/0"},
				DstSets:  []uint32{1},
				Ports:    allPorts(),
				Families: v4,
			},
		)
	}
	for _, g := range c.groups {
		if !g.GetIsolatedIngress() {
			continue
		}
		name := g.GetWorkload().GetName()
		by := &netpoldv1.RuleRef{
			Kind: "NetworkPolicy", Namespace: g.GetNamespace(), Name: name,
			Direction: netpoldv1.Direction_DIRECTION_INGRESS,
		}
		if name == "frontend" {
			out = append(out, &netpoldv1.Connection{
				SrcCidrs: []string{
					"0.0.0.0/0",
				}, DstGroups: []uint32{g.GetId()}, Ports: ports(8080, 8443), Families: v4, IngressBy: by,
			})
		}
		for _, other := range c.groups {
			if c.reaches(other, g) {
				out = append(out, &netpoldv1.Connection{
					SrcGroups: []uint32{
						other.GetId(),
					}, DstGroups: []uint32{g.GetId()}, Families: v4, IngressBy: by,
					Ports: ports(7000+g.GetId()%12, 9090), EgressBy: &netpoldv1.RuleRef{
						Kind: "NetworkPolicy", Namespace: other.GetNamespace(), Name: other.GetWorkload().GetName(),
						Direction: netpoldv1.Direction_DIRECTION_EGRESS, RuleIndex: 1,
					},
				})
			}
		}
	}
	return out
}

// reaches reports whether an isolated workload admits another: those three places before it in its namespace,
// and one in eighty of elsewhere.
func (c *Cluster) reaches(src, dst *netpoldv1.Group) bool {
	if src == dst {
		return false
	}
	if src.GetNamespace() == dst.GetNamespace() {
		return src.GetId() < dst.GetId() && dst.GetId() <= src.GetId()+3
	}
	return c.random.IntN(80*(1+len(c.groups)/200)) == 0
}

func (c *Cluster) exposures() []*netpoldv1.Exposure {
	var out []*netpoldv1.Exposure
	for _, g := range c.groups {
		if !g.GetIsolatedIngress() {
			out = append(out, &netpoldv1.Exposure{
				Group: g.GetId(), Direction: netpoldv1.Direction_DIRECTION_INGRESS, Ports: allPorts(),
			})
		} else if g.GetWorkload().GetName() == "ads" {
			out = append(out, &netpoldv1.Exposure{
				Group: g.GetId(), Direction: netpoldv1.Direction_DIRECTION_INGRESS, Ports: ports(9090),
				Namespaces: "kubernetes.io/metadata.name=monitoring", Pods: "app in (prometheus,thanos)",
			})
		}
	}
	return out
}

// Diff returns the messages of a difference: every fifth workload is opened to the one after it, every
// seventh closed, and the last is new.
func (c *Cluster) Diff() []*netpoldv1.SimulateResponse {
	messages := []*netpoldv1.SimulateResponse{{Item: &netpoldv1.SimulateResponse_Header{Header: c.header()}}}
	for i, g := range c.groups {
		g.Presence = netpoldv1.Presence_PRESENCE_BOTH
		if i == len(c.groups)-1 {
			g.Presence = netpoldv1.Presence_PRESENCE_AFTER
		}
		messages = append(
			messages,
			&netpoldv1.SimulateResponse{Item: &netpoldv1.SimulateResponse_Group{Group: g}},
		)
	}
	summary := &netpoldv1.SimulateSummary{
		PoliciesChanged: []string{"shop/frontend"},
		PoliciesAdded:   []string{"shop/extra"},
	}
	v4 := &netpoldv1.ChangeState{
		Allowed:  true,
		Families: []netpoldv1.IpFamily{netpoldv1.IpFamily_IP_FAMILY_IPV4},
	}
	change := func(kind netpoldv1.ChangeKind, src, dst *netpoldv1.Group, list []*netpoldv1.PortRange) {
		m := &netpoldv1.Change{
			Kind: kind, SrcGroups: []uint32{src.GetId()}, DstGroups: []uint32{dst.GetId()}, Ports: list,
			Before: &netpoldv1.ChangeState{}, After: &netpoldv1.ChangeState{},
		}
		rules := &netpoldv1.ChangeRules{Ingress: &netpoldv1.RuleRef{
			Kind: "NetworkPolicy", Namespace: dst.GetNamespace(), Name: dst.GetWorkload().GetName(),
		}}
		if kind == netpoldv1.ChangeKind_CHANGE_KIND_OPENED {
			m.After, m.AfterBy = v4, rules
			summary.Opened++
		} else {
			m.Before, m.BeforeBy = v4, rules
			summary.Closed++
		}
		messages = append(
			messages,
			&netpoldv1.SimulateResponse{Item: &netpoldv1.SimulateResponse_Change{Change: m}},
		)
	}
	for i := 0; i+1 < len(c.groups); i++ {
		if i%5 == 0 {
			change(netpoldv1.ChangeKind_CHANGE_KIND_OPENED, c.groups[i], c.groups[i+1], ports(8080))
		}
		if i%7 == 0 {
			change(netpoldv1.ChangeKind_CHANGE_KIND_CLOSED, c.groups[i], c.groups[i+1], ports(9090))
		}
	}
	return append(
		messages,
		&netpoldv1.SimulateResponse{Item: &netpoldv1.SimulateResponse_Summary{Summary: summary}},
	)
}

// Hostile are names that no API server lets through and that manifests may hold all the same.
var Hostile = []string{
	"<script>alert(1)</script>", "</script><script>document.title='taken'</script>",
	`"><img src=x onerror=alert(1)>`,
	"<!--", "-->", "'; alert(1); '", "a\u202egnp.exe", "\u200fright\u200eleft",
	"line\u2028break\nnew", "&lt;b&gt;",
	"__proto__", strings.Repeat("long-name-", 25) + "xyz", "\u05e9\u05dc\u05d5\u05dd",
}

// NewHostile returns a cluster whose workloads, namespaces, Pods and policies have hostile names.
func NewHostile() *Cluster {
	c := NewCluster(len(Hostile))
	for i, g := range c.groups {
		name := Hostile[i]
		g.Namespace, g.Workload.Namespace, g.Workload.Name = name, name, name
		g.Members[0].Name, g.Members[0].Node = name, name
	}
	return c
}
