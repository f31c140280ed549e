//go:build linux

package reality

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/netpold/netpold/test/kube/kubetest"
)

// kubeRouter is kube-router's policy controller, unmodified: neither its router nor its service proxy runs.
//
// Version 2.1.0 gives its IPv6 sets names with a prefix that its rules lack, so that ip6tables-restore fails, and
// with it every sync (its issue 1653, mended in 2.1.1). A program in front of ip6tables-restore adds the prefix.
type kubeRouter struct{}

// addPrefix is that program.
const addPrefix = "#!/bin/sh\nsed 's/--match-set KUBE-/--match-set inet6:KUBE-/g' | %s \"$@\"\n"

// prefixDir makes a directory with that program.
func prefixDir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	real, err := exec.LookPath("ip6tables-restore")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "ip6tables-restore"), fmt.Appendf(nil, addPrefix, real), 0o700) //nolint:gosec // it is run
	}
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

func (kubeRouter) name() string { return "kube-router" }

// kind has no names of ports: what kube-router makes of them no switch follows.
func (kubeRouter) kind() kind { return kind{sidecars: true, finished: true} }

func (kubeRouter) start(c *cluster, node *place) *kubetest.Process {
	c.tb.Helper()
	path := kubetest.Build(c.tb, "test/reality/plugins/kuberouter",
		"github.com/cloudnativelabs/kube-router/v2/cmd/kube-router")
	return c.run(node, "env", "PATH="+prefixDir(c.tb)+":"+os.Getenv("PATH"), path,
		"--kubeconfig="+c.kubeconfig, "--hostname-override="+node.node,
		"--run-firewall=true", "--run-router=false", "--run-service-proxy=false",
		"--enable-ipv4=true", "--enable-ipv6=true",
		"--service-cluster-ip-range=10.96.0.0/16", "--service-cluster-ip-range=fd00:96::/108",
		"--health-port=0", "--metrics-port=0", "--v=1",
	)
}

// wipe removes all rules of the filter table, which are kube-router's alone, and all sets.
func (kubeRouter) wipe(c *cluster, node *place) {
	c.tb.Helper()
	for _, tables := range []string{"iptables", "ip6tables"} {
		for _, what := range []string{"-F", "-X"} {
			_, err := node.Run("", tables, what)
			c.must(err)
		}
	}
	_, err := node.Run("", "ipset", "destroy")
	c.must(err)
}
