package main

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// A model is a cluster as the controller would see it that feeds a general service: Pods, the groups of Pods that
// selectors name, and rules between groups.
type model struct {
	cluster    *synthetic.Cluster
	policies   []*engine.Policy
	pods       []*pod
	namespaces map[string]map[string]string
	groups     map[string]*group
}

// A pod is one of a model.
type pod struct {
	*engine.Pod
	// id is NAMESPACE/NAME, ip its address.
	id, ip string
	// groups are those that it is in.
	groups          []*group
	egress, ingress side
}

// A side is one direction of a Pod: when it is not isolated everything is allowed, else what a rule allows.
type side struct {
	isolated bool
	rules    []*rule
}

// A group is the Pods that a selector of a policy names.
type group struct {
	id      string
	members []*pod
}

// A rule is one of a policy, with its peers as groups.
type rule struct {
	// id is the same whatever other policies there are.
	id      string
	subject *group
	// anyPeer is set if the rule has no peers, which is every peer.
	anyPeer bool
	peers   []*group
	ports   []engine.Port
}

// newModel expands a cluster, with more policies.
func newModel(c *synthetic.Cluster, more ...*engine.Policy) (*model, error) {
	m := &model{cluster: c, policies: slices.Concat(c.Policies, more),
		namespaces: map[string]map[string]string{}, groups: map[string]*group{}}
	for _, o := range c.Others {
		if n, ok := o.(*engine.Namespace); ok {
			labels := map[string]string{"kubernetes.io/metadata.name": n.Name}
			maps.Copy(labels, n.Labels)
			m.namespaces[n.Name] = labels
		}
	}
	for _, p := range c.Pods {
		m.pods = append(m.pods, &pod{Pod: p, id: p.Namespace + "/" + p.Name, ip: p.IPs[0].String()})
	}
	for _, p := range m.policies {
		if err := m.add(p); err != nil {
			return nil, fmt.Errorf("policy %s/%s: %w", p.Namespace, p.Name, err)
		}
	}
	return m, nil
}

// add isolates the Pods that a policy selects, and gives them its rules.
func (m *model) add(p *engine.Policy) error {
	own := namespaceNamed(p.Namespace)
	subject, err := m.group(own, p.Subject)
	if err != nil {
		return err
	}
	for _, direction := range []struct {
		isolates bool
		rules    []engine.Rule
		name     string
		side     func(*pod) *side
	}{
		{p.IsolatesEgress, p.Egress, "egress", func(p *pod) *side { return &p.egress }},
		{p.IsolatesIngress, p.Ingress, "ingress", func(p *pod) *side { return &p.ingress }},
	} {
		if !direction.isolates {
			continue
		}
		var rules []*rule
		for i, from := range direction.rules {
			r := &rule{
				id:      fmt.Sprintf("%s/%s/%s/%d", p.Namespace, p.Name, direction.name, i),
				subject: subject, anyPeer: len(from.Peers) == 0, ports: from.Ports,
			}
			for _, peer := range from.Peers {
				g, err := m.peer(own, &peer)
				if err != nil {
					return err
				}
				if len(g.members) > 0 {
					r.peers = append(r.peers, g)
				}
			}
			rules = append(rules, r)
		}
		for _, p := range subject.members {
			s := direction.side(p)
			s.isolated = true
			s.rules = append(s.rules, rules...)
		}
	}
	return nil
}

// namespaceNamed selects one namespace.
func namespaceNamed(name string) engine.Selector {
	return engine.Selector{{Key: "kubernetes.io/metadata.name", Operator: engine.In, Values: []string{name}}}
}

// peer is the group of Pods that a peer names, for a policy of its own namespace.
func (m *model) peer(own engine.Selector, p *engine.Peer) (*group, error) {
	switch {
	case p.Block != nil:
		return m.collect("block "+fmt.Sprint(*p.Block), func(o *pod) (bool, error) { return inBlock(p.Block, o), nil })
	case p.Namespaces == nil && p.Pods != nil:
		return m.group(own, *p.Pods)
	case p.Pods == nil && p.Namespaces != nil:
		return m.group(*p.Namespaces, nil)
	case p.Namespaces != nil:
		return m.group(*p.Namespaces, *p.Pods)
	}
	return nil, fmt.Errorf("a peer %+v, which the model does not know", *p)
}

func inBlock(b *engine.IPBlock, p *pod) bool {
	for _, ip := range p.IPs {
		in := b.CIDR.Contains(ip)
		for _, except := range b.Except {
			in = in && !except.Contains(ip)
		}
		if in {
			return true
		}
	}
	return false
}

// group is that of Pods with some labels in namespaces with some labels.
func (m *model) group(namespaces, pods engine.Selector) (*group, error) {
	return m.collect(fmt.Sprint(namespaces, pods), func(p *pod) (bool, error) {
		in, err := selects(namespaces, m.namespaces[p.Namespace])
		if !in || err != nil {
			return false, err
		}
		return selects(pods, p.Labels)
	})
}

// collect is the group that key stands for, collected the first time that it is asked for.
func (m *model) collect(key string, in func(*pod) (bool, error)) (*group, error) {
	if g := m.groups[key]; g != nil {
		return g, nil
	}
	h := fnv.New64a()
	h.Write([]byte(key))
	g := &group{id: fmt.Sprintf("g%016x", h.Sum64())}
	for _, p := range m.pods {
		is, err := in(p)
		if err != nil {
			return nil, err
		}
		if is {
			g.members = append(g.members, p)
			p.groups = append(p.groups, g)
		}
	}
	m.groups[key] = g
	return g, nil
}

// selects reports whether a selector selects labels.
func selects(s engine.Selector, labels map[string]string) (bool, error) {
	for _, r := range s {
		if r.Operator != engine.In {
			return false, fmt.Errorf("operator %v, which the model does not know", r.Operator)
		}
		if value, ok := labels[r.Key]; !ok || !slices.Contains(r.Values, value) {
			return false, nil
		}
	}
	return true, nil
}

// A span is ports from first to last.
type span struct{ first, last uint16 }

// spans are the TCP ports of a rule at a destination, with its named ports as numbers. A rule without ports has all.
func (r *rule) spans(dst *pod) []span {
	if len(r.ports) == 0 {
		return []span{{1, 65535}}
	}
	var list []span
	for _, p := range r.ports {
		switch {
		case p.Protocol != engine.TCP:
		case p.Name == "":
			list = append(list, span{p.First, p.Last})
		default:
			for _, named := range dst.Ports {
				if p.Names(named) {
					list = append(list, span{named.Port, named.Port})
				}
			}
		}
	}
	return list
}

// admits reports whether a rule has a TCP port of a destination.
func (r *rule) admits(dst *pod, port uint16) bool {
	return slices.ContainsFunc(r.spans(dst), func(s span) bool { return s.first <= port && port <= s.last })
}
