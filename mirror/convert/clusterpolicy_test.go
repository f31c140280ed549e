package convert

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// clusterObject decodes a cluster-wide policy as an informer does.
func clusterObject(t *testing.T, name, spec string) *unstructured.Unstructured {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(spec))
	if err != nil {
		t.Fatalf("spec %s: %v", spec, err)
	}
	raw, err = json.Marshal(map[string]any{"metadata": map[string]any{"name": name},
		"spec": json.RawMessage(raw)})
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := kjson.Unmarshal(raw, &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

// A policy of each kind with every field, S34 to S43.
func TestClusterPolicyFields(t *testing.T) {
	app := engine.Selector{{Key: "app", Values: []string{"web"}}}
	all := engine.Selector{}
	block := func(cidr string) engine.Peer {
		b, _, _ := prefix(cidr, nil)
		return engine.Peer{Block: &engine.IPBlock{CIDR: prefixOf(b)}}
	}
	tests := map[string]struct {
		kind engine.ClusterPolicyKind
		spec string
		want engine.ClusterPolicy
	}{
		"S30 ClusterNetworkPolicy": {engine.ClusterNetworkPolicy, `
tier: Baseline
priority: 7
subject: {pods: {podSelector: {matchLabels: {app: web}}}}
ingress:
- {name: in, action: Accept, from: [{namespaces: {}}]}
egress:
- name: out
  action: Pass
  to: [{nodes: {matchLabels: {app: web}}}, {networks: [10.0.0.0/8, "fd00::/8"]}, {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}]
  protocols: [{tcp: {destinationPort: {number: 80}}}, {udp: {destinationPort: {range: {start: 1, end: 9}}}}, {sctp: {destinationPort: {number: 5}}}]
- {action: Deny, to: [{namespaces: {}}], protocols: [{destinationNamedPort: dns}]}
`, engine.ClusterPolicy{
			Tier: engine.Baseline, Priority: 7, Subject: engine.ClusterSubject{Pods: app},
			Ingress: []engine.ClusterRule{{Name: "in", Action: engine.Allow,
				Rule: engine.Rule{Peers: []engine.Peer{{Namespaces: &all}}}}},
			Egress: []engine.ClusterRule{
				{Name: "out", Action: engine.Pass, Rule: engine.Rule{
					Peers: []engine.Peer{{Nodes: &app}, block("10.0.0.0/8"), block("fd00::/8"),
						{Namespaces: &all, Pods: &app}},
					Ports: []engine.Port{{First: 80, Last: 80}, {Protocol: engine.UDP, First: 1, Last: 9},
						{Protocol: engine.SCTP, First: 5, Last: 5}},
				}, Origins: []engine.PeerOrigin{{Peers: 1}, {Peers: 2}, {Peers: 1}}},
				{Action: engine.Deny, Rule: engine.Rule{
					Peers: []engine.Peer{{Namespaces: &all}}, Ports: []engine.Port{{Name: "dns", AnyProtocol: true}},
				}},
			},
		}},
		"S30 AdminNetworkPolicy": {engine.AdminNetworkPolicy, `
priority: 3
subject: {namespaces: {matchLabels: {app: web}}}
egress:
- action: Allow
  to: [{networks: [10.0.0.0/8]}]
  ports: [{portNumber: {port: 53, protocol: UDP}}, {portNumber: {port: 80}}, {portRange: {start: 5, end: 5}}]
- {action: Deny, to: [{namespaces: {}}], ports: [{namedPort: dns}]}
`, engine.ClusterPolicy{
			Tier: engine.Admin, Priority: 3, Subject: engine.ClusterSubject{Namespaces: app},
			Egress: []engine.ClusterRule{
				{Action: engine.Allow, Rule: engine.Rule{
					Peers: []engine.Peer{block("10.0.0.0/8")},
					Ports: []engine.Port{{Protocol: engine.UDP, First: 53, Last: 53}, {First: 80, Last: 80},
						{First: 5, Last: 5}},
				}},
				{Action: engine.Deny, Rule: engine.Rule{
					Peers: []engine.Peer{{Namespaces: &all}}, Ports: []engine.Port{{Name: "dns", AnyProtocol: true}},
				}},
			},
		}},
		"S30 BaselineAdminNetworkPolicy": {engine.BaselineAdminNetworkPolicy, `
subject: {namespaces: {}}
ingress: [{action: Deny, from: [{namespaces: {}}]}]
`, engine.ClusterPolicy{
			Tier: engine.Baseline,
			Ingress: []engine.ClusterRule{{Action: engine.Deny,
				Rule: engine.Rule{Peers: []engine.Peer{{Namespaces: &all}}}}},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.want.Kind, test.want.Name = test.kind, "default"
			got, problems := ClusterPolicy(test.kind, clusterObject(t, "default", test.spec))
			if d := cmp.Diff(&test.want, got, sameAddresses); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if len(problems) > 0 {
				t.Errorf("problems: %v", problems)
			}
		})
	}
}

const (
	cnp = "tier: Admin\npriority: 1\nsubject: {namespaces: {}}\n"
	anp = "priority: 1\nsubject: {namespaces: {}}\n"
)

// S47: each row of its table names the field that is wrong, in the order of the table.
func TestClusterPolicyRefused(t *testing.T) {
	rule := func(text string) string {
		return cnp + "egress: [{action: Deny, to: [{namespaces: {}}], " + text + "}]"
	}
	accept := func(peers string) string { return cnp + "egress: [{action: Accept, to: [" + peers + "]}]" }
	admin := func(ports string) string {
		return anp + "egress: [{action: Deny, to: [{namespaces: {}}], ports: " + ports + "}]"
	}
	const egress = "spec.egress[0]"
	tests := []struct {
		kind       engine.ClusterPolicyKind
		name, spec string
		fields     string
	}{
		{engine.BaselineAdminNetworkPolicy, "other", "subject: {namespaces: {}}", "metadata.name"},
		{engine.ClusterNetworkPolicy, "x", "null", "spec"},
		{engine.ClusterNetworkPolicy, "x", "{priority: 1, subject: {namespaces: {}}}", "spec.tier"},
		{engine.ClusterNetworkPolicy, "x", "{tier: admin, priority: 1, subject: {namespaces: {}}}", "spec.tier"},
		{engine.ClusterNetworkPolicy, "x", "{tier: Admin, subject: {namespaces: {}}}", "spec.priority"},
		{engine.ClusterNetworkPolicy, "x", "{tier: Admin, priority: 1001, subject: {namespaces: {}}}",
			"spec.priority"},
		{engine.ClusterNetworkPolicy, "x", "{tier: Admin, priority: -1, subject: {namespaces: {}}}",
			"spec.priority"},
		{engine.ClusterNetworkPolicy, "x", "{tier: Admin, priority: high, subject: {namespaces: {}}}",
			"spec.priority"},
		{engine.ClusterNetworkPolicy, "x", "{tier: Admin, priority: 9999999999, subject: {namespaces: {}}}",
			"spec.priority"},
		{engine.ClusterNetworkPolicy, "x", "{tier: Admin, priority: 1.5, subject: {namespaces: {}}}",
			"spec.priority"},
		{engine.ClusterNetworkPolicy, "x", "all", "spec"},
		{engine.ClusterNetworkPolicy, "x", "{tier: Admin, priority: 1}", "spec.subject"},
		{engine.ClusterNetworkPolicy, "x", "{tier: Admin, priority: 1, subject: {}}", "spec.subject"},
		{engine.ClusterNetworkPolicy, "x",
			"{tier: Admin, priority: 1, subject: {namespaces: {}, pods: {podSelector: {}}}}", "spec.subject"},
		{engine.ClusterNetworkPolicy, "x", "{tier: Admin, priority: 1, subject: {pods: {}}}",
			"spec.subject.pods.podSelector"},
		{engine.AdminNetworkPolicy, "x", "{priority: 1, subject: {pods: {podSelector: {}}}}",
			"spec.subject.pods.namespaceSelector"},
		{engine.ClusterNetworkPolicy, "x", accept("{pods: {namespaceSelector: {}}}"),
			egress + ".to[0].pods.podSelector"},
		{engine.ClusterNetworkPolicy, "x", cnp + "ingress: [" +
			strings.Repeat("{action: Deny, from: [{namespaces: {}}]},", 26) + "]", "spec.ingress"},
		{engine.ClusterNetworkPolicy, "x", cnp + "egress: [{action: Deny}]", egress + ".to"},
		{engine.ClusterNetworkPolicy, "x", cnp + "ingress: [{action: Deny, from: []}]", "spec.ingress[0].from"},
		{engine.ClusterNetworkPolicy, "x", accept(strings.Repeat("{namespaces: {}},", 26)), egress + ".to"},
		{engine.ClusterNetworkPolicy, "x", rule("protocols: []"), egress + ".protocols"},
		{engine.AdminNetworkPolicy, "x", admin("[]"), egress + ".ports"},
		{engine.ClusterNetworkPolicy, "x", cnp + "egress: [{to: [{namespaces: {}}]}]", egress + ".action"},
		{engine.ClusterNetworkPolicy, "x", cnp + "egress: [{action: Allow, to: [{namespaces: {}}]}]",
			egress + ".action"},
		{engine.AdminNetworkPolicy, "x", anp + "egress: [{action: Accept, to: [{namespaces: {}}]}]",
			egress + ".action"},
		{engine.BaselineAdminNetworkPolicy, "default",
			"subject: {namespaces: {}}\negress: [{action: Pass, to: [{namespaces: {}}]}]", egress + ".action"},
		{engine.ClusterNetworkPolicy, "x", rule("name: " + strings.Repeat("n", 101)), egress + ".name"},
		{engine.ClusterNetworkPolicy, "x", accept("{}"), egress + ".to[0]"},
		{engine.ClusterNetworkPolicy, "x", accept("{namespaces: {}, nodes: {}}"), egress + ".to[0]"},
		{engine.ClusterNetworkPolicy, "x", accept("{networks: []}"), egress + ".to[0].networks"},
		{engine.ClusterNetworkPolicy, "x", accept("{networks: [" + networkList(26) + "]}"),
			egress + ".to[0].networks"},
		{engine.ClusterNetworkPolicy, "x", accept("{networks: [10.0.0.0/8, 10.0.0.0/8]}"),
			egress + ".to[0].networks[1]"},
		{engine.ClusterNetworkPolicy, "x", accept(
			"{networks: [10.0.0.1, 010.0.0.0/8, '::ffff:10.0.0.0/104', 'fe80::%eth0/64']}"),
			egress + ".to[0].networks[0] " + egress + ".to[0].networks[1] " + egress + ".to[0].networks[2] " + egress +
				".to[0].networks[3]"},
		{engine.ClusterNetworkPolicy, "x", accept("{domainNames: []}"), egress + ".to[0].domainNames"},
		{engine.ClusterNetworkPolicy, "x", accept("{domainNames: [example]}"), egress + ".to[0].domainNames[0]"},
		{engine.ClusterNetworkPolicy, "x", accept("{domainNames: [a.example, a.example]}"),
			egress + ".to[0].domainNames[1]"},
		{engine.ClusterNetworkPolicy, "x", cnp + "egress: [{action: Deny, to: [{domainNames: [a.example]}]}]",
			egress + ".to[0].domainNames"},
		{engine.ClusterNetworkPolicy, "x", cnp + "egress: [{action: Pass, to: [{domainNames: [a.example]}]}]",
			egress + ".to[0].domainNames"},
		{engine.BaselineAdminNetworkPolicy, "default",
			"subject: {namespaces: {}}\negress: [{action: Allow, to: [{domainNames: [a.example]}]}]",
			egress + ".to[0].domainNames"},
		{engine.ClusterNetworkPolicy, "x", accept("{nodes: {}}], protocols: [{destinationNamedPort: a}"), egress},
		{engine.AdminNetworkPolicy, "x", anp +
			"egress: [{action: Allow, to: [{networks: [10.0.0.0/8]}], ports: [{namedPort: a}]}]", egress},
		{engine.ClusterNetworkPolicy, "x", rule("protocols: [{}]"), egress + ".protocols[0]"},
		{engine.ClusterNetworkPolicy, "x", rule(
			"protocols: [{tcp: {destinationPort: {number: 1}}, udp: {destinationPort: {number: 1}}}]"),
			egress + ".protocols[0]"},
		{engine.ClusterNetworkPolicy, "x", rule("protocols: [{tcp: {}}]"),
			egress + ".protocols[0].tcp.destinationPort"},
		{engine.ClusterNetworkPolicy, "x", rule("protocols: [{udp: {destinationPort: {}}}]"),
			egress + ".protocols[0].udp.destinationPort"},
		{engine.ClusterNetworkPolicy, "x", rule("protocols: [{sctp: {destinationPort: {number: 0}}}]"),
			egress + ".protocols[0].sctp.destinationPort.number"},
		{engine.ClusterNetworkPolicy, "x", rule("protocols: [{tcp: {destinationPort: {range: {start: 1}}}}]"),
			egress + ".protocols[0].tcp.destinationPort.range.end"},
		{engine.ClusterNetworkPolicy, "x", rule(
			"protocols: [{tcp: {destinationPort: {range: {start: 9, end: 9}}}}]"),
			egress + ".protocols[0].tcp.destinationPort.range"},
		{engine.AdminNetworkPolicy, "x", admin("[{portNumber: {}}]"), egress + ".ports[0].portNumber.port"},
		{engine.AdminNetworkPolicy, "x", admin("[{portRange: {start: 0, end: 70000}}]"),
			egress + ".ports[0].portRange.start " + egress + ".ports[0].portRange.end"},
		{engine.AdminNetworkPolicy, "x", admin("[{portRange: {start: 9, end: 8}}]"),
			egress + ".ports[0].portRange"},
		{engine.AdminNetworkPolicy, "x", admin("[{portNumber: {port: 1, protocol: tcp}}]"),
			egress + ".ports[0].portNumber.protocol"},
		{engine.AdminNetworkPolicy, "x", admin("[{portNumber: {port: 1, protocol: ''}}]"),
			egress + ".ports[0].portNumber.protocol"},
		{engine.AdminNetworkPolicy, "x", admin("[{namedPort: ''}]"), egress + ".ports[0].namedPort"},
		{engine.ClusterNetworkPolicy, "x", rule("protocols: [{destinationNamedPort: ''}]"),
			egress + ".protocols[0].destinationNamedPort"},
		{engine.ClusterNetworkPolicy, "x", accept("{namespaces: {matchExpressions: [{key: a, operator: Like}]}}"),
			egress + ".to[0].namespaces.matchExpressions[0].operator"},
		{engine.ClusterNetworkPolicy, "x", accept("{nodes: {matchExpressions: [{key: a, operator: In}]}}"),
			egress + ".to[0].nodes.matchExpressions[0].values"},
		{engine.ClusterNetworkPolicy, "x", accept("{pods: {podSelector: {matchLabels: {'a b': c}}}}"),
			egress + ".to[0].pods.podSelector.matchLabels"},
		{engine.ClusterNetworkPolicy, "x", cnp + "ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]",
			"spec.ingress[0].from[0].networks"},
		{engine.ClusterNetworkPolicy, "x", accept("{services: {}}"), egress + ".to[0].services"},
		{engine.ClusterNetworkPolicy, "x", accept("{pods: {podSelector: {}}, services: {}}"),
			egress + ".to[0].services"},
		{engine.ClusterNetworkPolicy, "x", rule("protocols: [{icmp: {}}]"), egress + ".protocols[0].icmp"},
		{engine.ClusterNetworkPolicy, "x", rule("protocols: [{tcp: {destinationPort: {list: [1]}}}]"),
			egress + ".protocols[0].tcp.destinationPort.list"},
		{engine.AdminNetworkPolicy, "x", admin("[{portSet: {}}]"), egress + ".ports[0].portSet"},
		{engine.ClusterNetworkPolicy, "x", "{tier: Admin, priority: 1, subject: {nodes: {}}}",
			"spec.subject.nodes"},
		{engine.ClusterNetworkPolicy, "x", cnp + "egress: [{action: accept, to: [{domainNames: [a.example]}]}]",
			egress + ".action"},
		{engine.ClusterNetworkPolicy, "x", rule("ports: [{namedPort: a}]"), egress + ".ports"},
		{engine.AdminNetworkPolicy, "x", anp + "egress: [{action: Deny, to: [{namespaces: {}}], protocols: []}]",
			egress + ".protocols"},
		{engine.BaselineAdminNetworkPolicy, "default", "{subject: {namespaces: {}}, priority: 1}", "spec.priority"},
		{engine.ClusterNetworkPolicy, "x", cnp + "subjekt: {}", "spec.subjekt"},
		{engine.ClusterNetworkPolicy, "x", cnp + "egress: {}", "spec.egress"},
	}
	for _, test := range tests {
		t.Run("S47 "+test.fields, func(t *testing.T) {
			_, problems := ClusterPolicy(test.kind, clusterObject(t, test.name, test.spec))
			var got []string
			for _, p := range problems {
				if !p.Warning {
					got = append(got, p.Field)
				}
			}
			slices.Sort(got)
			want := strings.Fields(test.fields)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s\ngot  %v\nwant %v", test.spec, problems, want)
			}
		})
	}
}

// S47: the message about a field that its place does not have says where it belongs, or what was meant.
func TestFieldsInTheWrongPlace(t *testing.T) {
	const unknown = "unknown field: netpold does not know what it means"
	const banp = "subject: {namespaces: {}}\n"
	deny := func(rule string) string { return "egress: [{action: Deny, to: [{namespaces: {}}], " + rule + "}]" }
	for _, test := range []struct {
		kind             engine.ClusterPolicyKind
		spec, path, want string
	}{
		{engine.ClusterNetworkPolicy, cnp + "protocols: []", "spec.protocols",
			"belongs in a rule of a ClusterNetworkPolicy"},
		{engine.ClusterNetworkPolicy, cnp + deny("ports: []"), "spec.egress[0].ports",
			"a ClusterNetworkPolicy has protocols"},
		{engine.AdminNetworkPolicy, anp + deny("protocols: []"), "spec.egress[0].protocols",
			"the older kinds have ports"},
		{engine.AdminNetworkPolicy, anp + "tier: Admin", "spec.tier", "belongs in spec of a ClusterNetworkPolicy"},
		{engine.BaselineAdminNetworkPolicy, banp + "priority: 1", "spec.priority",
			"belongs in spec of a ClusterNetworkPolicy or an AdminNetworkPolicy"},
		{engine.ClusterNetworkPolicy, cnp + deny("from: []"), "spec.egress[0].from",
			"belongs in a rule of spec.ingress"},
		{engine.ClusterNetworkPolicy, cnp + deny("protocols: [{tcp: {number: 1}}]"),
			"spec.egress[0].protocols[0].tcp.number", "belongs in destinationPort"},
		{engine.ClusterNetworkPolicy, cnp + "ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]",
			"spec.ingress[0].from[0].networks", "belongs in a peer in to, of spec.egress"},
		{engine.ClusterNetworkPolicy, cnp + "egress: [{action: Deny, to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]",
			"spec.egress[0].to[0].ipBlock", "a cluster-wide policy has networks, in egress"},
		{engine.ClusterNetworkPolicy, cnp + "subjekt: {}", "spec.subjekt",
			`unknown field: did you mean "subject"?`},
		{engine.ClusterNetworkPolicy, cnp + deny("protocols: [{icmp: {}}]"), "spec.egress[0].protocols[0].icmp",
			unknown},
		{engine.ClusterNetworkPolicy, cnp + deny("protocols: [{TCP: {}}]"), "spec.egress[0].protocols[0].TCP",
			`unknown field: did you mean "tcp"?`},
		{engine.ClusterNetworkPolicy, cnp + deny("protocols: [{tcp: {port: 1}}]"),
			"spec.egress[0].protocols[0].tcp.port", "a ClusterNetworkPolicy has destinationPort: {number: ...}"},
		{engine.ClusterNetworkPolicy, cnp + "tomorrow: 1", "spec.tomorrow", unknown},
	} {
		_, problems := ClusterPolicy(test.kind, clusterObject(t, "default", test.spec))
		if !slices.ContainsFunc(problems, func(p mirror.Problem) bool {
			return p.Field == test.path && strings.Contains(p.Message, test.want) && p.Closed
		}) {
			t.Errorf("S47 %s\ngot  %v\nwant %s: %s", test.spec, problems, test.path, test.want)
		}
	}
}

// S47: the API counts the characters of a rule's name, not its bytes.
func TestLongRuleName(t *testing.T) {
	for name, want := range map[string]int{strings.Repeat("ü", 100): 0, strings.Repeat("ü", 101): 1} {
		_, problems := ClusterPolicy(engine.ClusterNetworkPolicy, clusterObject(t, "x",
			cnp+"egress: [{action: Deny, name: "+name+", to: [{namespaces: {}}]}]"))
		if len(problems) != want || want > 0 && !strings.Contains(problems[0].Message, "100 characters") {
			t.Errorf("S47 %d bytes: %v", len(name), problems)
		}
	}
}

func networkList(n int) string {
	var list []string
	for i := range n {
		list = append(list, "10.0."+string(rune('0'+i%10))+"."+string(rune('0'+i/10))+"/32")
	}
	return strings.Join(list, ",")
}

// S45: each part that is not understood leaves a policy that allows no more.
func TestClusterPolicyNotUnderstood(t *testing.T) {
	all := engine.Selector{}
	everywhere := engine.Rule{Peers: []engine.Peer{{Namespaces: &all}}}
	none := engine.Rule{Peers: []engine.Peer{{}}}
	denied := engine.ClusterRule{Action: engine.Deny, NotUnderstood: true}
	everything := []engine.ClusterRule{denied}
	rules := "egress: [{action: Accept, to: [{namespaces: {}}]}, {action: Pass, to: [{namespaces: {}}]}, {action: Deny, to: [{namespaces: {}}]}]"
	closed := []engine.ClusterRule{
		{Action: engine.Allow, NotUnderstood: true, Rule: none}, {Action: engine.Deny, Rule: everywhere},
		{Action: engine.Deny, Rule: everywhere},
	}
	web := engine.ClusterSubject{Namespaces: engine.Selector{{Key: "app", Values: []string{"web"}}}}
	subject := "subject: {namespaces: {matchLabels: {app: web}}}\n"
	tests := map[string]struct {
		spec string
		want engine.ClusterPolicy
	}{
		"an allowing rule matches nothing": {
			cnp + "egress: [{action: Accept, to: [{namespaces: {}}, {services: {}}]}]",
			engine.ClusterPolicy{Tier: engine.Admin, Egress: []engine.ClusterRule{{Action: engine.Allow, NotUnderstood: true, Rule: none}}},
		},
		"a denying and a passing rule deny everything": {
			cnp + "egress: [{action: Deny, to: [{namespaces: {}}], when: night}, {action: Pass, to: [{namespaces: {}}], protocols: [{icmp: {}}]}]",
			engine.ClusterPolicy{Tier: engine.Admin,
				Egress: []engine.ClusterRule{denied, denied}},
		},
		"an action denies what its peers and ports match": {
			cnp + "egress: [{action: Log, to: [{namespaces: {}}]}]",
			engine.ClusterPolicy{Tier: engine.Admin,
				Egress: []engine.ClusterRule{{Action: engine.Deny, Rule: everywhere}}},
		},
		"a subject": {
			"tier: Baseline\npriority: 1\nsubject: {serviceAccounts: {}}\n" + rules,
			engine.ClusterPolicy{Tier: engine.Baseline, Egress: closed},
		},
		"a field of spec": {
			"tier: Baseline\npriority: 1\nmode: audit\n" + subject + rules,
			engine.ClusterPolicy{Tier: engine.Baseline, Egress: closed},
		},
		"a tier": {
			"tier: Emergency\npriority: 1\n" + subject + rules,
			engine.ClusterPolicy{Tier: engine.Admin, Urgent: true, Egress: closed},
		},
		"no tier": {
			"priority: 1\n" + subject + rules,
			engine.ClusterPolicy{Tier: engine.Admin, Urgent: true, Egress: closed},
		},
		"a priority stays in its tier": {
			"tier: Baseline\npriority: high\n" + subject + rules,
			engine.ClusterPolicy{Tier: engine.Baseline, Urgent: true, Subject: web, Egress: closed},
		},
		"no priority": {
			"tier: Admin\n" + subject + rules,
			engine.ClusterPolicy{Tier: engine.Admin, Urgent: true, Subject: web, Egress: closed},
		},
		"a priority that is null": {
			"tier: Admin\npriority: null\n" + subject + rules,
			engine.ClusterPolicy{Tier: engine.Admin, Urgent: true, Subject: web, Egress: closed},
		},
		"a priority that is no whole number": {
			"tier: Admin\npriority: 1.5\n" + subject + rules,
			engine.ClusterPolicy{Tier: engine.Admin, Urgent: true, Subject: web, Egress: closed},
		},
		"a priority of more than 32 bits": {
			"tier: Admin\npriority: 2147483648\n" + subject + rules,
			engine.ClusterPolicy{Tier: engine.Admin, Urgent: true, Subject: web, Egress: closed},
		},
		"a priority and a subject": {
			"tier: Baseline\nsubject: {}\n" + rules,
			engine.ClusterPolicy{Tier: engine.Baseline, Urgent: true, Egress: closed},
		},
		"a list of rules that is none": {
			cnp + "egress: nothing",
			engine.ClusterPolicy{Tier: engine.Admin, Egress: everything},
		},
		"an action beside domain names denies everything": {
			cnp + "egress: [{action: Log, to: [{namespaces: {}}, {domainNames: [a.example]}]}]",
			engine.ClusterPolicy{Tier: engine.Admin, Egress: everything},
		},
		"a spec that is none": {"nothing",
			engine.ClusterPolicy{Tier: engine.Admin, Urgent: true, Ingress: everything, Egress: everything}},
		"a spec that is null": {"null",
			engine.ClusterPolicy{Tier: engine.Admin, Urgent: true, Ingress: everything, Egress: everything}},
		"a spec that is a list": {"[]",
			engine.ClusterPolicy{Tier: engine.Admin, Urgent: true, Ingress: everything, Egress: everything}},
		"a rule that is none": {
			cnp + "egress: [nothing]",
			engine.ClusterPolicy{Tier: engine.Admin, Egress: everything},
		},
	}
	for name, test := range tests {
		t.Run("S45 "+name, func(t *testing.T) {
			test.want.Name = "x"
			if strings.Contains(test.spec, "priority: 1\n") {
				test.want.Priority = 1
			}
			got, problems := ClusterPolicy(engine.ClusterNetworkPolicy, clusterObject(t, "x", test.spec))
			if d := cmp.Diff(&test.want, got, sameAddresses); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if !slices.ContainsFunc(problems, func(p mirror.Problem) bool { return p.Closed }) {
				t.Errorf("no problem is closed: %v", problems)
			}
		})
	}
}

// S45: a policy whose rules nobody can read denies everything in both directions, whatever its kind.
func TestClusterPolicyWithoutSpec(t *testing.T) {
	deny := []engine.ClusterRule{{Action: engine.Deny, NotUnderstood: true}}
	for kind, want := range map[engine.ClusterPolicyKind]engine.ClusterPolicy{
		engine.ClusterNetworkPolicy:       {Tier: engine.Admin, Urgent: true},
		engine.AdminNetworkPolicy:         {Tier: engine.Admin, Urgent: true},
		engine.BaselineAdminNetworkPolicy: {Tier: engine.Baseline},
	} {
		want.Kind, want.Name, want.Ingress, want.Egress = kind, "default", deny, deny
		missing := clusterObject(t, "default", "null")
		delete(missing.Object, "spec")
		for text, object := range map[string]*unstructured.Unstructured{
			"missing": missing, "null": clusterObject(t, "default", "null"),
			"text": clusterObject(t, "default", "all"),
		} {
			t.Run("S45 "+kind.String()+" "+text, func(t *testing.T) {
				got, problems := ClusterPolicy(kind, object)
				if d := cmp.Diff(&want, got, sameAddresses); d != "" {
					t.Errorf("-want +got:\n%s", d)
				}
				if len(problems) != 1 || problems[0].Field != "spec" {
					t.Errorf("problems %v", problems)
				}
			})
		}
	}
}

// S46: a priority outside of 0 to 1000 counts as it stands, where it is known.
func TestClusterPolicyPriorityAsItStands(t *testing.T) {
	for text, want := range map[string]int32{
		"-5": -5, "1001": 1001, "2e3": 2000, "2147483647": math.MaxInt32, "-2147483648": math.MinInt32,
	} {
		p, problems := ClusterPolicy(engine.AdminNetworkPolicy,
			clusterObject(t, "x", "{subject: {namespaces: {}}, priority: "+text+"}"))
		if p.Priority != want || p.Urgent || len(problems) != 1 || problems[0].Closed {
			t.Errorf("S46 priority %s: %d, urgent %v, problems %v", text, p.Priority, p.Urgent, problems)
		}
	}
}

// S46: what is evaluated as it stands is told, and is not closed.
func TestClusterPolicyAsItStands(t *testing.T) {
	many := func(item string) string { return "[" + strings.Repeat(item+", ", 26) + "]" }
	egress := func(rule string) string { return cnp + "egress: [{action: Accept, " + rule + "}]" }
	tests := map[string]string{
		"rules":        cnp + "ingress: " + many("{action: Deny, from: [{namespaces: {}}]}"),
		"peers":        egress("to: " + many("{namespaces: {}}")),
		"ports":        egress("to: [{namespaces: {}}], protocols: " + many("{destinationNamedPort: a}")),
		"networks":     egress("to: [{networks: [" + networkList(26) + "]}]"),
		"same network": egress("to: [{networks: [10.0.0.0/8, 10.0.0.0/8]}]"),
		"names":        egress("to: [{domainNames: " + many("a.example") + "}]"),
		"same name":    egress("to: [{domainNames: [a.example, a.example]}]"),
		"rule name":    egress("name: " + strings.Repeat("n", 101) + ", to: [{namespaces: {}}]"),
		"no default":   "subject: {namespaces: {}}",
	}
	for name, spec := range tests {
		kind := engine.ClusterNetworkPolicy
		if name == "no default" {
			kind = engine.BaselineAdminNetworkPolicy
		}
		_, problems := ClusterPolicy(kind, clusterObject(t, "x", spec))
		told := false
		for _, p := range problems {
			told = told || !p.Warning
			if p.Closed {
				t.Errorf("S46 %s: closed: %v", name, p)
			}
		}
		if !told {
			t.Errorf("S46 %s: not told", name)
		}
	}
}

// S40 and S48: domain names and host bits are read with a warning.
func TestClusterPolicyWarnings(t *testing.T) {
	p, problems := ClusterPolicy(engine.ClusterNetworkPolicy, clusterObject(t, "x",
		cnp+"egress: [{action: Accept, to: [{domainNames: ['*.a.example']}, {networks: [10.1.2.3/8]}]}]"))
	want := []string{
		"warning: spec.egress[0].to[0].domainNames: netpold resolves no names, so that this peer matches nothing: *.a.example",
		`warning: spec.egress[0].to[1].networks[0]: Invalid value: "10.1.2.3/8": must have no bits set after the prefix length; it is read as 10.0.0.0/8`,
	}
	if d := cmp.Diff(want, lines(problems)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if peers := p.Egress[0].Peers; len(peers) != 2 || peers[0] != (engine.Peer{}) ||
		peers[1].Block.CIDR.String() != "10.0.0.0/8" {
		t.Errorf("peers %v", peers)
	}
	origins := []engine.PeerOrigin{{Peers: 1, Names: []string{"*.a.example"}}, {Peers: 1}}
	if d := cmp.Diff(origins, p.Egress[0].Origins); d != "" {
		t.Errorf("origins: -want +got:\n%s", d)
	}
}
