package audit

import (
	"cmp"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// exposuresOf returns the exposures of a group, in order: those of its egress if the request selects it as a
// source, and those of its ingress if it selects it as a destination.
func (l *List) exposuresOf(g *listGroup) []Item {
	if g.Kind != PodGroup && g.Kind != HypotheticalGroup {
		return nil
	}
	var list []Item
	if g.key.bySrc {
		list = l.appendExposures(list, g, Egress, l.roles.ExposureOfSource(g.key.source))
	}
	if g.key.byDst {
		list = l.appendExposures(list, g, Ingress, l.roles.ExposureOfDestination(g.key.destination))
	}
	return list
}

// appendExposures appends the exposures of one side of a group, cut to the ports that are listed.
func (l *List) appendExposures(
	list []Item, g *listGroup, d Direction, found []engine.RoleExposure,
) []Item {
	from := len(list)
	for _, x := range found {
		e := &Exposure{
			Group: g.ID, Direction: d, Namespaces: selectorText(x.Namespaces), Pods: selectorText(x.Pods),
			Ports: l.cut(x.Ports),
		}
		for _, s := range x.Except {
			e.Except = append(e.Except, ExposureExcept{selectorText(s.Namespaces), selectorText(s.Pods)})
		}
		for _, p := range x.Named {
			e.Named = append(e.Named, namedPorts(p)...)
		}
		for _, r := range x.By {
			e.By = append(e.By, ruleOf(r, d))
		}
		if len(e.Ports)+len(e.Named) > 0 {
			list = append(list, Item{Exposure: e})
		}
	}
	slices.SortFunc(list[from:], func(a, b Item) int {
		return cmp.Or(
			cmp.Compare(a.Exposure.Namespaces, b.Exposure.Namespaces),
			cmp.Compare(a.Exposure.Pods, b.Exposure.Pods),
			engine.PortSet(a.Exposure.Ports).Compare(b.Exposure.Ports),
		)
	})
	return list
}

// namedPorts returns a port of a rule by name: one for each protocol if it names none (S43).
func namedPorts(p engine.Port) []NamedPort {
	if !p.AnyProtocol {
		return []NamedPort{{p.Protocol, p.Name}}
	}
	return []NamedPort{{engine.TCP, p.Name}, {engine.UDP, p.Name}, {engine.SCTP, p.Name}}
}

// selectorText returns a selector as kubectl's -l takes it; "" for one that selects all.
func selectorText(s engine.Selector) string {
	var parts []string
	for _, r := range s {
		if r.Operator == engine.NotIn && len(r.Values) == 0 {
			continue // it selects all
		}
		parts = append(parts, requirementWords(r.Operator, r.Key, strings.Join(r.Values, ","), len(r.Values) == 1))
	}
	return strings.Join(parts, ",")
}
