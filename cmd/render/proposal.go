package render

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/netpold/netpold/audit/propose"
	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
)

// ProposalPolicies returns the policies of a proposal as documents of YAML, by namespace, each rule with the
// flows behind it as a comment. It is empty if there are none.
func ProposalPolicies(p *propose.Proposal) ([]byte, error) {
	var b bytes.Buffer
	namespace := ""
	for i := range p.Policies {
		policy := &p.Policies[i]
		if policy.Isolates[propose.Egress] || policy.Isolates[propose.Ingress] {
			if policy.Namespace != namespace {
				namespace = policy.Namespace
				fmt.Fprintf(&b, "# Namespace %s\n", Clean(namespace))
			}
			b.WriteString("---\n")
			e := yaml.NewEncoder(&b)
			e.SetIndent(2)
			if err := e.Encode(policyNode(policy)); err != nil {
				return nil, fmt.Errorf("writing NetworkPolicy %q: %w", policy.Namespace+"/"+policy.Name, err)
			}
			if err := e.Close(); err != nil {
				return nil, fmt.Errorf("writing NetworkPolicy %q: %w", policy.Namespace+"/"+policy.Name, err)
			}
		}
	}
	return b.Bytes(), nil
}

// UnitWords returns a unit in the words of check. Example: "deploy/shop/web".
func UnitWords(u *propose.Unit) string {
	if u.Workload == (engine.Workload{}) {
		return Clean(u.Namespace + "/" + u.Pod)
	}
	return Clean(netpold.FormatEndpoint(netpold.Workload(u.Namespace, u.Workload.Kind, u.Workload.Name)))
}

// ProposalEnd returns an end of flows in words. Example: "203.0.113.9/32".
func ProposalEnd(e *propose.End) string {
	switch {
	case e.Unit != nil:
		return UnitWords(e.Unit)
	case e.Node != "" && len(e.CIDRs) > 0:
		return Clean(fmt.Sprintf("node/%s (%s)", e.Node, e.CIDRs[0].Addr()))
	case e.Node != "":
		return Clean("node/" + e.Node)
	case len(e.CIDRs) > 0:
		return e.CIDRs[0].String()
	}
	return "an address that is not known"
}

// Span returns a stretch of time by its days; empty if it is not known. Example: ", 2026-11-01 to 2026-11-26".
func Span(first, last time.Time) string {
	if first.IsZero() {
		return ""
	}
	from, to := first.UTC().Format(time.DateOnly), last.UTC().Format(time.DateOnly)
	if from == to {
		return ", " + from
	}
	return ", " + from + " to " + to
}

// Thousands returns a number with commas. Example: "1,204".
func Thousands(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// EnginePorts returns ports in words. Example: "53/UDP, 80/TCP, 8000-8010/TCP".
func EnginePorts(ports engine.PortSet) string {
	words := make([]string, len(ports))
	for i, r := range ports {
		words[i] = fmt.Sprintf("%d/%s", r.First, r.Protocol)
		if r.First != r.Last {
			words[i] = fmt.Sprintf("%d-%d/%s", r.First, r.Last, r.Protocol)
		}
	}
	return strings.Join(words, ", ")
}

// scalar returns a text. It is quoted where YAML 1.1, which Kubernetes reads, could take it for something else.
func scalar(value string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	letter := value != "" && (value[0] >= 'a' && value[0] <= 'z' || value[0] >= 'A' && value[0] <= 'Z')
	switch strings.ToLower(value) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		letter = false
	}
	if !letter && !strings.Contains(value, "/") {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func portNode(n uint16) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(int(n))}
}

// mapping returns a mapping of keys and values, in order.
func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i < len(pairs); i += 2 {
		value, ok := pairs[i+1].(*yaml.Node)
		if !ok {
			value = scalar(fmt.Sprint(pairs[i+1]))
		}
		n.Content = append(n.Content, scalar(fmt.Sprint(pairs[i])), value)
	}
	return n
}

func sequence(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

func labelsNode(labels map[string]string) *yaml.Node {
	matched := mapping()
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		matched.Content = append(matched.Content, scalar(k), scalar(labels[k]))
	}
	return mapping("matchLabels", matched)
}

func policyNode(p *propose.Policy) *yaml.Node {
	spec := mapping("podSelector", labelsNode(p.Unit.Selector))
	types := sequence()
	rules := mapping()
	for d, name := range [2]string{"Egress", "Ingress"} {
		direction := propose.Direction(d)
		if !p.Isolates[d] {
			continue
		}
		types.Content = append(types.Content, scalar(name))
		if len(p.Rules[d]) == 0 {
			types.Content[len(types.Content)-1].HeadComment = "# no flow that needs a rule: " + name + " gets none"
			continue
		}
		items := sequence()
		for i := range p.Rules[d] {
			items.Content = append(items.Content, ruleNode(p.Unit, direction, &p.Rules[d][i]))
		}
		rules.Content = append(rules.Content, scalar(direction.String()), items)
	}
	spec.Content = append(append(spec.Content, scalar("policyTypes"), types), rules.Content...)
	n := mapping(
		"apiVersion", "networking.k8s.io/v1", "kind", "NetworkPolicy",
		"metadata", mapping("name", p.Name, "namespace", p.Namespace), "spec", spec,
	)
	n.HeadComment = "# " + UnitWords(p.Unit) + ", by its labels today"
	for i := range p.Open {
		n.HeadComment += "\n# " + OpenWords(p, &p.Open[i])
	}
	return n
}

// OpenWords says what stays as it is of a policy, and why.
func OpenWords(p *propose.Policy, o *propose.Open) string {
	stays := "stays open"
	if p.Today[o.Direction] {
		stays = "denies some flows as it does today"
	}
	why := "a rule of it failed the check"
	switch {
	case o.Mixed:
		stays, why = "stays as it is", "policies isolate only some of its Pods today, and a new one would isolate all"
	case o.Peer != nil && o.Peer.Unit != nil:
		why = "no labels tell the Pods of " + ProposalEnd(o.Peer) + " apart"
	case o.Peer != nil:
		why = "no ipBlock matches " + ProposalEnd(o.Peer)
	}
	return o.Direction.String() + " " + stays + ": " + why
}

func ruleNode(u *propose.Unit, d propose.Direction, r *propose.Rule) *yaml.Node {
	peers := sequence()
	for _, peer := range r.Units {
		node := mapping()
		if peer.Namespace != u.Namespace {
			labels := map[string]string{"kubernetes.io/metadata.name": peer.Namespace}
			node.Content = append(node.Content, scalar("namespaceSelector"), labelsNode(labels))
		}
		node.Content = append(node.Content, scalar("podSelector"), labelsNode(peer.Selector))
		peers.Content = append(peers.Content, node)
	}
	for _, cidr := range r.CIDRs {
		peers.Content = append(peers.Content, mapping("ipBlock", mapping("cidr", cidr.String())))
	}
	ports := sequence()
	for _, p := range r.Ports {
		if p.First == p.Last {
			ports.Content = append(ports.Content, mapping("port", portNode(p.First), "protocol", p.Protocol))
			continue
		}
		ports.Content = append(ports.Content,
			mapping("port", portNode(p.First), "endPort", portNode(p.Last), "protocol", p.Protocol))
	}
	side := "to"
	if d == propose.Ingress {
		side = "from"
	}
	n := mapping(side, peers, "ports", ports)
	n.HeadComment = strings.Join(behindWords(u, d, r), "\n")
	return n
}

// behindWords returns a comment for each peer of a rule, with the flows behind it.
func behindWords(u *propose.Unit, d propose.Direction, r *propose.Rule) []string {
	lines := make([]string, len(r.Behind))
	for i := range r.Behind {
		b := &r.Behind[i]
		var peer string
		switch {
		case b.Unit != nil:
			peer = UnitWords(b.Unit)
		case len(b.CIDRs) == 1:
			peer = b.CIDRs[0].String()
		default:
			peer = counted(uint64(len(b.CIDRs)), "range") + " of addresses"
		}
		if len(b.Nodes) > 0 {
			peer += " (" + Clean(nodeWords(b.Nodes)) + ")"
		}
		src, dst := UnitWords(u), peer
		if d == propose.Ingress {
			src, dst = dst, src
		}
		flow := " flows"
		if b.Flows == 1 {
			flow = " flow"
		}
		lines[i] = fmt.Sprintf("# %s%s%s: %s -> %s %s", Thousands(b.Flows), flow, Span(b.Span.First, b.Span.Last), src, dst,
			EnginePorts(r.Ports))
	}
	return lines
}

// nodeWords names a few Nodes.
func nodeWords(nodes []string) string {
	const most = 3
	words := "node/" + strings.Join(nodes[:min(most, len(nodes))], ", node/")
	if left := len(nodes) - most; left > 0 {
		words += fmt.Sprintf(" and %d more", left)
	}
	return words
}
