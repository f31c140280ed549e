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

// The whole response, over the wire: verdict, reason, both sides, families, what it rests on.
func TestResponses(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	open := &netpoldv1.Side{Allowed: true}
	v4, v6 := netpoldv1.IpFamily_IP_FAMILY_IPV4, netpoldv1.IpFamily_IP_FAMILY_IPV6
	for name, test := range map[string]struct {
		question *netpoldv1.AllowedRequest
		want     *netpoldv1.AllowedResponse
	}{
		"allowed by the second rule (S14)": {ask(), &netpoldv1.AllowedResponse{
			Allowed: true, Reason: netpoldv1.Reason_REASON_ALLOWED_BY_RULE, Egress: open,
			Ingress:  &netpoldv1.Side{Allowed: true, Isolated: true, Policy: "shop/cart", RuleIndex: new(uint32(1))},
			Families: []netpoldv1.IpFamily{v4, v6},
		}},
		"denied, by IP (S9)": {
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.1.4"), Dst: netpold.IP("10.0.3.7"), Port: 1},
			&netpoldv1.AllowedResponse{
				Reason: netpoldv1.Reason_REASON_DENIED_AT_INGRESS, Egress: open,
				Ingress: &netpoldv1.Side{Isolated: true, IsolatedBy: []string{"shop/cart", "shop/default-deny"}, IsolatedByTotal: 2},
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
			&netpoldv1.AllowedRequest{Src: netpold.IP("10.0.1.4"), Dst: netpold.Workload("shop", "Deployment", "cart"), Port: 8080},
			&netpoldv1.AllowedResponse{
				Allowed: true, Reason: netpoldv1.Reason_REASON_ALLOWED_BY_RULE, Egress: open,
				Ingress:         &netpoldv1.Side{Allowed: true, Isolated: true, Policy: "shop/cart", RuleIndex: new(uint32(1))},
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

// TestIsolatedByIsBounded: however many policies isolate, an answer names some and tells how many there are.
func TestIsolatedByIsBounded(t *testing.T) {
	objects := shop()
	for i := range 100 {
		objects = append(objects, &engine.Policy{Namespace: "shop", Name: "deny-" + strconv.Itoa(100+i), IsolatesIngress: true})
	}
	question := byIP()
	question.Port = 1
	got, err := decisions.New(synced(objects...), decisions.Options{}).Allowed(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	if names, total := got.GetIngress().GetIsolatedBy(), got.GetIngress().GetIsolatedByTotal(); len(names) != 16 || total < 100 {
		t.Errorf("%d names of %d", len(names), total)
	}
}
