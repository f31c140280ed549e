package audit

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/netpold/netpold/engine"
)

// fieldOfRule finds the parts of the path of a field: the direction, the rule, and the entry of one of its
// lists. Example: spec.ingress[0].from[1].ipBlock.cidr.
var fieldOfRule = regexp.MustCompile(`^spec\.(ingress|egress)\[(\d+)\](?:\.(from|to|ports|protocols)\[(\d+)\])?`)

// invalidEntry adds the finding of an entry that is out of force.
func (l *linter) invalidEntry(e *InvalidEntry) {
	f := Finding{
		Code: InvalidEntryCode, Policy: e.Policy, Rule: none, Peer: none, Port: none,
		Message: fmt.Sprintf("has an invalid entry, which does not count: %s: %s", e.Field, e.Message),
	}
	if e.Field == "" {
		f.Message = "has an invalid entry, which does not count: " + e.Message
	}
	content := e.Field
	if m := fieldOfRule.FindStringSubmatch(e.Field); m != nil {
		f.Direction = map[string]Direction{"ingress": Ingress, "egress": Egress}[m[1]]
		f.Rule = number(m[2])
		switch m[3] {
		case "from", "to":
			f.Peer = number(m[4])
		case "ports", "protocols":
			f.Port = number(m[4])
		}
		content = e.Field[len(m[0]):] // whatever its index
	}
	l.add(f, content, e.Message)
}

// number returns an index of a path.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n > 1<<30 {
		return none
	}
	return n
}

// PolicyKind returns the kind of a policy as Kubernetes writes it; empty for other kinds.
func PolicyKind(k engine.Kind) string {
	switch k {
	case engine.KindPolicy:
		return "NetworkPolicy"
	case engine.KindClusterNetworkPolicy:
		return engine.ClusterNetworkPolicy.String()
	case engine.KindAdminNetworkPolicy:
		return engine.AdminNetworkPolicy.String()
	case engine.KindBaselineAdminNetworkPolicy:
		return engine.BaselineAdminNetworkPolicy.String()
	case engine.KindPod, engine.KindNamespace, engine.KindNode, engine.KindService, engine.KindEndpointSlice:
	}
	return ""
}
