package converttest

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/netpold/netpold/engine"
)

// ClusterPolicy writes a cluster-wide policy of any kind. What the kind has no field for is lost: see [ValidClusterPolicy].
func ClusterPolicy(p *engine.ClusterPolicy) *unstructured.Unstructured {
	spec := map[string]any{"subject": subject(p.Subject)}
	if p.Kind != engine.BaselineAdminNetworkPolicy {
		spec["priority"] = int64(p.Priority)
	}
	if p.Kind == engine.ClusterNetworkPolicy {
		spec["tier"] = "Admin"
		if p.Tier == engine.Baseline {
			spec["tier"] = "Baseline"
		}
	}
	if len(p.Ingress) > 0 {
		spec["ingress"] = clusterRules(p.Kind, p.Ingress, "from")
	}
	if len(p.Egress) > 0 {
		spec["egress"] = clusterRules(p.Kind, p.Egress, "to")
	}
	to := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": p.Name}, "spec": spec}}
	if p.LintIgnore != "" {
		to.SetAnnotations(lintIgnore(p.LintIgnore))
	}
	if p.Created != 0 {
		to.SetCreationTimestamp(created(p.Created))
	}
	return to
}

func subject(s engine.ClusterSubject) map[string]any {
	if len(s.Pods) == 0 {
		return map[string]any{"namespaces": unstructuredSelector(s.Namespaces)}
	}
	return map[string]any{"pods": map[string]any{
		"namespaceSelector": unstructuredSelector(s.Namespaces), "podSelector": unstructuredSelector(s.Pods),
	}}
}

func clusterRules(kind engine.ClusterPolicyKind, rules []engine.ClusterRule, peersField string) []any {
	var to []any
	for _, r := range rules {
		rule := map[string]any{"action": clusterAction(kind, r.Action)}
		if r.Name != "" {
			rule["name"] = r.Name
		}
		var peers, ports []any
		for _, p := range r.Peers {
			peers = append(peers, clusterPeer(p))
		}
		rule[peersField] = peers
		for _, p := range r.Ports {
			if kind == engine.ClusterNetworkPolicy {
				ports = append(ports, protocolPort(p))
			} else {
				ports = append(ports, adminPort(p))
			}
		}
		switch {
		case len(ports) == 0:
		case kind == engine.ClusterNetworkPolicy:
			rule["protocols"] = ports
		default:
			rule["ports"] = ports
		}
		to = append(to, rule)
	}
	return to
}

func clusterAction(kind engine.ClusterPolicyKind, a engine.Action) string {
	switch {
	case a == engine.Pass:
		return "Pass"
	case a == engine.Deny:
		return "Deny"
	case kind == engine.ClusterNetworkPolicy:
		return "Accept"
	}
	return "Allow"
}

func clusterPeer(p engine.Peer) map[string]any {
	switch {
	case p.Nodes != nil:
		return map[string]any{"nodes": unstructuredSelector(*p.Nodes)}
	case p.Block != nil:
		return map[string]any{"networks": []any{p.Block.CIDR.String()}}
	case p.Pods != nil:
		return map[string]any{"pods": map[string]any{
			"namespaceSelector": unstructuredSelector(*p.Namespaces), "podSelector": unstructuredSelector(*p.Pods),
		}}
	}
	return map[string]any{"namespaces": unstructuredSelector(*p.Namespaces)}
}

func protocolPort(p engine.Port) map[string]any {
	if p.Name != "" {
		return map[string]any{"destinationNamedPort": p.Name}
	}
	port := map[string]any{"number": int64(p.First)}
	if p.Last != p.First {
		port = map[string]any{"range": map[string]any{"start": int64(p.First), "end": int64(p.Last)}}
	}
	return map[string]any{strings.ToLower(p.Protocol.String()): map[string]any{"destinationPort": port}}
}

func adminPort(p engine.Port) map[string]any {
	if p.Name != "" {
		return map[string]any{"namedPort": p.Name}
	}
	if p.Last == p.First {
		return map[string]any{"portNumber": map[string]any{"protocol": p.Protocol.String(), "port": int64(p.First)}}
	}
	return map[string]any{"portRange": map[string]any{
		"protocol": p.Protocol.String(), "start": int64(p.First), "end": int64(p.Last),
	}}
}

func unstructuredSelector(s engine.Selector) map[string]any {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(selector(s))
	if err != nil {
		panic(fmt.Sprintf("a selector can always be written: %v", err))
	}
	return m
}

// ValidClusterPolicy returns a copy of p without what the API server would refuse or the kind has no field for. A rule whose
// peers are all wrong gets every Pod for a peer.
func ValidClusterPolicy(p *engine.ClusterPolicy) *engine.ClusterPolicy {
	to := *p
	to.Urgent = false
	to.Priority = max(0, min(p.Priority, 1000))
	switch p.Kind {
	case engine.AdminNetworkPolicy:
		to.Tier = engine.Admin
	case engine.BaselineAdminNetworkPolicy:
		to.Tier, to.Priority, to.Name = engine.Baseline, 0, "default"
	case engine.ClusterNetworkPolicy:
		if p.Tier != engine.Baseline {
			to.Tier = engine.Admin
		}
	}
	to.Ingress, to.Egress = validRules(p.Kind, p.Ingress, false), validRules(p.Kind, p.Egress, true)
	return &to
}

func validRules(kind engine.ClusterPolicyKind, rules []engine.ClusterRule, egress bool) []engine.ClusterRule {
	var to []engine.ClusterRule
	for _, r := range rules {
		if r.Action == engine.Pass && kind == engine.BaselineAdminNetworkPolicy {
			r.Action = engine.Deny
		}
		r.Peers, r.Origins = validPeers(r.Peers, egress), nil
		portless := slices.ContainsFunc(r.Peers, func(p engine.Peer) bool { return p.Nodes != nil || p.Block != nil })
		r.Ports = validPorts(r.Ports, portless)
		to = append(to, r)
	}
	return to
}

func validPeers(peers []engine.Peer, egress bool) []engine.Peer {
	var to []engine.Peer
	for _, p := range peers {
		pods := p.Namespaces != nil || p.Pods != nil
		switch {
		case pods && p.Block == nil && p.Nodes == nil:
			if p.Namespaces == nil {
				p.Namespaces = &engine.Selector{}
			}
		case !pods && egress && p.Nodes != nil && p.Block == nil:
		case !pods && egress && p.Block != nil && p.Nodes == nil && p.Block.CIDR.IsValid():
			p.Block = &engine.IPBlock{CIDR: p.Block.CIDR.Masked()}
		default:
			continue
		}
		to = append(to, p)
	}
	if to == nil {
		to = []engine.Peer{{Namespaces: &engine.Selector{}}}
	}
	return to
}

func validPorts(ports []engine.Port, portless bool) []engine.Port {
	var to []engine.Port
	for _, p := range ports {
		switch {
		case p.Name != "" && !portless:
			to = append(to, engine.Port{Name: p.Name, AnyProtocol: true})
		case p.Name == "" && p.First > 0 && p.First <= p.Last:
			to = append(to, p)
		}
	}
	return to
}
