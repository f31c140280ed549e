//go:build linux

package reality

import "testing"

// TestKubeRouter starts one cluster for all that follows, since its start takes longest. It mostly waits, so that other
// plugins have their turn beside it.
func TestKubeRouter(t *testing.T) {
	t.Parallel()
	c := start(t, kubeRouter{})
	faulty := startFaulty(t)
	t.Run("differences", func(t *testing.T) { differences(t, c.of(t), kubeRouterShapes()) })
	suite(t, c)
	t.Run("established", func(t *testing.T) { established(t, c.of(t)) })
	t.Run("seeded fault", func(t *testing.T) { seededFault(t, c.of(t), faulty) })
	t.Run("plugin stopped", func(t *testing.T) { stopped(t, c.of(t)) })
}

// TestKubeNetworkPolicies does the same.
func TestKubeNetworkPolicies(t *testing.T) {
	t.Parallel()
	c := start(t, kubeNetworkPolicies{})
	t.Run("differences", func(t *testing.T) { differences(t, c.of(t), kubeNetworkPoliciesShapes()) })
	suite(t, c)
	t.Run("cut", func(t *testing.T) { cut(t, c.of(t)) })
	t.Run("plugin stopped", func(t *testing.T) { stopped(t, c.of(t)) })
}

// suite is what every plugin is judged by.
func suite(t *testing.T, c *cluster) {
	t.Run("upstream", func(t *testing.T) { scenes(t, c.of(t), upstreamScenes(), upstreamPorts...) })
	t.Run("recipes", func(t *testing.T) { scenes(t, c.of(t), recipes(), recipePorts...) })
	t.Run("random clusters", func(t *testing.T) { randomClusters(t, c.of(t)) })
	t.Run("changes", func(t *testing.T) { changes(t, c.of(t)) })
}

// stopped proves the harness: a policy that denies is seen to stop real packets, and with the plugin stopped and its
// rules gone the same packets pass, while netpold goes on denying. Started anew, the plugin stops them again.
func stopped(t *testing.T, c *cluster) {
	c.arrange(shape{
		pods:     []string{"web app=x", "api app=x", "db"},
		policies: []string{`{podSelector: {matchLabels: {app: x}}, ingress: [{ports: [{port: 80}]}]}`},
	})
	c.settle()
	var allowed, denied []connection
	for f := range families {
		for _, src := range []*place{c.pods[1], c.pods[2], c.outside} {
			allowed = append(allowed, connection{src, c.pods[0], f, port{"tcp", 80}})
			denied = append(denied, connection{src, c.pods[0], f, port{"tcp", 443}},
				connection{src, c.pods[0], f, port{"udp", 80}})
		}
	}
	expect := func(list []connection, packets, answers bool) {
		t.Helper()
		opened, err := try(list)
		c.must(err)
		answered := c.ask(c.like, list)
		for i := range list {
			if opened[i] != packets || answered[i] != answers {
				t.Errorf("%s: packets %v, netpold %v, want %v and %v", list[i], opened[i], answered[i], packets, answers)
			}
		}
	}
	expect(allowed, true, true)
	expect(denied, false, false)
	for i, node := range c.nodes {
		c.running[i].Kill()
		c.plugin.wipe(c, node)
	}
	expect(allowed, true, true)
	expect(denied, true, false)
	c.restart()
	c.settle()
	expect(allowed, true, true)
	expect(denied, false, false)
}
