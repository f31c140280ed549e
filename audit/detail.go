package audit

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// PeerDetail returns what a peer of a rule wants and, if it does not match, what was met. p is nil for a rule of
// a cluster-wide policy. Examples: "app=web"; "app=apl, wanted app in (api)".
func PeerDetail(
	e *engine.Explanation, d Direction, p *engine.Policy, x *engine.PeerExplanation,
) string {
	a := asked{e: e, direction: d}
	_, end := a.ends()
	if len(x.Names) > 0 {
		return "domain names, which match nothing: " + list(x.Names)
	}
	if len(x.Peers) == 0 {
		return "not understood, and matches nothing"
	}
	switch x.Why {
	case engine.MissNone:
		return wants(p, x.Peers)
	case engine.MissInvalid:
		return "not valid, and matches nothing"
	case engine.MissNamespace, engine.MissPodLabels, engine.MissNodeLabels:
		return metLabels(p, &x.Peers[0], x.Why, end)
	case engine.MissExcepted:
		return met(e, end) + ", wanted " + wants(p, x.Peers)
	case engine.MissNoAddress:
		return "no address, wanted " + wants(p, x.Peers)
	case engine.MissInCluster:
		return met(e, end) + " of the cluster, and ipBlocks match none there; wanted " + wants(p, x.Peers)
	default:
		return met(e, end) + ", wanted " + wants(p, x.Peers)
	}
}

// met returns what a peer that is no selector, or a selector that is no Pod's, met.
func met(e *engine.Explanation, end *engine.ExplainedEnd) string {
	var ips []string
	for _, ip := range end.IPs {
		if e.Family == 0 || ip.Is4() == (e.Family == engine.IPv4) {
			ips = append(ips, ip.String())
		}
	}
	address := strings.Join(ips, ", ")
	switch end.Kind {
	case engine.ResolvedHostNetworkPod:
		return strings.TrimSpace("a host-network Pod " + address)
	case engine.ResolvedNode:
		return strings.TrimSpace("a Node " + address)
	case engine.ResolvedExternal:
		return "the outside address " + address
	default:
		return "a Pod " + address
	}
}

// metLabels returns the labels that keep a selector from matching, and what it wanted of them.
func metLabels(p *engine.Policy, x *engine.Peer, why engine.Miss, end *engine.ExplainedEnd) string {
	selector, labels, of := x.Pods, end.Labels, ""
	switch {
	case why == engine.MissNodeLabels:
		selector, labels = x.Nodes, end.NodeLabels
	case why == engine.MissNamespace && x.Namespaces == nil:
		return fmt.Sprintf("namespace %s, wanted %s", Printable(end.Namespace), Printable(p.Namespace))
	case why == engine.MissNamespace:
		selector, labels = x.Namespaces, end.NamespaceLabels
		of = "namespace " + Printable(end.Namespace) + ": "
	}
	if selector == nil {
		return ""
	}
	var parts []string
	for _, r := range unmet(*selector, labels) {
		if why == engine.MissNamespace && isNamespaceName(r) {
			parts, of = append(parts, "namespace "+Printable(end.Namespace)+", wanted "+nameWords(r.Values)), ""
			continue
		}
		value, has := labels[r.Key]
		is := "no label " + Printable(r.Key)
		if has {
			is = Printable(r.Key) + "=" + Printable(value)
		}
		parts = append(parts, is+", wanted "+requirementText(r, false))
	}
	return of + strings.Join(parts, "; ")
}

// isNamespaceName reports whether a requirement wants a namespace by its name (S18).
func isNamespaceName(r *engine.Requirement) bool {
	return r.Key == metadataName && r.Operator == engine.In && len(r.Values) > 0
}

// nameWords returns names of which one is wanted.
func nameWords(names []string) string {
	if len(names) == 1 {
		return Printable(names[0])
	}
	return "one of " + list(names)
}

// wants returns what a peer of an object wants, of which the engine has peers.
func wants(p *engine.Policy, peers []engine.Peer) string {
	var parts []string
	for i := range peers {
		switch x := &peers[i]; {
		case x.Block != nil:
			parts = append(parts, blockText(x.Block))
		case x.Nodes != nil:
			parts = append(parts, "Nodes with "+orAny(SelectorText(*x.Nodes)))
		default:
			parts = append(parts, podsText(p, x))
		}
	}
	return strings.Join(parts, ", ")
}

// podsText returns the Pods that a peer wants. Examples: "app=web"; "any Pod"; "app=web in namespaces with
// env=prod".
func podsText(p *engine.Policy, x *engine.Peer) string {
	pods := "any Pod"
	if x.Pods != nil && len(*x.Pods) > 0 {
		pods = SelectorText(*x.Pods)
	}
	switch {
	case x.Namespaces == nil && p != nil && pods == "any Pod":
		return pods + " of namespace " + Printable(p.Namespace)
	case x.Namespaces == nil && p != nil:
		return pods
	case x.Namespaces == nil, len(*x.Namespaces) == 0:
		return pods + " of any namespace"
	case len(*x.Namespaces) == 1 && isNamespaceName(&(*x.Namespaces)[0]):
		return pods + " of namespace " + nameWords((*x.Namespaces)[0].Values)
	}
	return pods + " in namespaces with " + SelectorText(*x.Namespaces)
}

func orAny(selector string) string {
	if selector == "" {
		return "any labels"
	}
	return selector
}

func blockText(b *engine.IPBlock) string {
	text := b.CIDR.String()
	if len(b.Except) > 0 {
		text += " except " + list(texts(b.Except))
	}
	return text
}

func texts(prefixes []netip.Prefix) []string {
	out := make([]string, len(prefixes))
	for i, p := range prefixes {
		out[i] = p.String()
	}
	return out
}

// maxListed is how many things of one list are named.
const maxListed = 8

// list returns words with commas between, and how many are left out.
func list(words []string) string {
	shown := make([]string, 0, maxListed)
	for _, w := range words[:min(len(words), maxListed)] {
		shown = append(shown, Printable(w))
	}
	text := strings.Join(shown, ", ")
	if more := len(words) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// SelectorText returns a selector in the order in which it was written, as kubectl's -l takes it; "" for one
// that matches everything. Example: "app=web,tier in (back, front)".
func SelectorText(s engine.Selector) string {
	parts := make([]string, len(s))
	for i := range s {
		parts[i] = requirementText(&s[i], true)
	}
	return strings.Join(parts, ",")
}

// requirementText returns a requirement. A short one writes a set of one value as an equation.
func requirementText(r *engine.Requirement, short bool) string {
	return requirementWords(r.Operator, Printable(r.Key), list(r.Values), short && len(r.Values) == 1)
}

// requirementWords writes a requirement as kubectl's -l takes it. set is the values as they are shown, and
// equation reports whether they are one value, written without brackets.
func requirementWords(o engine.Operator, key, set string, equation bool) string {
	switch {
	case o == engine.In && equation:
		return key + "=" + set
	case o == engine.In:
		return key + " in (" + set + ")"
	case o == engine.NotIn && equation:
		return key + "!=" + set
	case o == engine.NotIn:
		return key + " notin (" + set + ")"
	case o == engine.Exists:
		return key
	case o == engine.DoesNotExist:
		return "!" + key
	}
	return key + " with an unknown operator"
}

// PortDetail returns what a port of a rule wants and, if it does not match, what was asked. Examples: "TCP
// 5432"; "TCP 5433, wanted TCP 5432".
func PortDetail(e *engine.Explanation, x *engine.PortExplanation) string {
	was := fmt.Sprintf("%v %d", e.Protocol, e.Port)
	switch x.Why {
	case engine.MissNone:
		return portText(&x.Port)
	case engine.MissInvalid:
		return "not valid, and matches nothing"
	case engine.MissNoSuchName:
		return fmt.Sprintf("the destination has no port named %s, wanted %s", Printable(x.Port.Name),
			portText(&x.Port))
	case engine.MissNameIsOther:
		var are []string
		for _, n := range e.Dst.Ports {
			if x.Port.Names(n) {
				are = append(are, fmt.Sprintf("%v %d", n.Protocol, n.Port))
			}
		}
		return fmt.Sprintf("%s, wanted %s, which is %s there", was, portText(&x.Port),
			list(slices.Compact(are)))
	default:
		return was + ", wanted " + portText(&x.Port)
	}
}

// portText returns what a port of a rule wants. Examples: "TCP 80", "UDP 1000-2000", "TCP http", "any TCP port".
func portText(p *engine.Port) string {
	if p.Name == "" && p.First <= 1 && p.Last == 65535 {
		return "any " + p.Protocol.String() + " port"
	}
	shown := *p
	if p.Name != "" {
		shown.Name = Printable(p.Name)
	}
	return portWords(&shown)
}
