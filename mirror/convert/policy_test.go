package convert

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// sameAddresses compares addresses and prefixes as values, and nil as empty.
var sameAddresses = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

func policyOf(t *testing.T, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	np := &networkingv1.NetworkPolicy{}
	np.Namespace, np.Name = "shop", "web"
	if err := yaml.UnmarshalStrict([]byte(spec), &np.Spec); err != nil {
		t.Fatalf("spec %s: %v", spec, err)
	}
	return np
}

// lines returns the problems as text, without the object that all of them name.
func lines(problems []mirror.Problem) []string {
	var s []string
	for _, p := range problems {
		line := p.Field + ": " + p.Message
		if p.Warning {
			line = "warning: " + line
		}
		s = append(s, line)
	}
	return s
}

func TestPolicyDefaults(t *testing.T) {
	in := func(key string, values ...string) engine.Requirement {
		return engine.Requirement{Key: key, Values: values}
	}
	all := engine.Selector{}
	tests := map[string]struct {
		spec string
		want engine.Policy
	}{
		"S10 podSelector omitted, S11 policyTypes omitted": {`{}`, engine.Policy{IsolatesIngress: true}},
		"S11 egress rules alone isolate both": {`{egress: [{}]}`,
			engine.Policy{IsolatesIngress: true, IsolatesEgress: true, Egress: []engine.Rule{{}}}},
		"S11 an empty list of egress rules is none": {`{egress: []}`,
			engine.Policy{IsolatesIngress: true}},
		"S12 a direction listed isolates without a rule": {`{policyTypes: [Egress]}`,
			engine.Policy{IsolatesEgress: true}},
		"S12 rules of a direction not listed are kept aside": {`{policyTypes: [Egress], ingress: [{}]}`,
			engine.Policy{IsolatesEgress: true, Ingress: []engine.Rule{{}}}},
		"S17 selectors": {
			`{podSelector: {matchLabels: {b: x, a: ""}, matchExpressions: [{key: c, operator: NotIn, values: [q, p, q]}, {key: d, operator: Exists}, {key: e, operator: DoesNotExist}]}}`,
			engine.Policy{IsolatesIngress: true, Subject: engine.Selector{
				in("a", ""), in("b", "x"), {Key: "c", Operator: engine.NotIn, Values: []string{"p", "q"}},
				{Key: "d", Operator: engine.Exists}, {Key: "e", Operator: engine.DoesNotExist},
			}},
		},
		"S16 peers": {
			`{ingress: [{from: [{podSelector: {}}, {namespaceSelector: {}}, {podSelector: {matchLabels: {a: b}}, namespaceSelector: {}}]}]}`,
			engine.Policy{IsolatesIngress: true, Ingress: []engine.Rule{{Peers: []engine.Peer{
				{Pods: &all}, {Namespaces: &all}, {Pods: &engine.Selector{in("a", "b")}, Namespaces: &all},
			}}}},
		},
		"S20 S21 S22 ports": {
			`{ingress: [{ports: [{}, {protocol: UDP}, {port: 80}, {protocol: SCTP, port: 1, endPort: 65535}, {port: http}]}]}`,
			engine.Policy{IsolatesIngress: true, Ingress: []engine.Rule{{Ports: []engine.Port{
				{First: 1, Last: 65535}, {Protocol: engine.UDP, First: 1, Last: 65535}, {First: 80, Last: 80},
				{Protocol: engine.SCTP, First: 1, Last: 65535}, {Name: "http"},
			}}}},
		},
		"S19 ipBlock": {
			`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: "FD00::/8"}}]}]}`,
			engine.Policy{IsolatesIngress: true, Ingress: []engine.Rule{{Peers: []engine.Peer{
				{Block: &engine.IPBlock{CIDR: netip.MustParsePrefix("10.0.0.0/8"),
					Except: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}},
				{Block: &engine.IPBlock{CIDR: netip.MustParsePrefix("fd00::/8")}},
			}}}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, problems := Policy(policyOf(t, test.spec))
			if len(problems) != 0 {
				t.Fatalf("problems: %v", problems)
			}
			test.want.Namespace, test.want.Name = "shop", "web"
			test.want.TypesOmitted = !strings.Contains(test.spec, "policyTypes")
			if diff := cmp.Diff(&test.want, got, sameAddresses); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestS23LegacyCIDRs proves that CIDRs which only old objects may have are read with a warning.
func TestS23LegacyCIDRs(t *testing.T) {
	tests := []struct{ cidr, want, says string }{
		{"10.1.2.3/8", "10.0.0.0/8", "must not have bits set beyond the prefix length; it is read as 10.0.0.0/8"},
		{"010.000.0.0/8", "10.0.0.0/8",
			"must not have leading 0s in IP or prefix length; it is read as 10.0.0.0/8"},
		{"10.0.0.0/08", "10.0.0.0/8", "must not have leading 0s in IP or prefix length; it is read as 10.0.0.0/8"},
		{"001.002.003.000/0", "0.0.0.0/0",
			"must not have leading 0s in IP or prefix length; it is read as 0.0.0.0/0"},
		{"fd00::1/8", "fd00::/8", "must not have bits set beyond the prefix length; it is read as fd00::/8"},
	}
	for _, test := range tests {
		t.Run(test.cidr, func(t *testing.T) {
			got, problems := Policy(policyOf(t,
				fmt.Sprintf(`{ingress: [{from: [{ipBlock: {cidr: %q}}]}]}`, test.cidr)))
			want := []string{fmt.Sprintf("warning: spec.ingress[0].from[0].ipBlock.cidr: Invalid value: %q: %s",
				test.cidr, test.says)}
			if diff := cmp.Diff(want, lines(problems)); diff != "" {
				t.Error(diff)
			}
			if got := got.Ingress[0].Peers[0].Block.CIDR; got != netip.MustParsePrefix(test.want) {
				t.Errorf("read as %v, want %s", got, test.want)
			}
		})
	}
}

// TestS23Refused lists what ValidateNetworkPolicy rejects. The converted policy stays closed.
func TestS23Refused(t *testing.T) {
	const peer, port = "spec.ingress[0].from[0]", "spec.ingress[0].ports[0]"
	tests := map[string]struct{ spec, want string }{ // want: each "path: part of the message", by line
		"empty peer": {`{ingress: [{from: [{}]}]}`, peer + ": must specify a peer"},
		"empty peer of egress": {`{egress: [{}, {to: [{podSelector: {}}, {}]}]}`,
			"spec.egress[1].to[1]: must specify a peer"},
		"ipBlock and podSelector": {`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}`,
			peer + ": may not specify both"},
		"ipBlock and namespaceSelector": {`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, namespaceSelector: {}}]}]}`, peer + ": may not specify both"},
		"no cidr": {`{ingress: [{from: [{ipBlock: {}}]}]}`,
			peer + ".ipBlock.cidr: Required value"},
		"cidr without length": {`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.1}}]}]}`,
			peer + ".ipBlock.cidr: must be a valid CIDR"},
		"IPv6 cidr without length": {`{ingress: [{from: [{ipBlock: {cidr: "fd00::"}}]}]}`,
			peer + ".ipBlock.cidr: must be a valid CIDR"},
		"cidr of a name": {`{ingress: [{from: [{ipBlock: {cidr: example.org/8}}]}]}`,
			peer + ".ipBlock.cidr: must be a valid CIDR"},
		"cidr too long": {`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}]}`,
			peer + ".ipBlock.cidr: must be a valid CIDR"},
		"cidr with zone": {`{ingress: [{from: [{ipBlock: {cidr: "fe80::%eth0/64"}}]}]}`,
			peer + ".ipBlock.cidr: must be a valid CIDR"},
		"IPv4-mapped cidr": {`{ingress: [{from: [{ipBlock: {cidr: "::ffff:10.0.0.0/104"}}]}]}`,
			peer + ".ipBlock.cidr: must not have an IPv4-mapped"},
		"IPv4-mapped with host bits": {`{ingress: [{from: [{ipBlock: {cidr: "::ffff:10.0.0.0/0"}}]}]}`,
			peer + ".ipBlock.cidr: must not have an IPv4-mapped"},
		"IPv4-mapped with zeros": {`{ingress: [{from: [{ipBlock: {cidr: "::ffff:010.0.0.0/104"}}]}]}`,
			peer + ".ipBlock.cidr: must not have an IPv4-mapped"},
		"except outside": {`{ingress: [{from: [{ipBlock: {cidr: 192.168.8.0/24, except: [192.168.9.1/32]}}]}]}`,
			peer + ".ipBlock.except[0]: strict subset"},
		"except equal": {`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.0/25, 10.0.0.0/24]}}]}]}`, peer + ".ipBlock.except[1]: strict subset"},
		"except larger": {`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.0/8]}}]}]}`,
			peer + ".ipBlock.except[0]: strict subset"},
		"except of another family": {`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: ["fd00::/16"]}}]}]}`,
			peer + ".ipBlock.except[0]: strict subset"},
		"IPv6 except outside": {`{ingress: [{from: [{ipBlock: {cidr: "fd00:1::/64", except: ["fd00:2::/65"]}}]}]}`,
			peer + ".ipBlock.except[0]: strict subset"},
		"IPv4-mapped except": {`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: ["::ffff:10.1.0.0/112"]}}]}]}`, peer + ".ipBlock.except[0]: must not have an IPv4-mapped"},
		"empty except": {`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [""]}}]}]}`,
			peer + ".ipBlock.except[0]: must be a valid CIDR"},
		"except a space": {`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [" "]}}]}]}`,
			peer + ".ipBlock.except[0]: must be a valid CIDR"},
		"except no address": {`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [300.300.300.300]}}]}]}`,
			peer + ".ipBlock.except[0]: must be a valid CIDR"},
		"port 0": {`{ingress: [{ports: [{port: 0}]}]}`,
			port + ".port: between 1 and 65535"},
		"port 65536": {`{ingress: [{ports: [{port: 65536}]}]}`,
			port + ".port: between 1 and 65535"},
		"port that narrows to 80": {`{ingress: [{ports: [{port: 65616}]}]}`,
			port + ".port: between 1 and 65535"},
		"port -1": {`{ingress: [{ports: [{port: -1}]}]}`,
			port + ".port: between 1 and 65535"},
		"port 123456789": {`{ingress: [{ports: [{port: 123456789}]}]}`,
			port + ".port: between 1 and 65535"},
		"endPort below port": {`{ingress: [{ports: [{port: 90, endPort: 80}]}]}`,
			port + ".endPort: greater than or equal to"},
		"endPort 65537": {`{ingress: [{ports: [{port: 30000, endPort: 65537}]}]}`,
			port + ".endPort: between 1 and 65535"},
		"endPort that narrows above": {`{ingress: [{ports: [{port: 80, endPort: 65636}]}]}`,
			port + ".endPort: between 1 and 65535"},
		"endPort beside a name": {`{ingress: [{ports: [{port: dns, endPort: 80}]}]}`,
			port + ".endPort: non-numeric"},
		"endPort alone": {`{ingress: [{ports: [{endPort: 80}]}]}`,
			port + ".endPort: `port` is not specified"},
		"port and endPort both bad": {`{ingress: [{ports: [{port: 0, endPort: -1}]}]}`,
			port + ".port: between\n" + port + ".endPort: between\n" + port + ".endPort: greater than"},
		"port name of digits": {`{ingress: [{ports: [{port: "80"}]}]}`,
			port + ".port: at least one letter"},
		"port name empty": {`{ingress: [{ports: [{port: ""}]}]}`,
			port + ".port: at least one letter\n" + port + ".port: alpha-numeric"},
		"port name upper case": {`{ingress: [{ports: [{port: Http}]}]}`, port + ".port: alpha-numeric"},
		"port name with signs": {`{ingress: [{ports: [{port: "!@#$"}]}]}`,
			port + ".port: at least one letter\n" + port + ".port: alpha-numeric"},
		"port name too long": {`{ingress: [{ports: [{port: abcdefghijklmnop}]}]}`,
			port + ".port: no more than 15"},
		"protocol ICMP": {`{ingress: [{ports: [{protocol: ICMP}]}]}`,
			port + `.protocol: supported values: "TCP", "UDP", "SCTP"`},
		"protocol in lower case": {`{ingress: [{ports: [{protocol: tcp, port: 80}]}]}`,
			port + ".protocol: supported values"},
		"protocol empty": {`{ingress: [{ports: [{protocol: ""}]}]}`,
			port + ".protocol: supported values"},
		"bad ports of egress": {`{egress: [{ports: [{port: 1}, {port: 0}]}]}`,
			"spec.egress[0].ports[1].port: between"},
		"unknown policy type": {`{policyTypes: [foo, Egress]}`,
			`spec.policyTypes[0]: supported values: "Ingress", "Egress"`},
		"policy type in lower case": {`{policyTypes: [ingress]}`, "spec.policyTypes[0]: supported values"},
		"three policy types": {`{policyTypes: [Ingress, Egress, Ingress]}`,
			"spec.policyTypes: more than two"},
		"subject with a bad key": {`{podSelector: {matchLabels: {"a=b": c}}}`,
			"spec.podSelector.matchLabels: name part must consist"},
		"subject with a bad value": {`{podSelector: {matchLabels: {a: "b c"}}}`,
			"spec.podSelector.matchLabels: a valid label must"},
		"peer with a bad key": {`{ingress: [{from: [{podSelector: {matchLabels: {"-a": c}}}]}]}`,
			peer + ".podSelector.matchLabels: name part must consist"},
		"namespace peer with a bad key": {`{ingress: [{from: [{namespaceSelector: {matchLabels: {"": c}}}]}]}`,
			peer + ".namespaceSelector.matchLabels: name part must be non-empty\n" + peer +
				".namespaceSelector.matchLabels: name part must consist"},
		"unknown operator": {`{podSelector: {matchExpressions: [{key: a, operator: Has}]}}`,
			"spec.podSelector.matchExpressions[0].operator: not a valid selector operator"},
		"no operator": {`{podSelector: {matchExpressions: [{key: a}]}}`,
			"spec.podSelector.matchExpressions[0].operator: not a valid selector operator"},
		"In without values": {`{podSelector: {matchExpressions: [{key: a, operator: In}]}}`,
			"spec.podSelector.matchExpressions[0].values: must be specified"},
		"NotIn with an empty list":       {`{ingress: [{from: [{podSelector: {matchExpressions: [{key: a, operator: NotIn, values: []}]}}]}]}`, peer + ".podSelector.matchExpressions[0].values: must be specified"},
		"Exists with values":             {`{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}`, "spec.podSelector.matchExpressions[0].values: may not be specified"},
		"DoesNotExist with values":       {`{podSelector: {matchExpressions: [{key: a, operator: DoesNotExist, values: [b]}]}}`, "spec.podSelector.matchExpressions[0].values: may not be specified"},
		"In with a bad value":            {`{podSelector: {matchExpressions: [{key: a, operator: In, values: [b, "c d"]}]}}`, "spec.podSelector.matchExpressions[0].values[1]: a valid label must"},
		"several at once, all are named": {`{podSelector: {matchLabels: {"=": a}}, ingress: [{ports: [{port: 0}], from: [{}, {ipBlock: {cidr: x}}]}], policyTypes: [a]}`, "spec.podSelector.matchLabels: name part\n" + port + ".port: between\n" + peer + ": must specify\nspec.ingress[0].from[1].ipBlock.cidr: valid CIDR\nspec.policyTypes[0]: supported"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			np := policyOf(t, test.spec)
			got, problems := Policy(np)
			want := strings.Split(test.want, "\n")
			if len(want) != len(problems) {
				t.Fatalf("%d problems, want %d: %q", len(problems), len(want), lines(problems))
			}
			for i, p := range problems {
				path, part, _ := strings.Cut(want[i], ": ")
				if p.Field != path || !strings.Contains(p.Message, part) || p.Warning {
					t.Errorf("problem %d: %+v\nwant %s", i, p, want[i])
				}
				if p.Kind != "NetworkPolicy" || p.Namespace != "shop" || p.Name != "web" {
					t.Errorf("problem %d names %s %s/%s", i, p.Kind, p.Namespace, p.Name)
				}
			}
			checkClosed(t, np, got, problems)
		})
	}
}

func TestS23Metadata(t *testing.T) {
	np := policyOf(t, `{}`)
	np.Name, np.Namespace = "Web", "shop_1"
	np.Labels = map[string]string{"a b": "c"}
	np.Finalizers = []string{"odd"}
	_, problems := Policy(np)
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	want := []string{"metadata.name", "metadata.namespace", "metadata.labels", "metadata.finalizers[0]"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff, lines(problems))
	}
}

// TestS23Closed proves what invalid entries become.
func TestS23Closed(t *testing.T) {
	all := engine.Selector{}
	tests := map[string]struct {
		spec string
		want engine.Policy
	}{
		"a bad peer matches nothing and keeps its place": {
			`{ingress: [{from: [{}, {podSelector: {}}]}]}`,
			engine.Policy{IsolatesIngress: true, Ingress: []engine.Rule{{Peers: []engine.Peer{{}, {Pods: &all}}}}},
		},
		"a bad except takes its block along": {
			`{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [x]}}]}]}`,
			engine.Policy{IsolatesIngress: true, Ingress: []engine.Rule{{Peers: []engine.Peer{{}}}}},
		},
		"a bad selector beside a good one": {
			`{ingress: [{from: [{namespaceSelector: {}, podSelector: {matchExpressions: [{key: a, operator: X}]}}]}]}`,
			engine.Policy{IsolatesIngress: true, Ingress: []engine.Rule{{Peers: []engine.Peer{{}}}}},
		},
		"a bad port matches nothing": {
			`{ingress: [{ports: [{port: 65616}]}]}`,
			engine.Policy{IsolatesIngress: true, Ingress: []engine.Rule{{Ports: []engine.Port{{}}}}},
		},
		"a bad podSelector selects all and leaves no rule": {
			`{podSelector: {matchExpressions: [{key: a, operator: X}]}, policyTypes: [Egress], egress: [{}], ingress: [{}]}`,
			engine.Policy{IsolatesEgress: true},
		},
		"a bad policy type isolates both": {
			`{policyTypes: [egres], ingress: [{}]}`,
			engine.Policy{IsolatesEgress: true, IsolatesIngress: true, Ingress: []engine.Rule{{}}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, problems := Policy(policyOf(t, test.spec))
			if len(problems) == 0 {
				t.Error("no problem is reported")
			}
			test.want.Namespace, test.want.Name = "shop", "web"
			test.want.TypesOmitted = !strings.Contains(test.spec, "policyTypes")
			if diff := cmp.Diff(&test.want, got, sameAddresses); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPolicyRetainsNothing proves that the decoded object may be reused.
func TestPolicyRetainsNothing(t *testing.T) {
	np := policyOf(t, `{podSelector: {matchLabels: {a: b}}, ingress: [{from: [{podSelector: {matchExpressions: [{key: c, operator: In, values: [d]}]}}], ports: [{port: 80}]}]}`)
	got, _ := Policy(np)
	want, _ := Policy(np.DeepCopy())
	np.Spec.PodSelector.MatchLabels["a"] = "x"
	np.Spec.Ingress[0].From[0].PodSelector.MatchExpressions[0].Values[0] = "x"
	np.Spec.Ingress[0].Ports[0].Port.IntVal = 1
	if diff := cmp.Diff(want, got, sameAddresses); diff != "" {
		t.Error(diff)
	}
}
