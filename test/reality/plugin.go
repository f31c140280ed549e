//go:build linux

package reality

import "github.com/netpold/netpold/test/kube/kubetest"

// A plugin is a network plugin that enforces policies.
type plugin interface {
	// name is what netpold's --like takes.
	name() string
	// start runs the plugin on a Node until the test ends. It may not enforce yet.
	start(c *cluster, node *place) *kubetest.Process
	// wipe takes away what enforces on a Node after the plugin's end.
	wipe(c *cluster, node *place)
	// kind is what random clusters may have: all for which the plugin, or a switch of netpold, does as the API says.
	kind() kind
}

// restart starts the plugin anew on every Node, from nothing.
func (c *cluster) restart() {
	c.tb.Helper()
	lasting := *c
	lasting.tb = c.whole
	for i, node := range c.nodes {
		c.running[i].Kill()
		c.plugin.wipe(c, node)
		c.running[i] = c.plugin.start(&lasting, node)
	}
}

// run runs a program of the plugin on a Node until the test ends.
func (c *cluster) run(node *place, path string, args ...string) *kubetest.Process {
	c.tb.Helper()
	return kubetest.StartProgram(c.tb, "plugin on "+node.node, "nsenter",
		append([]string{"--net=" + node.Path(), path}, args...)...)
}
