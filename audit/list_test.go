package audit_test

import (
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
)

// TestListOfOneRule lists two Pods, of which a policy lets one reach both (L1).
func TestListOfOneRule(t *testing.T) {
	app := engine.Selector{{Key: "app", Operator: engine.In, Values: []string{"x"}}}
	s := engine.NewCluster(engine.Options{}).Apply(
		engine.Change{Object: &engine.Pod{Namespace: "a", Name: "x", Labels: map[string]string{"app": "x"}}},
		engine.Change{Object: &engine.Pod{Namespace: "a", Name: "y"}},
		engine.Change{Object: &engine.Policy{
			Namespace: "a", Name: "p", IsolatesIngress: true, Ingress: []engine.Rule{{
				Peers: []engine.Peer{{Pods: &app}}, Ports: []engine.Port{{First: 80, Last: 90}},
			}},
		}},
	)
	l, err := audit.NewList(nil, s, &audit.ListRequest{Src: audit.Ends{Scope: audit.ScopeCluster}})
	if err != nil {
		t.Fatal(err)
	}
	var between []*audit.Connection
	summary, err := l.Connections(nil, func(i audit.Item) bool {
		if i.Connection != nil && i.Connection.DstCIDRs == nil {
			between = append(between, i.Connection)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(between) != 1 || len(between[0].Src.Groups) != 1 || len(between[0].Dst.Groups) != 2 ||
		len(between[0].Ports) != 1 || between[0].Ports[0] != (audit.PortRange{First: 80, Last: 90}) {
		t.Errorf("connections %+v", between)
	}
	if summary.PairsAllowed != 1 || summary.PairsTotal != 2 || summary.Groups != 2 || summary.Truncated {
		t.Errorf("summary %+v", summary)
	}
}
