//go:build linux

package reality

import (
	"fmt"
	"slices"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// ports are those that everybody answers on, as the policies of the generator ask for.
var ports = []uint16{80, 443, 8080, 8081, 9090}

// scenePorts are the further ones of scenes.
var scenePorts = []uint16{53, 81, 5000, 5978, 6379, 8000, 32000}

// between returns every connection with a Pod at one end or both: every pair, on asked ports, in both families.
func (w *wiring) between(asked ...port) []connection {
	var list []connection
	ends := w.ends()
	for _, src := range ends {
		for _, dst := range ends {
			if src == dst || !src.isPod && !dst.isPod {
				continue
			}
			for f := range families {
				for _, p := range asked {
					list = append(list, connection{src, dst, f, p})
				}
			}
		}
	}
	return list
}

// ask returns what netpold answers, in order.
func (c *cluster) ask(asked *netpold.Client, list []connection) []bool {
	c.tb.Helper()
	questions := make([]netpold.Question, len(list))
	for i, t := range list {
		questions[i] = netpold.Question{
			Src: t.src.addrs[t.family], Dst: t.dst.addrs[t.family], Port: t.port.number,
			Protocol: netpoldv1.Protocol_PROTOCOL_TCP,
		}
		if t.port.protocol == "udp" {
			questions[i].Protocol = netpoldv1.Protocol_PROTOCOL_UDP
		}
	}
	answers := make([]bool, 0, len(list))
	for verdict, err := range asked.AllowedMany(c.tb.Context(), slices.Values(questions)) {
		c.must(err)
		c.must(verdict.Err)
		answers = append(answers, verdict.Allowed)
	}
	return answers
}

// manyRounds is how often to wait where nothing may disagree.
const manyRounds = 8

// A disagreement is a connection for which packets show other than netpold answers.
type disagreement struct {
	connection
	// answered is netpold's answer.
	answered bool
}

func (d disagreement) String() string {
	if d.answered {
		return fmt.Sprintf("%s: netpold allows it, packets do not pass", d.connection)
	}
	return fmt.Sprintf("%s: netpold denies it, packets pass", d.connection)
}

// judge asks a netpold about connections and opens them, and returns how they disagree. What disagrees is asked and
// opened again, rounds times, after the plugin had time once more, so that nothing is blamed on a rule that was about to change.
// kube-router 2.1.0 needs that: when it writes the sets of one family, it also writes those of the other as they
// were after its last sync. Which family comes last is chance, so that one may be late by some syncs. Half-way of
// manyRounds the plugin is started anew, so that it has to come to the same once more.
func (c *cluster) judge(asked *netpold.Client, list []connection, rounds int) []disagreement {
	c.tb.Helper()
	for again := 0; ; again++ {
		answers := c.ask(asked, list)
		opened, err := try(list)
		c.must(err)
		var disagree []disagreement
		var rest []connection
		for i := range list {
			if answers[i] != opened[i] {
				disagree = append(disagree, disagreement{list[i], answers[i]})
				rest = append(rest, list[i])
			}
		}
		if len(disagree) == 0 || again == rounds {
			return disagree
		}
		if again == manyRounds/2 {
			c.tb.Logf("the plugin is started anew, since after %d rounds this disagrees: %v", again, disagree[:min(len(disagree), 4)])
			c.restart()
		}
		c.settle()
		list = rest
	}
}
