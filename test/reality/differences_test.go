//go:build linux

package reality

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// A shape is one cluster in namespace a, of which every connection is known by heart. Its YAML must not have labels
// like y, which YAML takes for true.
type shape struct {
	name string
	// pods are names with labels and ports: "web app=web http=80/TCP".
	pods []string
	// policies are specs, applied in order.
	policies []string
	// differs are the connections for which packets show other than the API says: "web -> api tcp 80", of both
	// families, or of one: "IPv6 outside -> web tcp 80".
	differs []string
	// followed reports whether netpold answers as packets show with --like of the plugin. Otherwise it answers as
	// the API says, and notes PLUGIN_DIFFERS where policies show it.
	followed bool
}

// differences shows, with real packets, each difference of the plugin that docs/semantics.md tells: packets show
// other than the API says for exactly the connections listed.
func differences(t *testing.T, c *cluster, shapes []shape) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			c := c.of(t)
			c.arrange(s)
			c.settle()
			asked := []port{{"tcp", 80}, {"tcp", 443}, {"udp", 80}, {"tcp", 9090}}
			list := c.among(len(s.pods), asked...)
			want := map[string]bool{}
			for _, text := range s.differs {
				if strings.HasPrefix(text, "IPv") {
					want[text] = true
					continue
				}
				want["IPv4 "+text], want["IPv6 "+text] = true, true
			}
			got := map[string]bool{}
			if !s.followed {
				got = c.unlike(s, list, want)
			} else {
				for _, d := range c.judge(c.like, list, manyRounds) {
					t.Errorf("with --like=%s: %s", c.plugin.name(), d)
				}
				shown, meant := c.ask(c.like, list), c.ask(c.api, list)
				for i, connection := range list {
					if shown[i] != meant[i] { // packets are as shown
						got[families[connection.family]+" "+c.words(s, connection)] = true
					}
				}
			}
			for text := range want {
				if !got[text] {
					t.Errorf("%s: packets show what the API says", text)
				}
			}
			for text := range got {
				if !want[text] {
					t.Errorf("%s: packets show other than the API says, and docs/semantics.md does not tell", text)
				}
			}
		})
	}
}

// among returns every connection between the first n Pods, their Nodes and the machine outside.
func (c *cluster) among(n int, asked ...port) []connection {
	first := c.pods[:n]
	return slices.DeleteFunc(c.between(asked...), func(t connection) bool {
		return t.src.isPod && !slices.Contains(first, t.src) || t.dst.isPod && !slices.Contains(first, t.dst)
	})
}

// words returns a connection by the names of the Pods of a shape: "web -> api tcp 80".
func (c *cluster) words(s shape, t connection) string {
	name := func(p *place) string {
		if i := slices.Index(c.pods, p); i >= 0 {
			pod, _, _ := strings.Cut(s.pods[i], " ")
			return pod
		}
		return p.Name()
	}
	return fmt.Sprintf("%s -> %s %s %d", name(t.src), name(t.dst), t.port.protocol, t.port.number)
}

// arrange makes the Pods and policies of a shape in place of all before. The first Pod has the first place, and so on.
func (c *cluster) arrange(s shape) {
	c.tb.Helper()
	c.clear()
	for i, text := range s.pods {
		name, rest, _ := strings.Cut(text, " ")
		p := newPod("a", name, c.pods[i])
		p.Labels = map[string]string{"name": name}
		c.createPod(p, describePod(p, rest), c.pods[i].texts()...)
	}
	c.arrangePolicies(s)
}

// describePod gives a Pod labels and ports, "app=web http=80/TCP", ports of a sidecar, "sidecar:http=80/TCP", and
// returns its phase, which is Succeeded for "finished".
func describePod(p *corev1.Pod, text string) corev1.PodPhase {
	phase := corev1.PodRunning
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	for word := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(word, "=")
		number, protocol, isPort := strings.Cut(value, "/")
		if !isPort {
			if word == "finished" {
				phase = corev1.PodSucceeded
			} else {
				p.Labels[key] = value
			}
			continue
		}
		of := &p.Spec.Containers
		if name, isSidecar := strings.CutPrefix(key, "sidecar:"); isSidecar {
			key, of = name, &p.Spec.InitContainers
			*of = []corev1.Container{{Name: "sidecar", Image: "sidecar", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}}
		}
		(*of)[0].Ports = append((*of)[0].Ports, corev1.ContainerPort{
			Name: key, ContainerPort: containerPort(number), Protocol: corev1.Protocol(protocol),
		})
	}
	return phase
}

// arrangePolicies adds the policies of a shape.
func (c *cluster) arrangePolicies(s shape) {
	c.tb.Helper()
	for i, text := range s.policies {
		p := &networkingv1.NetworkPolicy{}
		p.Namespace, p.Name = "a", "p"+string(rune('0'+i))
		if err := yaml.UnmarshalStrict([]byte(text), &p.Spec); err != nil {
			c.tb.Fatal(err)
		}
		c.apply(p)
	}
}

// containerPort returns the number that a word is.
func containerPort(word string) int32 {
	n, err := strconv.ParseInt(word, 10, 32)
	if err != nil {
		panic(err)
	}
	return int32(n)
}

// kubeRouterShapes are the differences of kube-router, by the rule of docs/semantics.md that they are about.
func kubeRouterShapes() []shape {
	return []shape{
		{
			name: "S14 rules of both directions",
			pods: []string{"web app=x", "api app=x", "db app=w"},
			policies: []string{`{podSelector: {matchLabels: {app: x}}, policyTypes: [Ingress, Egress],
				ingress: [{from: [{podSelector: {matchLabels: {name: web}}}], ports: [{port: 80}]}],
				egress: [{to: [{podSelector: {matchLabels: {name: web}}}], ports: [{port: 443}]}]}`},
			differs: []string{
				"web -> api tcp 80", "api -> web tcp 443",
				"web -> n1 tcp 80", "web -> n1 tcp 443", "web -> n1 udp 80", "web -> n1 tcp 9090",
				"api -> n2 tcp 80", "api -> n2 tcp 443", "api -> n2 udp 80", "api -> n2 tcp 9090",
			},
			followed: true,
		},
		{
			name: "S14 directions in policies of their own",
			pods: []string{"web app=x", "api app=x"},
			policies: []string{
				`{podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: 80}]}]}`,
				`{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}`,
			},
			followed: true,
			differs:  []string{"web -> n1 tcp 80", "web -> n1 udp 80", "web -> n1 tcp 9090", "api -> n2 tcp 80", "api -> n2 udp 80", "api -> n2 tcp 9090"},
		},
		{
			name: "S19 an except reaches into other blocks of its rule",
			pods: []string{"web"},
			policies: []string{`{podSelector: {}, ingress: [{from: [
				{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.0/28]}}, {ipBlock: {cidr: 203.0.112.0/20}},
				{ipBlock: {cidr: "2001:db8::/32", except: ["2001:db8::/64"]}}, {ipBlock: {cidr: "2001:d00::/24"}}]}]}`},
			differs:  []string{"outside -> web tcp 80", "outside -> web tcp 443", "outside -> web udp 80", "outside -> web tcp 9090"},
			followed: true,
		},
		{
			name: "S19 of one prefix that is both, the last counts",
			pods: []string{"web"},
			policies: []string{`{podSelector: {}, ingress: [{from: [
				{ipBlock: {cidr: 203.0.113.0/28}}, {ipBlock: {cidr: 203.0.112.0/20, except: [203.0.113.0/28]}}], ports: [{port: 80}]}]}`},
			differs:  []string{"IPv4 outside -> web tcp 80"},
			followed: true,
		},
		{
			name:     "S21 a name that no Pod of the policy has opens every port to its Pods",
			pods:     []string{"web app=x http=80/TCP", "api app=w"},
			policies: []string{`{podSelector: {matchLabels: {app: x}}, ingress: [{from: [{podSelector: {}}], ports: [{port: none}]}]}`},
			differs:  []string{"api -> web tcp 80", "api -> web tcp 443", "api -> web udp 80", "api -> web tcp 9090"},
		},
		{
			name:     "S21 egress without peers to a name goes anywhere",
			pods:     []string{"web app=x", "api http=9090/TCP", "db http=9090/TCP"},
			policies: []string{`{podSelector: {matchLabels: {app: x}}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}`},
			differs: []string{
				"web -> outside tcp 9090", "web -> n2 tcp 9090", "web -> n3 tcp 9090",
				"web -> n1 tcp 80", "web -> n1 tcp 443", "web -> n1 udp 80",
			},
		},
		{
			name: "S21 egress to a block knows no names",
			pods: []string{"web app=x", "api http=80/TCP"},
			policies: []string{`{podSelector: {matchLabels: {app: x}}, policyTypes: [Egress],
				egress: [{to: [{ipBlock: {cidr: 10.0.0.0/24}}, {ipBlock: {cidr: "fd00::/64"}}], ports: [{port: http}]}]}`},
			differs: []string{
				"web -> api tcp 80", "web -> n1 tcp 80", "web -> n1 tcp 443", "web -> n1 udp 80", "web -> n1 tcp 9090",
			},
		},
		{
			name:     "S3 what a Pod sends to its own Node is decided",
			pods:     []string{"web"},
			policies: []string{`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.168.0.1/32}}], ports: [{port: 443}]}]}`},
			differs: []string{
				"web -> n1 tcp 80", "web -> n1 udp 80", "web -> n1 tcp 9090", "IPv6 web -> n1 tcp 443",
			},
			followed: true,
		},
		{
			name: "S10 to S16 nothing else",
			pods: []string{"web app=x", "api app=w", "db app=z"},
			policies: []string{
				`{podSelector: {}}`,
				`{podSelector: {matchLabels: {app: x}}, ingress: [{from: [{podSelector: {matchLabels: {app: w}}}], ports: [{port: 80, endPort: 443}]}]}`,
				`{podSelector: {matchLabels: {app: z}}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80, protocol: UDP}]}, {from: [{podSelector: {matchExpressions: [{key: nobody, operator: NotIn, values: [a]}]}}], ports: [{port: 9090}]}]}`,
			},
			followed: true,
		},
	}
}

// kubeNetworkPoliciesShapes are those of kube-network-policies.
func kubeNetworkPoliciesShapes() []shape {
	return []shape{
		{
			name:     "S3 what a Pod sends to its own Node is decided",
			pods:     []string{"web"},
			policies: []string{`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.168.0.1/32}}], ports: [{port: 443}]}]}`},
			differs: []string{
				"web -> n1 tcp 80", "web -> n1 udp 80", "web -> n1 tcp 9090", "IPv6 web -> n1 tcp 443",
			},
			followed: true,
		},
		{
			name:     "S6 a Pod that has finished keeps its policies",
			pods:     []string{"web finished", "api"},
			policies: []string{`{podSelector: {matchLabels: {name: web}}, ingress: [{ports: [{port: 80}]}]}`},
			differs: []string{
				"api -> web tcp 443", "api -> web udp 80", "api -> web tcp 9090", "outside -> web tcp 443", "outside -> web udp 80",
				"outside -> web tcp 9090", "n2 -> web tcp 443", "n2 -> web udp 80", "n2 -> web tcp 9090", "n3 -> web tcp 443",
				"n3 -> web udp 80", "n3 -> web tcp 9090",
			},
		},
		{
			name:     "S6 a Pod that has finished is a peer",
			pods:     []string{"web finished app=x", "api app=w"},
			policies: []string{`{podSelector: {matchLabels: {app: w}}, ingress: [{from: [{podSelector: {matchLabels: {app: x}}}]}]}`},
			differs:  []string{"web -> api tcp 80", "web -> api tcp 443", "web -> api udp 80", "web -> api tcp 9090"},
		},
		{
			name:     "S21 ports of sidecars have no names",
			pods:     []string{"web app=x sidecar:http=80/TCP", "api http=80/TCP"},
			policies: []string{`{podSelector: {}, ingress: [{ports: [{port: http}]}]}`},
			differs:  []string{"api -> web tcp 80", "outside -> web tcp 80", "n2 -> web tcp 80", "n3 -> web tcp 80"},
		},
		{
			name: "S14, S19, S21 nothing else",
			pods: []string{"web app=x http=80/TCP", "api app=x", "db app=w http=9090/TCP"},
			policies: []string{
				`{podSelector: {matchLabels: {app: x}}, policyTypes: [Ingress, Egress],
				ingress: [{from: [{podSelector: {matchLabels: {name: web}}}], ports: [{port: 80}]}],
				egress: [{to: [{podSelector: {matchLabels: {name: web}}}], ports: [{port: 443}]}, {ports: [{port: http}]}]}`,
				`{podSelector: {matchLabels: {app: w}}, ingress: [{from: [
				{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.0/28]}}, {ipBlock: {cidr: 203.0.112.0/20}}], ports: [{port: http}]}]}`,
			},
			differs:  []string{"web -> n1 tcp 80", "web -> n1 tcp 443", "web -> n1 udp 80", "web -> n1 tcp 9090", "api -> n2 tcp 80", "api -> n2 tcp 443", "api -> n2 udp 80", "api -> n2 tcp 9090"},
			followed: true,
		},
	}
}

// unlike returns the connections for which packets show other than the API says, and tries again until those are want, as
// often as judge may: a rule of one family may be late by some syncs, and until then packets do as the API says.
func (c *cluster) unlike(s shape, list []connection, want map[string]bool) map[string]bool {
	c.tb.Helper()
	for again := 1; ; again++ {
		got := map[string]bool{}
		for _, d := range c.judge(c.api, list, 2) {
			got[families[d.family]+" "+c.words(s, d.connection)] = true
		}
		if again == manyRounds || maps.Equal(got, want) {
			return got
		}
		c.settle()
	}
}
