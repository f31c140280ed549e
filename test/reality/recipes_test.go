//go:build linux

package reality

// recipePorts are those that the recipes are about, and one that none is.
var recipePorts = []port{{"tcp", 80}, {"tcp", 5000}, {"udp", 53}, {"tcp", 6379}}

// recipes are the cases of the Kubernetes network policy recipes (github.com/ahmetb), by their numbers there, and the
// examples of the Kubernetes documentation.
func recipes() []scene {
	const web = "x/web app=web"
	const denyAll = `x: {podSelector: {}, ingress: []}`
	return []scene{
		{
			name: "01 deny all traffic to an application", pods: []string{web, "x/client"},
			policies: []string{`x: {podSelector: {matchLabels: {app: web}}, ingress: []}`},
		},
		{
			name: "02 limit traffic to an application",
			pods: []string{"x/api app=bookstore role=api", "x/web app=bookstore", "x/client"},
			policies: []string{
				`x: {podSelector: {matchLabels: {app: bookstore, role: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: bookstore}}}]}]}`,
			},
		},
		{
			name: "02a allow all traffic to an application", pods: []string{web, "x/client"},
			policies: []string{denyAll, `x: {podSelector: {matchLabels: {app: web}}, ingress: [{}]}`},
		},
		{
			name: "03 deny all non-whitelisted traffic in the namespace", pods: []string{web, "x/client", "y/client"},
			policies: []string{denyAll},
		},
		{
			name: "04 deny traffic from other namespaces", pods: []string{web, "x/client", "y/client"},
			policies: []string{`x: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}`},
		},
		{
			name: "05 allow traffic from all namespaces", pods: []string{web, "x/client", "y/client"},
			policies: []string{denyAll, `x: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {}}]}]}`},
		},
		{
			name: "06 allow traffic from a namespace", pods: []string{web, "y/client", "z/client"},
			policies: []string{
				`x: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {purpose: production}}}]}]}`,
			},
			then: &change{labels: []string{"y purpose=production"}},
		},
		{
			name: "07 allow traffic from some pods in another namespace",
			pods: []string{web, "x/monitor type=monitoring", "y/monitor type=monitoring", "y/client", "z/monitor type=monitoring"},
			policies: []string{
				`x: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: operations}},
				podSelector: {matchLabels: {type: monitoring}}}]}]}`,
			},
			then: &change{labels: []string{"y team=operations"}},
		},
		{
			name: "08 allow external traffic", pods: []string{web, "x/client", "y/client"},
			policies: []string{denyAll, `x: {podSelector: {matchLabels: {app: web}}, ingress: [{from: []}]}`},
		},
		{
			name: "09 allow traffic only to a port", pods: []string{"x/api app=apiserver", "x/monitor role=monitoring", "x/client"},
			policies: []string{
				`x: {podSelector: {matchLabels: {app: apiserver}}, ingress: [{ports: [{port: 5000}], from: [{podSelector: {matchLabels: {role: monitoring}}}]}]}`,
			},
		},
		{
			name: "10 allow traffic with multiple selectors",
			pods: []string{"x/db app=bookstore role=db", "x/search app=bookstore role=search", "x/api app=bookstore role=api", "x/catalog app=inventory role=web", "x/other app=other role=web"},
			policies: []string{
				`x: {podSelector: {matchLabels: {app: bookstore, role: db}}, ingress: [{from: [
				{podSelector: {matchLabels: {app: bookstore, role: search}}}, {podSelector: {matchLabels: {app: bookstore, role: api}}},
				{podSelector: {matchLabels: {app: inventory, role: web}}}]}]}`,
			},
		},
		{
			name: "11 deny egress traffic from an application", pods: []string{"x/foo app=foo", web, "y/client"},
			policies: []string{`x: {podSelector: {matchLabels: {app: foo}}, policyTypes: [Egress], egress: []}`},
			then: &change{policies: []string{
				`x: {podSelector: {matchLabels: {app: foo}}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}]}`,
			}},
		},
		{
			name: "12 deny all non-whitelisted traffic from the namespace", pods: []string{web, "x/client", "y/client"},
			policies: []string{`x: {podSelector: {}, policyTypes: [Egress], egress: []}`},
		},
		{
			name: "14 deny external egress traffic", pods: []string{"x/foo app=foo", web, "y/client"},
			policies: []string{
				`x: {podSelector: {matchLabels: {app: foo}}, policyTypes: [Egress], egress: [
				{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}, {to: [{namespaceSelector: {}}]}]}`,
			},
		},
		{
			name: "documentation: the NetworkPolicy resource",
			pods: []string{"x/db role=db", "x/frontend role=frontend", "y/client", "z/client"},
			policies: []string{
				`x: {podSelector: {matchLabels: {role: db}}, policyTypes: [Ingress, Egress], ingress: [{from: [
				{ipBlock: {cidr: 10.0.0.0/16, except: [10.0.0.0/28]}}, {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $y}}},
				{podSelector: {matchLabels: {role: frontend}}}], ports: [{protocol: TCP, port: 6379}]}],
				egress: [{to: [{ipBlock: {cidr: 10.0.0.0/24}}], ports: [{protocol: TCP, port: 5978}]}]}`,
			},
		},
		{
			name: "documentation: a range of ports", pods: []string{"x/db role=db", "y/client"},
			policies: []string{
				`x: {podSelector: {matchLabels: {role: db}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/24}}], ports: [{protocol: TCP, port: 4000, endPort: 6378}]}]}`,
			},
		},
		{
			name: "documentation: multiple namespaces by label", pods: []string{web, "y/client", "z/client"},
			policies: []string{
				`x: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchExpressions: [
				{key: kubernetes.io/metadata.name, operator: In, values: [$y, $z]}]}}]}]}`,
			},
		},
	}
}
