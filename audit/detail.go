package audit

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/netpold/netpold/engine"
)

// AppendPeerDetail appends what a peer of a rule wants and, if it does not match, what was met. p is nil for a rule
// of a cluster-wide policy. Examples: "app=web"; "app=apl, wanted app in (api)".
func AppendPeerDetail(
	b []byte, e *engine.Explanation, d Direction, p *engine.Policy, x *engine.PeerExplanation,
) []byte {
	a := asked{e: e, direction: d}
	_, end := a.ends()
	if len(x.Names) > 0 {
		return appendList(append(b, "domain names, which match nothing: "...), x.Names)
	}
	if len(x.Peers) == 0 {
		return append(b, "not understood, and matches nothing"...)
	}
	switch x.Why {
	case engine.MissNone:
	case engine.MissInvalid:
		return append(b, "not valid, and matches nothing"...)
	case engine.MissNamespace, engine.MissPodLabels, engine.MissNodeLabels:
		return appendMetLabels(b, p, &x.Peers[0], x.Why, end)
	case engine.MissNoAddress:
		b = append(b, "no address, wanted "...)
	case engine.MissInCluster:
		b = append(appendMet(b, e, end), " of the cluster, and ipBlocks match none there; wanted "...)
	default:
		b = append(appendMet(b, e, end), ", wanted "...)
	}
	return appendWants(b, p, x.Peers)
}

// appendMet appends what a peer that is no selector, or a selector that is no Pod's, met.
func appendMet(b []byte, e *engine.Explanation, end *engine.ExplainedEnd) []byte {
	between := " "
	switch end.Kind {
	case engine.ResolvedHostNetworkPod:
		b = append(b, "a host-network Pod"...)
	case engine.ResolvedNode:
		b = append(b, "a Node"...)
	case engine.ResolvedExternal:
		b, between = append(b, "the outside address "...), ""
	default:
		b, between = append(b, "a Pod "...), ""
	}
	for _, ip := range end.IPs {
		if e.Family == 0 || ip.Is4() == (e.Family == engine.IPv4) {
			b = ip.AppendTo(append(b, between...))
			between = ", "
		}
	}
	return b
}

// appendMetLabels appends the labels that keep a selector from matching, and what it wanted of them.
func appendMetLabels(
	b []byte, p *engine.Policy, x *engine.Peer, why engine.Miss, end *engine.ExplainedEnd,
) []byte {
	selector, labels := x.Pods, end.Labels
	switch {
	case why == engine.MissNodeLabels:
		selector, labels = x.Nodes, end.NodeLabels
	case why == engine.MissNamespace && x.Namespaces == nil:
		b = append(append(b, "namespace "...), Printable(end.Namespace)...)
		return append(append(b, ", wanted "...), Printable(p.Namespace)...)
	case why == engine.MissNamespace:
		selector, labels = x.Namespaces, end.NamespaceLabels
	}
	if selector == nil {
		return b
	}
	var room [4]*engine.Requirement
	missed := appendUnmet(room[:0], *selector, labels)
	if why == engine.MissNamespace && !slices.ContainsFunc(missed, isNamespaceName) {
		b = append(append(append(b, "namespace "...), Printable(end.Namespace)...), ": "...)
	}
	for i, r := range missed {
		if i > 0 {
			b = append(b, "; "...)
		}
		if why == engine.MissNamespace && isNamespaceName(r) {
			b = append(append(b, "namespace "...), Printable(end.Namespace)...)
			b = appendNames(append(b, ", wanted "...), r.Values)
			continue
		}
		if value, has := labels[r.Key]; has {
			b = append(append(append(b, Printable(r.Key)...), '='), Printable(value)...)
		} else {
			b = append(append(b, "no label "...), Printable(r.Key)...)
		}
		b = appendRequirement(append(b, ", wanted "...), r, false)
	}
	return b
}

// isNamespaceName reports whether a requirement wants a namespace by its name (S18).
func isNamespaceName(r *engine.Requirement) bool {
	return r.Key == metadataName && r.Operator == engine.In && len(r.Values) > 0
}

// appendNames appends names of which one is wanted.
func appendNames(b []byte, names []string) []byte {
	if len(names) == 1 {
		return append(b, Printable(names[0])...)
	}
	return appendList(append(b, "one of "...), names)
}

// appendWants appends what a peer of an object wants, of which the engine has peers.
func appendWants(b []byte, p *engine.Policy, peers []engine.Peer) []byte {
	for i := range peers {
		if i > 0 {
			b = append(b, ", "...)
		}
		switch x := &peers[i]; {
		case x.Block != nil:
			b = appendBlock(b, x.Block)
		case x.Nodes != nil && len(*x.Nodes) == 0:
			b = append(b, "Nodes with any labels"...)
		case x.Nodes != nil:
			b = appendSelector(append(b, "Nodes with "...), *x.Nodes)
		default:
			b = appendPods(b, p, x)
		}
	}
	return b
}

// appendPods appends the Pods that a peer wants. Examples: "app=web"; "any Pod"; "app=web in namespaces with
// env=prod".
func appendPods(b []byte, p *engine.Policy, x *engine.Peer) []byte {
	anyPod := x.Pods == nil || len(*x.Pods) == 0
	if anyPod {
		b = append(b, "any Pod"...)
	} else {
		b = appendSelector(b, *x.Pods)
	}
	switch {
	case x.Namespaces == nil && p != nil && anyPod:
		return append(append(b, " of namespace "...), Printable(p.Namespace)...)
	case x.Namespaces == nil && p != nil:
		return b
	case x.Namespaces == nil, len(*x.Namespaces) == 0:
		return append(b, " of any namespace"...)
	case len(*x.Namespaces) == 1 && isNamespaceName(&(*x.Namespaces)[0]):
		return appendNames(append(b, " of namespace "...), (*x.Namespaces)[0].Values)
	}
	return appendSelector(append(b, " in namespaces with "...), *x.Namespaces)
}

func appendBlock(b []byte, block *engine.IPBlock) []byte {
	b = appendPrefix(b, block.CIDR)
	if len(block.Except) == 0 {
		return b
	}
	return appendShown(append(b, " except "...), block.Except, appendPrefix)
}

func appendPrefix(b []byte, p netip.Prefix) []byte { return p.AppendTo(b) }

// maxListed is how many things of one list are named.
const maxListed = 8

// appendList appends words with commas between, and how many are left out.
func appendList(b []byte, words []string) []byte {
	return appendShown(b, words, func(b []byte, word string) []byte { return append(b, Printable(word)...) })
}

// appendShown appends a list with commas between, and how many are left out.
func appendShown[T any](b []byte, list []T, show func([]byte, T) []byte) []byte {
	for i, one := range list {
		if i == maxListed {
			b = strconv.AppendInt(append(b, " and "...), int64(len(list)-i), 10)
			return append(b, " more"...)
		}
		if i > 0 {
			b = append(b, ", "...)
		}
		b = show(b, one)
	}
	return b
}

// appendSelector appends a selector in the order in which it was written, as kubectl's -l takes it; nothing for
// one that matches everything. Example: "app=web,tier in (back, front)".
func appendSelector(b []byte, s engine.Selector) []byte {
	for i := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRequirement(b, &s[i], true)
	}
	return b
}

// appendRequirement appends a requirement. A short one writes a set of one value as an equation.
func appendRequirement(b []byte, r *engine.Requirement, short bool) []byte {
	before, between, after, hasSet := requirementMarks(r.Operator, short && len(r.Values) == 1)
	b = append(append(append(b, before...), Printable(r.Key)...), between...)
	if hasSet {
		b = appendList(b, r.Values)
	}
	return append(b, after...)
}

// requirementWords writes a requirement as kubectl's -l takes it. set is the values as they are shown, and
// equation reports whether they are one value, written without brackets.
func requirementWords(o engine.Operator, key, set string, equation bool) string {
	before, between, after, hasSet := requirementMarks(o, equation)
	if !hasSet {
		set = ""
	}
	return before + key + between + set + after
}

// requirementMarks returns what a requirement has before its key, between key and values, and after these, and
// whether it has values.
func requirementMarks(o engine.Operator, equation bool) (before, between, after string, hasSet bool) {
	switch {
	case o == engine.In && equation:
		return "", "=", "", true
	case o == engine.In:
		return "", " in (", ")", true
	case o == engine.NotIn && equation:
		return "", "!=", "", true
	case o == engine.NotIn:
		return "", " notin (", ")", true
	case o == engine.Exists:
		return "", "", "", false
	case o == engine.DoesNotExist:
		return "!", "", "", false
	}
	return "", " with an unknown operator", "", false
}

// AppendPortDetail appends what a port of a rule wants and, if it does not match, what was asked. Examples: "TCP
// 5432"; "TCP 5433, wanted TCP 5432".
func AppendPortDetail(b []byte, e *engine.Explanation, x *engine.PortExplanation) []byte {
	switch x.Why { //nolint:exhaustive // all others name what was asked
	case engine.MissNone:
		return appendPort(b, &x.Port)
	case engine.MissInvalid:
		return append(b, "not valid, and matches nothing"...)
	case engine.MissNoSuchName:
		b = append(append(b, "the destination has no port named "...), Printable(x.Port.Name)...)
		return appendPort(append(b, ", wanted "...), &x.Port)
	}
	b = appendPort(append(appendNumber(b, e.Protocol, e.Port), ", wanted "...), &x.Port)
	if x.Why != engine.MissNameIsOther {
		return b
	}
	var are []engine.NamedPort
	for _, n := range e.Dst.Ports {
		if x.Port.Names(n) {
			n.Name = ""
			are = append(are, n)
		}
	}
	return append(appendShown(append(b, ", which is "...), slices.Compact(are),
		func(b []byte, n engine.NamedPort) []byte { return appendNumber(b, n.Protocol, n.Port) }), " there"...)
}

// appendNumber appends a port by its number. Example: "TCP 80".
func appendNumber(b []byte, protocol engine.Protocol, port uint16) []byte {
	b = append(append(b, protocol.String()...), ' ')
	return strconv.AppendUint(b, uint64(port), 10)
}

// appendPort appends what a port of a rule wants. Examples: "TCP 80", "UDP 1000-2000", "TCP http", "any TCP port".
func appendPort(b []byte, p *engine.Port) []byte {
	switch {
	case p.Name == "" && p.First <= 1 && p.Last == 65535:
		return append(append(append(b, "any "...), p.Protocol.String()...), " port"...)
	case p.Name != "" && p.AnyProtocol:
		return append(b, Printable(p.Name)...)
	case p.Name != "":
		return append(append(append(b, p.Protocol.String()...), ' '), Printable(p.Name)...)
	}
	b = appendNumber(b, p.Protocol, p.First)
	if p.First != p.Last {
		b = strconv.AppendUint(append(b, '-'), uint64(p.Last), 10)
	}
	return b
}
