package server_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
)

// The whole response over the wire: verdict, reason, both sides, families and the state.
func TestResponses(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	open := &netpoldv1.Side{Allowed: true}
	tier := netpoldv1.Tier_TIER_NETWORK_POLICY
	v4, v6 := netpoldv1.IpFamily_IP_FAMILY_IPV4, netpoldv1.IpFamily_IP_FAMILY_IPV6
	for name, test := range map[string]struct {
		question *netpoldv1.AllowedRequest
		want     *netpoldv1.AllowedResponse
	}{
		"allowed by the second rule (S14)": {ask(), &netpoldv1.AllowedResponse{
			Allowed: true, Reason: netpoldv1.Reason_REASON_ALLOWED_BY_RULE, Egress: open,
			Ingress: &netpoldv1.Side{Allowed: true, Isolated: true, Policy: "shop/cart", RuleIndex: new(uint32(1)),
				Tier: tier, Kind: "NetworkPolicy"},
			Families: []netpoldv1.IpFamily{v4, v6},
		}},
		"denied, by IP (S9)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.1.4"), Dst: netpold.IP("10.0.3.7"), Port: 1},
			&netpoldv1.AllowedResponse{
				Reason: netpoldv1.Reason_REASON_DENIED_AT_INGRESS, Egress: open,
				Ingress: &netpoldv1.Side{Isolated: true, IsolatedBy: []string{"shop/cart", "shop/default-deny"},
					IsolatedByTotal: 2, Tier: tier},
			},
		},
		"self (S2)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.7"), Dst: netpold.IP("10.0.3.7"), Port: 1},
			&netpoldv1.AllowedResponse{
				Allowed: true, Reason: netpoldv1.Reason_REASON_SELF, Egress: open,
				Ingress: &netpoldv1.Side{Allowed: true, Isolated: true},
			},
		},
		"nothing isolates (S13)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.3.7"), Dst: netpold.IP("192.0.2.1"), Port: 1},
			&netpoldv1.AllowedResponse{
				Allowed: true, Reason: netpoldv1.Reason_REASON_NOT_ISOLATED, Egress: open, Ingress: open,
			},
		},
		"all Pods of a workload (S27)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.1.4"), Dst: netpold.Workload("shop", "Deployment", "cart"),
				Port: 8080},
			&netpoldv1.AllowedResponse{
				Allowed: true, Reason: netpoldv1.Reason_REASON_ALLOWED_BY_RULE, Egress: open,
				Ingress: &netpoldv1.Side{Allowed: true, Isolated: true, Policy: "shop/cart",
					RuleIndex: new(uint32(1)), Tier: tier, Kind: "NetworkPolicy"},
				Families:        []netpoldv1.IpFamily{v4},
				BackendsAllowed: 2, BackendsTotal: 2,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := r.decisions().Allowed(soon(t), test.question)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Revision, test.want.Token = 1, "servertest:1"
			if diff := cmp.Diff(test.want, got, protocmp.Transform()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestIsolatedByIsBounded proves that an answer names some of many isolating policies, and their number.
func TestIsolatedByIsBounded(t *testing.T) {
	objects := shop()
	for i := range 100 {
		objects = append(objects, &engine.Policy{Namespace: "shop", Name: "deny-" + strconv.Itoa(100+i),
			IsolatesIngress: true})
	}
	question := byIP()
	question.Port = 1
	got, err := decisions.New(synced(objects...), decisions.Options{}).Allowed(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	if names, total := got.GetIngress().GetIsolatedBy(),
		got.GetIngress().GetIsolatedByTotal(); len(names) != 16 || total < 100 {
		t.Errorf("%d names of %d", len(names), total)
	}
}

// S50, S51: a rule of a cluster-wide policy that decides is named with its tier, kind, name and priority, and
// NetworkPolicies that isolate beside it are not blamed.
func TestResponsesWithClusterPolicies(t *testing.T) {
	t.Parallel()
	everything := engine.Rule{Peers: []engine.Peer{{Namespaces: &engine.Selector{}}}}
	noCart := &engine.ClusterPolicy{
		Kind: engine.ClusterNetworkPolicy, Name: "no-cart", Tier: engine.Admin, Priority: 10,
		Ingress: []engine.ClusterRule{
			{Action: engine.Deny, Rule: engine.Rule{Peers: everything.Peers,
				Ports: []engine.Port{{First: 1, Last: 1}}}, Name: "to-one"},
		},
	}
	last := &engine.ClusterPolicy{
		Kind: engine.BaselineAdminNetworkPolicy, Name: "default", Tier: engine.Baseline,
		Egress: []engine.ClusterRule{{Action: engine.Allow, Rule: everything}},
	}
	question := byIP()
	question.Port = 1
	service := decisions.New(synced(append(shop(), noCart, last)...), decisions.Options{})
	got, err := service.Allowed(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	want := &netpoldv1.AllowedResponse{
		Reason: netpoldv1.Reason_REASON_DENIED_AT_INGRESS, Revision: 1, Token: "servertest:1",
		Egress: &netpoldv1.Side{
			Allowed: true, Policy: "default", RuleIndex: new(uint32(0)), Kind: "BaselineAdminNetworkPolicy",
			Tier: netpoldv1.Tier_TIER_BASELINE,
		},
		Ingress: &netpoldv1.Side{
			Isolated: true, Policy: "no-cart", RuleIndex: new(uint32(0)), RuleName: "to-one", Priority: new(int32(10)),
			Kind: "ClusterNetworkPolicy", Tier: netpoldv1.Tier_TIER_ADMIN,
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
