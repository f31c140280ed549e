package audittest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
)

// Admits returns the exposures of a group that admit a Pod on a port, by number or by a name of the Pod's.
func (r *Reading) Admits(
	group uint32, d audit.Direction, p *engine.LabelledPod, namespaceLabels map[string]string,
	protocol engine.Protocol, port uint16,
) []*audit.Exposure {
	var list []*audit.Exposure
	for _, e := range r.Exposures {
		if e.Group != group || e.Direction != d ||
			!matches(e.Namespaces, namespaceLabels) || !matches(e.Pods, p.Labels) ||
			slices.ContainsFunc(e.Except, func(x audit.ExposureExcept) bool {
				return matches(x.Namespaces, namespaceLabels) && matches(x.Pods, p.Labels)
			}) {
			continue
		}
		named := d == audit.Egress && slices.ContainsFunc(e.Named, func(n audit.NamedPort) bool {
			return slices.Contains(p.Ports, engine.NamedPort{Name: n.Name, Port: port, Protocol: protocol}) &&
				n.Protocol == protocol
		})
		if named || hasPort(e.Ports, protocol, port) {
			list = append(list, e)
		}
	}
	return list
}

// checkExposures checks the order and shape of exposures.
func (r *Reading) checkExposures() {
	for i, e := range r.Exposures {
		if len(e.Ports)+len(e.Named) == 0 || e.Direction == audit.Ingress && len(e.Named) > 0 {
			r.breaks("exposure %+v: ports", *e)
		}
		if i == 0 {
			continue
		}
		before := r.Exposures[i-1]
		order := cmp.Or(
			cmp.Compare(before.Group, e.Group), cmp.Compare(before.Direction, e.Direction),
			cmp.Compare(before.Namespaces, e.Namespaces), cmp.Compare(before.Pods, e.Pods),
		)
		if order > 0 || order == 0 && slices.Equal(before.Except, e.Except) {
			r.breaks("exposures %+v and %+v: not in order, or one", *before, *e)
		}
	}
}

// matches reports whether labels match a selector as kubectl's -l takes it.
func matches(selector string, labels map[string]string) bool {
	for _, part := range split(selector) {
		if !matchesPart(part, labels) {
			return false
		}
	}
	return true
}

// split divides a selector at the commas outside parentheses.
func split(selector string) (parts []string) {
	depth, from := 0, 0
	for i, c := range selector {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts, from = append(parts, selector[from:i]), i+1
		}
	}
	if from < len(selector) {
		parts = append(parts, selector[from:])
	}
	return parts
}

// matchesPart reports whether labels match one requirement.
func matchesPart(part string, labels map[string]string) bool {
	if key, list, ok := strings.Cut(part, " notin ("); ok {
		v, has := labels[key]
		return !has || !slices.Contains(strings.Split(strings.TrimSuffix(list, ")"), ","), v)
	}
	if key, list, ok := strings.Cut(part, " in ("); ok {
		v, has := labels[key]
		return has && slices.Contains(strings.Split(strings.TrimSuffix(list, ")"), ","), v)
	}
	if key, want, ok := strings.Cut(part, "!="); ok {
		v, has := labels[key]
		return !has || v != want
	}
	if key, want, ok := strings.Cut(part, "="); ok {
		v, has := labels[key]
		return has && v == want
	}
	if key, ok := strings.CutPrefix(part, "!"); ok {
		_, has := labels[key]
		return !has
	}
	_, has := labels[part]
	return has
}
