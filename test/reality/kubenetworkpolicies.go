//go:build linux

package reality

import (
	"strings"

	"github.com/netpold/netpold/test/kube/kubetest"
)

// kubeNetworkPolicies is kube-network-policies, unmodified. The kernel hands it the first packet of each connection.
//
// Its own rules are of nftables and hand packets over with the statement queue, which not every kernel has: then it
// logs that they were refused, and goes on serving its queue. So here the same rules are of iptables, whose target
// NFQUEUE does that. They hand over every packet, as those of its flavours with cluster-wide policies do, where the
// standard ones leave out Pods that no policy selects.
type kubeNetworkPolicies struct{}

func (kubeNetworkPolicies) name() string { return "kube-network-policies" }

// kind has no Pods that have finished, whose addresses it still polices, and no sidecars, whose names of ports it
// does not know.
func (kubeNetworkPolicies) kind() kind { return kind{namedPorts: true} }

func (kubeNetworkPolicies) start(c *cluster, node *place) *kubetest.Process {
	c.tb.Helper()
	for _, tables := range []string{"iptables", "ip6tables"} {
		for _, rule := range queueRules(tables == "ip6tables") {
			_, err := node.Run("", tables, append([]string{"-t"}, strings.Fields(rule)...)...)
			c.must(err)
		}
	}
	path := kubetest.Build(c.tb, "test/reality/plugins/kubenetworkpolicies",
		"sigs.k8s.io/kube-network-policies/cmd/kube-network-policies/standard")
	return c.run(node, path, "--kubeconfig="+c.kubeconfig, "--hostname-override="+node.node, "--disable-nri=true",
		"--netfilter-bug-1766-fix=false", "--metrics-bind-address=127.0.0.1:9080")
}

// queueRules returns what syncNFTablesRules of its pkg/dataplane/controller.go writes, in its order. A connection that
// it has allowed gets a label, which it takes away once a policy denies it: its label 100, as it counts bits from the
// other end than iptables does, is 28 here. With its verdict it sets that itself, where the kernel can
// (CONFIG_NETFILTER_NETLINK_GLUE_CT); the first packet that it accepts also goes on to the table nat, which no other does.
func queueRules(six bool) []string {
	var rules []string
	if six {
		for _, discovery := range []string{"133", "134", "135", "136", "137"} {
			rules = append(rules, "mangle -A POSTROUTING -p ipv6-icmp -m icmp6 --icmpv6-type "+discovery+" -j ACCEPT")
		}
	}
	return append(rules,
		"mangle -A POSTROUTING -m owner --uid-owner 0 -j ACCEPT",
		"mangle -A POSTROUTING -m connlabel --label 28 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
		"mangle -A POSTROUTING -j NFQUEUE --queue-num 100 --queue-bypass",
		"nat -A POSTROUTING -m connlabel --label 28 --set",
		"mangle -A INPUT -i lo -j ACCEPT",
		"mangle -A INPUT -m conntrack --ctstate NEW -j NFQUEUE --queue-num 100 --queue-bypass",
	)
}

// wipe removes the rules.
func (kubeNetworkPolicies) wipe(c *cluster, node *place) {
	c.tb.Helper()
	for _, tables := range []string{"iptables", "ip6tables"} {
		for _, table := range []string{"mangle", "nat"} {
			_, err := node.Run("", tables, "-t", table, "-F")
			c.must(err)
		}
	}
}
