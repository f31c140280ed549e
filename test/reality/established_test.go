//go:build linux

package reality

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/netpold/netpold/test/kube/kubetest"
	"github.com/netpold/netpold/test/reality/network"
)

// within is how long an answer on an open connection may take.
const within = 5 * time.Second

// established shows what becomes of connections that are open when a policy closes, which no decision is about:
// with kube-router they go on, of TCP and of UDP, and new ones are refused.
func established(t *testing.T, c *cluster) {
	for l, conn := range c.openAndClose(t) {
		if err := conn.Ask(within); err != nil {
			t.Errorf("%s: an open connection is cut: %v", l, err)
		}
	}
}

// cut shows the same of kube-network-policies: within a minute they are cut, of TCP and of UDP.
func cut(t *testing.T, c *cluster) {
	for l, conn := range c.openAndClose(t) {
		kubetest.Eventually(t, settleTimeout, func(context.Context) error {
			if conn.Ask(time.Second) == nil {
				return fmt.Errorf("%s: an open connection goes on", l)
			}
			return nil
		})
	}
}

// openAndClose opens connections between two Pods, and then has a policy close both. It returns the open ones.
func (c *cluster) openAndClose(t *testing.T) map[connection]*network.Conn {
	c.arrange(shape{pods: []string{"web", "api"}})
	c.settle()
	var list []connection
	open := map[connection]*network.Conn{}
	for f := range families {
		for _, p := range []port{{"tcp", 80}, {"udp", 80}} {
			l := connection{c.pods[0], c.pods[1], f, p}
			probe := l.probe()
			conn, err := network.Dial(probe.From, probe.Protocol, probe.To, probe.Name, within)
			c.must(err)
			t.Cleanup(func() { c.must(conn.Close()) })
			list, open[l] = append(list, l), conn
		}
	}
	c.arrangePolicies(shape{policies: []string{`{podSelector: {}, policyTypes: [Ingress, Egress]}`}})
	c.settle()
	if wrong := c.judge(c.like, list, manyRounds); len(wrong) > 0 {
		t.Errorf("new connections disagree: %v", wrong)
	}
	for i, allowed := range c.ask(c.like, list) {
		if allowed {
			t.Errorf("%s: netpold allows a new one", list[i])
		}
	}
	return open
}
