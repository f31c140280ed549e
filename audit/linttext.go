package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// String returns "egress" or "ingress", and nothing for no direction.
func (d Direction) String() string {
	switch d {
	case Egress:
		return "egress"
	case Ingress:
		return "ingress"
	}
	return ""
}

// String returns the severity in one word.
func (s Severity) String() string {
	switch s {
	case SeverityError:
		return "error"
	case SeverityWarning:
		return "warning"
	case SeverityInfo:
		return "info"
	}
	return ""
}

// labelWords writes a selector as kubectl's -l does, requirements and values in order.
func labelWords(s engine.Selector) string {
	words := make([]string, len(s))
	for i, r := range s {
		values := slices.Sorted(slices.Values(r.Values))
		words[i] = requirementWords(r.Operator, r.Key, strings.Join(values, ","), len(values) == 1)
	}
	slices.Sort(words)
	return strings.Join(words, ",")
}

// podWords says which Pods a selector of Pods means.
func podWords(s engine.Selector) string {
	if len(s) == 0 {
		return "any Pod"
	}
	return "a Pod with " + labelWords(s)
}

// peerWords says what a peer of a policy in namespace means; namespace is empty for a cluster-wide policy.
func peerWords(namespace string, p *engine.Peer) string {
	switch {
	case p.Nodes != nil && len(*p.Nodes) == 0:
		return "any Node"
	case p.Nodes != nil:
		return "a Node with " + labelWords(*p.Nodes)
	case p.Block != nil && len(p.Block.Except) > 0:
		return p.Block.CIDR.String() + " without its exceptions"
	case p.Block != nil:
		return p.Block.CIDR.String()
	}
	var pods engine.Selector
	if p.Pods != nil {
		pods = *p.Pods
	}
	switch {
	case p.Namespaces == nil && namespace != "":
		return podWords(pods) + " in namespace " + namespace
	case p.Namespaces == nil || len(*p.Namespaces) == 0:
		return podWords(pods) + " in any namespace"
	}
	return podWords(pods) + " in a namespace with " + labelWords(*p.Namespaces)
}

// portWords writes a port of a rule: TCP 80, UDP 8000-8999, TCP http.
func portWords(p *engine.Port) string {
	switch {
	case p.Name != "" && p.AnyProtocol:
		return p.Name
	case p.Name != "":
		return p.Protocol.String() + " " + p.Name
	case p.First == p.Last:
		return fmt.Sprint(p.Protocol, " ", p.First)
	}
	return fmt.Sprint(p.Protocol, " ", p.First, "-", p.Last)
}

// counted writes a number of things: 1 Pod, 2 Pods.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprint(n, " ", thing, "s")
}

// ruleWords names a rule for people: ingress rule 0 of shop/web.
func (r *Rule) ruleWords() string {
	name := ""
	if r.Policy != nil {
		name = r.Policy.Namespace + "/" + r.Policy.Name
	} else {
		name = r.ClusterPolicy.Kind.String() + " " + r.ClusterPolicy.Name
	}
	if r.Direction == 0 {
		return name
	}
	return fmt.Sprintf("%s rule %d of %s", r.Direction, r.Index, name)
}
