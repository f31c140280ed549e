//go:build linux

package reality

import (
	"testing"
	"time"

	"github.com/netpold/netpold/test/reality/network"
)

// established shows what becomes of connections that are open when a policy closes, which no decision is about:
// kube-router lets them go on, of TCP and of UDP, and refuses new ones.
func established(t *testing.T, c *cluster) {
	c.arrange(shape{pods: []string{"web", "api"}})
	c.settle()
	const within = 5 * time.Second
	var list []connection
	var open []*network.Conn
	for f := range families {
		for _, p := range []port{{"tcp", 80}, {"udp", 80}} {
			list = append(list, connection{c.pods[0], c.pods[1], f, p})
		}
	}
	for _, l := range list {
		p := l.probe()
		conn, err := network.Dial(p.From, p.Protocol, p.To, p.Name, within)
		c.must(err)
		t.Cleanup(func() { c.must(conn.Close()) })
		open = append(open, conn)
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
	for i, conn := range open {
		if err := conn.Ask(within); err != nil {
			t.Errorf("%s: an open connection is cut: %v", list[i], err)
		}
	}
}
