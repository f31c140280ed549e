package engine_test

import (
	"net/netip"
	"testing"

	"github.com/netpold/netpold/engine"
)

// shop returns a small cluster: web may reach db on the port that db names "sql", and nothing else may.
func shop() *engine.Cluster {
	c := engine.NewCluster(engine.Options{})
	pod := func(name, ip string, ports ...engine.NamedPort) engine.Change {
		return engine.Change{Object: &engine.Pod{
			Namespace: "shop", Name: name, Labels: map[string]string{"app": name}, Node: "n1",
			IPs:     []netip.Addr{netip.MustParseAddr(ip)},
			HostIPs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Ports: ports,
		}}
	}
	selector := func(app string) engine.Selector {
		return engine.Selector{{Key: "app", Operator: engine.In, Values: []string{app}}}
	}
	web := selector("web")
	c.Apply(
		pod("web", "10.0.0.1"), pod("other", "10.0.0.2"),
		pod("db", "10.0.0.3", engine.NamedPort{Name: "sql", Port: 5432}),
		engine.Change{Object: &engine.Policy{
			Namespace: "shop", Name: "db", Subject: selector("db"), IsolatesIngress: true,
			Ingress: []engine.Rule{{
				Peers: []engine.Peer{
					{Pods: &web}, {Block: &engine.IPBlock{CIDR: netip.MustParsePrefix("198.51.100.0/24")}},
				},
				Ports: []engine.Port{{Name: "sql"}},
			}},
		}},
	)
	return c
}

func byIP(ip string) engine.Endpoint { return engine.ByIP(netip.MustParseAddr(ip)) }

func TestZeroDecisionDenies(t *testing.T) {
	var d engine.Decision
	if d.Allowed || d.Egress.Allowed || d.Ingress.Allowed {
		t.Fatal("the zero Decision allows")
	}
}

// TestDecisionAllocatesNothing guards the hot path, by address and by name.
func TestDecisionAllocatesNothing(t *testing.T) {
	s := shop().Snapshot()
	for name, q := range map[string]engine.Query{
		"allowed by rule":  {Src: byIP("10.0.0.1"), Dst: byIP("10.0.0.3"), Port: 5432},
		"allowed by block": {Src: byIP("198.51.100.7"), Dst: byIP("10.0.0.3"), Port: 5432},
		"denied":           {Src: byIP("10.0.0.2"), Dst: byIP("10.0.0.3"), Port: 5432},
		"local node":       {Src: byIP("192.0.2.1"), Dst: byIP("10.0.0.3"), Port: 1},
		"allowed by name":  {Src: engine.ByPod("shop", "web"), Dst: engine.ByPod("shop", "db"), Port: 5432},
		"denied by name": {
			Src: engine.ByPod("shop", "other"), Dst: engine.ByPod("shop", "db"), Port: 5432,
		},
		"not isolated":       {Src: byIP("10.0.0.3"), Dst: byIP("10.0.0.1"), Port: 80},
		"between two nobody": {Src: byIP("203.0.113.1"), Dst: byIP("2001:db8::1"), Port: 80},
	} {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, func() { _, _ = s.Allowed(q) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// TestSnapshotsStay shows that a snapshot keeps its answers whatever is applied later (S25).
func TestSnapshotsStay(t *testing.T) {
	c := shop()
	q := engine.Query{Src: byIP("10.0.0.1"), Dst: byIP("10.0.0.3"), Port: 5432}
	before := c.Snapshot()
	after := c.Apply(engine.Change{Object: &engine.Pod{Namespace: "shop", Name: "web"}, Delete: true})
	if d, err := before.Allowed(q); err != nil || d.Reason != engine.AllowedByRule {
		t.Errorf("before: %+v, %v", d, err)
	}
	if d, err := after.Allowed(q); err != nil || d.Reason != engine.DeniedAtIngress {
		t.Errorf("after: %+v, %v", d, err)
	}
	if before.Revision() >= after.Revision() || before.Counts().Pods != 3 || after.Counts().Pods != 2 {
		t.Errorf(
			"revisions %d and %d, counts %+v and %+v", before.Revision(), after.Revision(), before.Counts(),
			after.Counts(),
		)
	}
}
