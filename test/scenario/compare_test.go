package scenario_test

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/scenario"
)

func want(t *testing.T, expected string) scenario.Want {
	t.Helper()
	questions, err := scenario.ParseQuestions("10.0.0.1 -> 10.0.0.2 80 = " + expected)
	if err != nil {
		t.Fatal(err)
	}
	return questions[0].Want
}

func response(change func(*netpoldv1.AllowedResponse)) *netpoldv1.BatchAnswer {
	r := &netpoldv1.AllowedResponse{
		Allowed: true, Reason: netpoldv1.Reason_REASON_ALLOWED_BY_RULE,
		Egress:   &netpoldv1.Side{Allowed: true},
		Ingress:  side("shop/web", 1),
		Families: []netpoldv1.IpFamily{netpoldv1.IpFamily_IP_FAMILY_IPV4}, BackendsAllowed: 2, BackendsTotal: 2,
	}
	change(r)
	return &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: r}}
}

// side returns a side that a rule of a NetworkPolicy allows.
func side(policy string, rule uint32) *netpoldv1.Side {
	return &netpoldv1.Side{
		Allowed: true, Isolated: true, Policy: policy, RuleIndex: &rule, Kind: "NetworkPolicy",
		Tier: netpoldv1.Tier_TIER_NETWORK_POLICY,
	}
}

func failure(t *testing.T, code codes.Code, details ...*errdetails.ErrorInfo) *netpoldv1.BatchAnswer {
	t.Helper()
	st := status.New(code, "failed")
	for _, d := range details {
		var err error
		if st, err = st.WithDetails(d); err != nil {
			t.Fatal(err)
		}
	}
	return &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: st.Proto()}}
}

func TestCompareEqual(t *testing.T) {
	const all = "allowed ALLOWED_BY_RULE egress=- egress_tier=- ingress=shop/web#1 ingress_tier=NETWORK_POLICY families=4 backends=2/2"
	same := response(func(*netpoldv1.AllowedResponse) {})
	if d := want(t, all).Compare(same); len(d) != 0 {
		t.Errorf("differences of what is equal: %v", d)
	}
	if d := want(t, "allowed ALLOWED_BY_RULE").Compare(same); len(d) != 0 {
		t.Errorf("differences of what is not given: %v", d)
	}
}

// TestCompareTells proves that each difference is seen: one changed field gives one difference.
func TestCompareTells(t *testing.T) {
	const all = "allowed ALLOWED_BY_RULE egress=- egress_tier=- ingress=shop/web#1 ingress_tier=NETWORK_POLICY families=4 backends=2/2"
	for name, change := range map[string]func(*netpoldv1.AllowedResponse){
		"reason": func(r *netpoldv1.AllowedResponse) {
			r.Reason = netpoldv1.Reason_REASON_SELF
		},
		"ingress": func(r *netpoldv1.AllowedResponse) {
			r.Ingress.RuleIndex = proto.Uint32(0)
		},
		"egress_tier": func(r *netpoldv1.AllowedResponse) {
			r.Egress.Tier = netpoldv1.Tier_TIER_ADMIN
		},
		"ingress: got shop/web#1:first": func(r *netpoldv1.AllowedResponse) { r.Ingress.RuleName = "first" },
		"a kind is told with its policy": func(r *netpoldv1.AllowedResponse) {
			r.Egress.Kind = "ClusterNetworkPolicy"
		},
		"families": func(r *netpoldv1.AllowedResponse) {
			r.Families = append(r.Families, netpoldv1.IpFamily_IP_FAMILY_IPV6)
		},
		"backends": func(r *netpoldv1.AllowedResponse) { r.BackendsTotal = 3 },
		"a rule is told with its policy": func(r *netpoldv1.AllowedResponse) {
			r.Egress.RuleIndex = proto.Uint32(0)
		},
		"both sides allow": func(r *netpoldv1.AllowedResponse) {
			r.Ingress.Allowed, r.Ingress.IsolatedBy = false, []string{"shop/deny"}
		},
		"isolated_by is told": func(r *netpoldv1.AllowedResponse) { r.Egress.IsolatedBy = []string{"shop/deny"} },
	} {
		d := want(t, all).Compare(response(change))
		if len(d) != 1 || !strings.HasPrefix(d[0], name) {
			t.Errorf("with another %s the differences are %q", name, d)
		}
	}
	denied := want(t, "denied DENIED_AT_INGRESS isolated_by=shop/web").
		Compare(response(func(r *netpoldv1.AllowedResponse) {
			r.Allowed, r.Reason, r.Ingress = false, netpoldv1.Reason_REASON_DENIED_AT_INGRESS, &netpoldv1.Side{
				IsolatedBy: []string{"shop/other"}, Tier: netpoldv1.Tier_TIER_NETWORK_POLICY,
			}
		}))
	if len(denied) != 1 || !strings.HasPrefix(denied[0], "isolated_by") {
		t.Errorf("with another isolating policy the differences are %q", denied)
	}
}

func TestCompareErrors(t *testing.T) {
	const wanted = "error NOT_FOUND POD_FINISHED dst"
	info := func(reason, field string) *errdetails.ErrorInfo {
		return &errdetails.ErrorInfo{Domain: "netpold", Reason: reason, Metadata: map[string]string{"field": field}}
	}
	for _, test := range []struct {
		name   string
		answer *netpoldv1.BatchAnswer
		want   string
	}{
		{"alone", failure(t, codes.NotFound, info("POD_FINISHED", "dst.pod")), ""},
		{"in a batch", failure(t, codes.NotFound, info("POD_FINISHED", "questions[3].dst.pod")), ""},
		{"the other end", failure(t, codes.NotFound, info("POD_FINISHED", "src.pod")), "end: "},
		{"another reason", failure(t, codes.NotFound, info("NOT_FOUND", "dst.pod")), "reason: "},
		{"another code", failure(t, codes.Internal, info("POD_FINISHED", "dst.pod")), "code: "},
		{"a decision", response(func(*netpoldv1.AllowedResponse) {}), "got allowed=true"},
		{"nothing", &netpoldv1.BatchAnswer{}, "there is no answer"},
	} {
		d := strings.Join(want(t, wanted).Compare(test.answer), "\n")
		if (d == "") != (test.want == "") || !strings.HasPrefix(d, test.want) {
			t.Errorf("%s: differences are %q, want %q", test.name, d, test.want)
		}
	}
	if d := want(t, "allowed SELF").
		Compare(failure(t, codes.NotFound)); len(d) != 1 || !strings.HasPrefix(d[0], "got error NotFound") {
		t.Errorf("an error in place of a decision: differences are %q", d)
	}
}
