package cli_test

import (
	"strings"
	"testing"
)

// lintBase is a cluster in which nothing is wrong: what is planted in it alone is found.
const lintBase = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
apiVersion: v1
kind: Namespace
metadata: {name: kube-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, ports: [{containerPort: 8000}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-0, namespace: shop, labels: {app: cart}}
spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
status: {phase: Running, podIPs: [{ip: 10.0.0.2}, {ip: "fd00::2"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: job-0, namespace: shop, labels: {app: job}}
spec: {containers: [{name: c}]}
status: {phase: Succeeded}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.96.0.2, selector: {app: cart}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: kube-system}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: cart}}}]
    ports: [{port: http}]
  - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]
    ports: [{port: 53, protocol: UDP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: http}]
---
apiVersion: v1
kind: Pod
metadata: {name: dns-0, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec: {containers: [{name: c, ports: [{name: dns, containerPort: 53, protocol: UDP}]}]}
status: {phase: Running, podIPs: [{ip: 10.0.1.1}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: dns, namespace: kube-system}
spec:
  podSelector: {matchLabels: {k8s-app: kube-dns}}
  policyTypes: [Ingress]
  ingress:
  - from: [{namespaceSelector: {matchLabels: {team: shop}}}]
    ports: [{port: dns, protocol: UDP}]
`

// dnsService is the cluster's DNS, by the name of its port.
const dnsService = `
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: 10.96.0.10, selector: {k8s-app: kube-dns}, ports: [{name: dns, port: 53, protocol: UDP, targetPort: dns}]}
`

// agent is a Pod on the host network.
const agent = `
---
apiVersion: v1
kind: Pod
metadata: {name: agent-0, namespace: edge, labels: {app: agent}}
spec: {hostNetwork: true, nodeName: n1, containers: [{name: c}]}
status: {phase: Running, podIPs: [{ip: 192.0.2.1}], hostIPs: [{ip: 192.0.2.1}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: edge, labels: {edge: "true"}}
`

// policyIn returns a NetworkPolicy in namespace shop.
func policyIn(name, spec string) string {
	return "\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + name + ", namespace: shop}\nspec: " + spec
}

// lintRows lints manifests and returns the rows of the table, without their messages.
func lintRows(t *testing.T, manifests string) []string {
	t.Helper()
	got := netpold(t, "lint", "--manifests", writeFile(t, "cluster.yaml", manifests), "--fail-on", "none")
	if got.code != 0 {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var rows []string
	for line := range strings.Lines(got.stdout) {
		if line == "\n" {
			break // the rows are over
		}
		columns := strings.Split(strings.TrimSpace(line), "  ")
		columns = slicesWithoutEmpty(columns)
		if len(columns) == 5 && columns[0] != "SEVERITY" {
			rows = append(rows, strings.Join(columns[:4], " "))
		}
	}
	return rows
}

// slicesWithoutEmpty returns the words without empty ones and spaces around them.
func slicesWithoutEmpty(words []string) (list []string) {
	for _, w := range words {
		if w = strings.TrimSpace(w); w != "" {
			list = append(list, w)
		}
	}
	return list
}

// Each fault that is planted in a cluster without one is found, and nothing else is.
func TestLintFindsPlantedFaults(t *testing.T) {
	if rows := lintRows(t, lintBase); len(rows) > 0 {
		t.Fatalf("before anything is planted, it finds %q", rows)
	}
	web, cart := "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: ",
		"{podSelector: {matchLabels: {app: cart}}, policyTypes: [Ingress], ingress: "
	for name, test := range map[string]struct{ planted, want string }{
		"selects-nothing": {policyIn("x", "{podSelector: {matchLabels: {app: wbe}}, policyTypes: [Ingress]}"),
			"warning selects-nothing shop/x -"},
		"selects-nothing, of finished Pods": {policyIn("x", "{podSelector: {matchLabels: {app: job}}, policyTypes: [Ingress]}"),
			"warning selects-nothing shop/x -"},
		"subject-host-network": {agent + strings.Replace(policyIn("x", "{podSelector: {}, policyTypes: [Ingress]}"), "shop", "edge", 1),
			"warning selects-nothing edge/x -, warning subject-host-network edge/x -"},
		"rules-ignored": {policyIn("x", "{podSelector: {}, policyTypes: [Ingress], egress: [{}]}"),
			"warning rules-ignored shop/x egress"},
		"isolates-ingress-by-default": {policyIn("x", "{podSelector: {matchLabels: {app: web}}, egress: [{to: [{podSelector: {}}], ports: [{port: 1}]}]}"),
			"warning isolates-ingress-by-default shop/x ingress, info rule-redundant shop/x egress[0]"},
		"peer-matches-nothing": {policyIn("x", web+"[{to: [{podSelector: {matchLabels: {app: cart}}}, {podSelector: {matchLabels: {app: cort}}}], ports: [{port: http}, {port: 9}]}]}"),
			"warning rule-covered shop/web egress[0], warning peer-matches-nothing shop/x egress[0].to[1], info rule-redundant shop/x egress[0]"},
		"peer-matches-nothing, all excepted": {policyIn("x", web+"[{to: [{ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.0/25, 198.51.100.128/25]}}, {ipBlock: {cidr: 203.0.113.0/24}}]}]}"),
			"warning peer-matches-nothing shop/x egress[0].to[0]"},
		"peer-host-network": {agent + policyIn("x", cart+"[{from: [{namespaceSelector: {matchLabels: {edge: 'true'}}}, {ipBlock: {cidr: 203.0.113.0/24}}]}]}"),
			"warning peer-host-network shop/x ingress[0].from[0]"},
		"port-name-unknown": {policyIn("x", cart+"[{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: htpp}, {port: http}]}]}"),
			"warning port-name-unknown shop/x ingress[0].ports[0]"},
		"port-name-unknown, of another protocol": {policyIn("x", cart+"[{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: http, protocol: UDP}, {port: http}]}]}"),
			"warning port-name-unknown shop/x ingress[0].ports[0]"},
		"rule-matches-nothing": {policyIn("x", cart+"[{from: [{podSelector: {matchLabels: {app: none}}}, {namespaceSelector: {matchLabels: {team: none}}}]}]}"),
			"warning rule-matches-nothing shop/x ingress[0]"},
		"rule-matches-nothing, by its ports": {policyIn("x", cart+"[{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: none}]}]}"),
			"warning rule-matches-nothing shop/x ingress[0]"},
		"rule-covered": {policyIn("x", cart+"[{from: [{podSelector: {matchLabels: {app: web, tier: front}}}], ports: [{port: http}]}]}"),
			"warning rule-covered shop/x ingress[0], warning rule-matches-nothing shop/x ingress[0]"},
		"rule-redundant": {policyIn("x", cart+"[{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]}"),
			"info rule-redundant shop/cart ingress[0], info rule-redundant shop/x ingress[0]"},
		"not-isolated": {"\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: bare, namespace: open, labels: {a: b}}\nspec: {containers: [{name: c}]}\n",
			"info not-isolated open/bare egress, info not-isolated open/bare ingress"},
		"ipblock-covers-pods": {policyIn("x", cart+"[{from: [{ipBlock: {cidr: 10.0.0.0/24}}, {ipBlock: {cidr: 'fd00:9::/32'}}]}]}"),
			"warning ipblock-covers-pods shop/x ingress[0].from[0]"},
		"ipblock-covers-pods, anything": {policyIn("x", cart+"[{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}"),
			"info ipblock-covers-pods shop/x ingress[0].from[0]"},
		"allows-all": {policyIn("x", "{podSelector: {matchLabels: {app: cart}}, policyTypes: [Ingress], ingress: [{}]}"),
			"warning rule-covered shop/cart ingress[0], info allows-all shop/x ingress[0]"},
		"service-port-not-target": {policyIn("x", cart+"[{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 80}]}]}"),
			"warning service-port-not-target shop/x ingress[0].ports[0]"},
		"service-port-not-target, but a container port": {policyIn("x", cart+"[{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 80}]}]}") +
			"\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: cart-1, namespace: shop, labels: {app: cart}}\nspec: {containers: [{name: c, ports: [{containerPort: 80}]}]}\n", ""},
		"service-port-not-target, another protocol": {policyIn("x", cart+"[{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 80, protocol: UDP}]}]}"), ""},
		"priority-tie": {tiePolicies, "warning priority-tie ClusterNetworkPolicy b -"},
		"rule-never-reached": {"\n---\n" + neverReached,
			"warning rule-never-reached ClusterNetworkPolicy a egress[1], info rule-redundant ClusterNetworkPolicy a egress[1]"},
		"egress-forgets-dns": {dnsService + policyIn("x", cart+"[{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}") +
			policyIn("z", "{podSelector: {matchLabels: {app: cart}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]}"),
			"warning egress-forgets-dns shop/cart-0 egress, info rule-redundant shop/z egress[0]"},
		"egress-forgets-dns, by TCP alone": {policyIn("z", "{podSelector: {matchLabels: {app: cart}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 53}]}]}"),
			"warning egress-forgets-dns shop/cart-0 egress"},
		"egress-forgets-dns, not: outside": {policyIn("z", "{podSelector: {matchLabels: {app: cart}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}"), ""},
		"egress-forgets-dns, outside is not the Service": {dnsService + policyIn("z", "{podSelector: {matchLabels: {app: cart}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}"),
			"warning egress-forgets-dns shop/cart-0 egress"},
		"egress-forgets-dns, not: by the Pod's address": {dnsService + policyIn("z", "{podSelector: {matchLabels: {app: cart}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.1.1/32}}], ports: [{port: dns, protocol: UDP}]}]}"),
			"warning ipblock-covers-pods shop/z egress[0].to[0]"},
		"egress-forgets-dns, the Service's address": {dnsService + policyIn("z", "{podSelector: {matchLabels: {app: cart}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.0.10/32}}], ports: [{port: 53, protocol: UDP}]}]}"),
			"warning egress-forgets-dns shop/cart-0 egress"},
		"egress-forgets-dns, the Service's port": {strings.Replace(dnsService, "targetPort: dns", "targetPort: 5353", 1),
			"warning egress-forgets-dns deploy/shop/web egress"},
		"egress-forgets-dns, not: no egress rule": {dnsService, ""},
		"egress-forgets-dns, the Service has no endpoint": {"\n---\napiVersion: v1\nkind: Service\nmetadata: {name: kube-dns, namespace: kube-system}\nspec: {ports: [{name: dns, port: 53, protocol: UDP}]}\n" +
			policyIn("z", "{podSelector: {matchLabels: {app: cart}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}"),
			"warning egress-forgets-dns deploy/shop/web egress, warning egress-forgets-dns shop/cart-0 egress"},
		"unknown-code-ignored": {strings.Replace(policyIn("x", cart+"[{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}"),
			"metadata: {", "metadata: {annotations: {netpold.dev/lint-ignore: 'allows-all, allow-all'}, ", 1),
			"info unknown-code-ignored shop/x -"},
		"unknown-code-ignored, of a Namespace": {"\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: extra, annotations: {netpold.dev/lint-ignore: '*x'}}\n",
			"info unknown-code-ignored ns/extra -"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(lintRows(t, lintBase+test.planted), ", "); got != test.want {
				t.Errorf("it finds\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

const tiePolicies = `
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: a}
spec: {tier: Admin, priority: 10, subject: {namespaces: {matchLabels: {team: shop}}}, egress: [{action: Deny, to: [{networks: [203.0.113.0/24]}]}]}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: b}
spec: {tier: Admin, priority: 10, subject: {namespaces: {}}, egress: [{action: Accept, to: [{networks: [203.0.113.0/24]}]}]}
`

const neverReached = `
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: a}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {matchLabels: {team: shop}}}
  egress:
  - {action: Accept, to: [{networks: [203.0.113.0/24]}]}
  - {action: Deny, to: [{networks: [203.0.113.128/25]}]}
`
