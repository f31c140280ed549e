package cli_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/netpold/netpold/cmd/cli"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// TestAnswerText renders answers that few clusters give, as check prints them.
func TestAnswerText(t *testing.T) {
	t.Parallel()
	const question = `{"src":{"ip":"10.0.0.9"},"dst":{"ip":"10.96.0.2"},"port":80}`
	for name, test := range map[string]struct{ question, answer, want string }{
		"S24 a Pod and an endpoint behind a Service's address": {question,
			`{"allowed":true,"reason":"REASON_ALLOWED_BY_RULE",
			"src":{"kind":"RESOLVED_KIND_POD","namespace":"shop","name":"web-0","ip":"10.0.0.9","node":"node-1",
				"workload":{"namespace":"shop","kind":"Deployment","name":"web"}},
			"dst":{"kind":"RESOLVED_KIND_POD","namespace":"shop","name":"cart-0","ip":"10.0.0.2","service":{"namespace":"shop","name":"cart"}},
			"port":8080,"protocol":"PROTOCOL_TCP",
			"egress":{"allowed":true},"ingress":{"allowed":true,"isolated":true,"policy":"shop/cart","rule_index":10},
			"backends_allowed":2,"backends_total":2,"families":["IP_FAMILY_IPV4"],"revision":7}`, `
allowed  10.0.0.9 -> 10.96.0.2 80/TCP
  from:     shop/web-0, a Pod of deploy/shop/web on Node node-1, 10.0.0.9
  to:       shop/cart-0, a Pod, 10.0.0.2, behind svc/shop/cart, port 8080/TCP
  egress:   allowed: no policy isolates the source
  ingress:  allowed by rule 10 (11th) of policy shop/cart
  families: IPv4
  backends: 2 of 2 pairs of source and destination are allowed; above, the first
  revision: 7
`},
		"S4 S8 from outside to a Pod in its Node's network": {question,
			`{"allowed":true,"reason":"REASON_NOT_ISOLATED",
			"src":{"kind":"RESOLVED_KIND_EXTERNAL","ip":"10.0.0.9"},
			"dst":{"kind":"RESOLVED_KIND_HOST_NETWORK_POD","namespace":"kube-system","name":"proxy-0","node":"node-1","ip":"10.96.0.2"},
			"port":80,"protocol":"PROTOCOL_TCP","egress":{"allowed":true},"ingress":{"allowed":true},"revision":7}`, `
allowed  10.0.0.9 -> 10.96.0.2 80/TCP
  from:     10.0.0.9, outside the cluster
  to:       kube-system/proxy-0, a host-network Pod on Node node-1, 10.96.0.2
  egress:   allowed: no policy can select what is outside the cluster
  ingress:  allowed: no policy can select a host-network Pod
  revision: 7
`},
		"S52 rules of cluster-wide policies": {question, `{"reason":"REASON_DENIED_AT_EGRESS",
			"egress":{"policy":"no-db","kind":"ClusterNetworkPolicy","tier":"TIER_ADMIN","priority":10,"rule_index":3,"rule_name":"to-db"},
			"ingress":{"allowed":true,"policy":"default","kind":"BaselineAdminNetworkPolicy","tier":"TIER_BASELINE","rule_index":0},
			"revision":7}`, `
denied   10.0.0.9 -> 10.96.0.2 80/TCP
  egress:   denied by ClusterNetworkPolicy no-db (Admin, priority 10), rule 3 "to-db"
  ingress:  allowed by BaselineAdminNetworkPolicy default (Baseline), rule 0 (first)
  revision: 7
`},
		"S51 a Pod to itself that a rule of the Admin tier allows": {question,
			`{"allowed":true,"reason":"REASON_SELF",
			"egress":{"allowed":true,"policy":"open","kind":"AdminNetworkPolicy","tier":"TIER_ADMIN","priority":0,"rule_index":0},
			"ingress":{"allowed":true},"revision":7}`, `
allowed  10.0.0.9 -> 10.96.0.2 80/TCP
  reason:   a Pod to itself, which no NetworkPolicy denies
  egress:   allowed by AdminNetworkPolicy open (Admin, priority 0), rule 0 (first)
  revision: 7
`},
		"S51 a Pod to its Node that a rule of the Baseline tier allows": {question,
			`{"allowed":true,"reason":"REASON_LOCAL_NODE",
			"egress":{"allowed":true,"policy":"default","kind":"BaselineAdminNetworkPolicy","tier":"TIER_BASELINE","rule_index":0},
			"ingress":{"allowed":true},"revision":7}`, `
allowed  10.0.0.9 -> 10.96.0.2 80/TCP
  reason:   a Pod to the Node it runs on, which no NetworkPolicy denies
  egress:   allowed by BaselineAdminNetworkPolicy default (Baseline), rule 0 (first)
  revision: 7
`},
		"S44 a side that is exempt in its tier alone": {question,
			`{"reason":"REASON_DENIED_AT_EGRESS",
			"egress":{"isolated":true,"policy":"no-self","kind":"ClusterNetworkPolicy","tier":"TIER_ADMIN","priority":1,"rule_index":0},
			"ingress":{"allowed":true,"isolated":true,"tier":"TIER_NETWORK_POLICY"},"revision":7}`, `
denied   10.0.0.9 -> 10.96.0.2 80/TCP
  egress:   denied by ClusterNetworkPolicy no-self (Admin, priority 1), rule 0 (first)
  ingress:  allowed: policies isolate the destination, but not from itself through a Service
  revision: 7
`},
		"S14 a side that joined directions allow": {question,
			`{"reason":"REASON_DENIED_AT_INGRESS",
			"src":{"kind":"RESOLVED_KIND_POD","namespace":"shop","name":"web","ip":"10.0.0.9"},
			"dst":{"kind":"RESOLVED_KIND_POD","namespace":"shop","name":"api","ip":"10.96.0.2"},
			"egress":{"allowed":true,"isolated":true,"tier":"TIER_NETWORK_POLICY"},
			"ingress":{"isolated":true,"isolated_by":["shop/a"],"isolated_by_total":1,"tier":"TIER_NETWORK_POLICY"},"revision":7}`, `
denied   10.0.0.9 -> 10.96.0.2 80/TCP
  from:     shop/web, a Pod, 10.0.0.9
  to:       shop/api, a Pod, 10.96.0.2
  egress:   allowed by a rule for the other direction of a policy that selects both ends
  ingress:  denied: policy shop/a isolates the destination, and no rule of it matches
  revision: 7
`},
		"S14 a Node denied by many policies, stale": {question, `{"reason":"REASON_DENIED_AT_INGRESS",
			"src":{"kind":"RESOLVED_KIND_NODE","node":"node-1","ip":"10.0.0.9"},
			"dst":{"kind":"RESOLVED_KIND_HYPOTHETICAL","namespace":"shop"},"port":80,"protocol":"PROTOCOL_TCP","egress":{"allowed":true},
			"ingress":{"isolated":true,"isolated_by":["shop/a","shop/b"],"isolated_by_total":20},"stale":true,"revision":7}`, `
denied   10.0.0.9 -> 10.96.0.2 80/TCP
  from:     the Node node-1, 10.0.0.9
  to:       any Pod of namespace shop with these labels
  egress:   allowed: no policy can select a Node
  ingress:  denied: 20 policies isolate the destination, and no rule of theirs matches
            shop/a
            shop/b
            and 18 more
  revision: 7
  stale:    the server has not heard of the cluster for too long; see 'netpold status'
`},
		"S24 the Service that was asked is not named again": {
			`{"src":{"ip":"10.0.0.9"},"dst":{"service":{"namespace":"shop","name":"cart"}},"port":80}`,
			`{"allowed":true,"reason":"REASON_NOT_ISOLATED","egress":{"allowed":true},"ingress":{"allowed":true},
			"dst":{"kind":"RESOLVED_KIND_POD","namespace":"shop","name":"cart-0","ip":"10.0.0.2",
				"service":{"namespace":"shop","name":"cart"}},"port":8080,"revision":7}`, `
allowed  10.0.0.9 -> svc/shop/cart 80/TCP
  to:       shop/cart-0, a Pod, 10.0.0.2, port 8080/TCP
  egress:   allowed: no policy isolates the source
  ingress:  allowed: no policy isolates the destination
  revision: 7
`},
		"S22 a protocol that an encoder dropped": {
			question, `{"allowed":true,"reason":"REASON_NOT_ISOLATED","port":80,"protocol":"PROTOCOL_UDP",
			"egress":{"allowed":true},"ingress":{"allowed":true},"dst":{"kind":"RESOLVED_KIND_EXTERNAL","ip":"10.96.0.2"},"revision":7}`, `
allowed  10.0.0.9 -> 10.96.0.2 80/TCP
  to:       10.96.0.2, outside the cluster, port 80/UDP
  egress:   allowed: no policy isolates the source
  ingress:  allowed: no policy can select what is outside the cluster
  revision: 7
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, a := new(netpoldv1.AllowedRequest), new(netpoldv1.AllowedResponse)
			if err := protojson.Unmarshal([]byte(test.question), q); err != nil {
				t.Fatal(err)
			}
			if err := protojson.Unmarshal([]byte(test.answer), a); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), cli.AnswerText(q, a)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestRulesAreNamedAsPeopleCount: policies count their rules from 0, people from the first.
func TestRulesAreNamedAsPeopleCount(t *testing.T) {
	t.Parallel()
	for index, want := range map[uint32]string{
		0: "rule 0 (first)", 9: "rule 9 (tenth)", 10: "rule 10 (11th)", 20: "rule 20 (21st)", 21: "rule 21 (22nd)",
		22:  "rule 22 (23rd)",
		110: "rule 110 (111th)", 111: "rule 111 (112th)", 112: "rule 112 (113th)", 120: "rule 120 (121st)",
	} {
		text := cli.AnswerText(new(netpoldv1.AllowedRequest), &netpoldv1.AllowedResponse{
			Allowed: true, Ingress: &netpoldv1.Side{Allowed: true, Isolated: true, Policy: "a/b", RuleIndex: &index},
		})
		if !strings.Contains(text, "allowed by "+want+" of policy a/b\n") {
			t.Errorf("want %s in\n%s", want, text)
		}
	}
}
