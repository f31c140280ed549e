package audit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A lintService is a Service that selects Pods.
type lintService struct {
	*engine.Service
	// classes are those of the Pods that it selects.
	classes []*lintClass
}

// lintServicePorts finds numbers that an ingress rule opens and that are ports of a Service of the selected
// Pods, and neither a target port of it nor a container port (S24).
func (l *linter) lintServicePorts(u *lintRule) {
	if u.Direction != Ingress || u.action != engine.Allow || !l.wants(ServicePortNotTarget) {
		return
	}
	for i := range u.from.Ports {
		p := &u.from.Ports[i]
		if p.Name != "" || p.First != p.Last || isInvalidPort(p) {
			continue
		}
		s := l.misledService(u.of, p)
		if s == nil || l.isContainerPort(u.of, p) {
			continue
		}
		f := u.finding(ServicePortNotTarget, "opens %s, which is a port of Service %s and not one that its Pods "+
			"listen on: %s", portWords(p), s.Name, s.targetWords(p))
		f.Port = i
		l.add(f, portWords(p))
	}
}

// misledService returns a Service that selects a Pod of those that a policy selects, and that has a port of this
// number and no such target port; nil for none. A headless Service leads each port to itself.
func (l *linter) misledService(of *lintPolicy, p *engine.Port) *lintService {
	for _, namespace := range of.namespaces() {
		for _, s := range l.servicesIn(namespace) {
			if s.Headless || !s.hasPort(p) {
				continue
			}
			if common := of.common(s); len(common) > 0 && !l.isTarget(s, common, p) {
				return s
			}
		}
	}
	return nil
}

// namespaces returns those of the Pods that the policy selects, each once.
func (p *lintPolicy) namespaces() []string {
	var list []string
	for _, c := range p.classes { // sorted by namespace
		if n := len(list); n == 0 || list[n-1] != c.Namespace {
			list = append(list, c.Namespace)
		}
	}
	return list
}

// common returns the classes of the Pods that both the policy and a Service select.
func (p *lintPolicy) common(s *lintService) []*lintClass {
	var list []*lintClass
	for _, c := range s.classes {
		if _, found := slices.BinarySearchFunc(p.classes, c, compareLintClasses); found {
			list = append(list, c)
		}
	}
	return list
}

// servicesIn returns the Services of a namespace that select Pods.
func (l *linter) servicesIn(namespace string) []*lintService {
	if l.services == nil {
		l.services = map[string][]*lintService{}
		for _, s := range l.snapshot.AllServices() {
			if len(s.Selector) > 0 && !s.ExternalName {
				l.services[s.Namespace] = append(l.services[s.Namespace], &lintService{Service: s})
			}
		}
		for _, c := range l.classes {
			l.selectByServices(c)
		}
	}
	return l.services[namespace]
}

// selectByServices adds a class to the Services that select a Pod of it.
func (l *linter) selectByServices(c *lintClass) {
	for _, s := range l.services[c.Namespace] {
		if slices.ContainsFunc(c.ends, func(e *lintEnd) bool {
			return slices.ContainsFunc(e.pods, func(p engine.PodState) bool {
				return l.step() || l.snapshot.HasLabels(p.Namespace, p.Name, s.Selector)
			})
		}) {
			s.classes = append(s.classes, c)
		}
	}
}

// hasPort reports whether a port of a rule is a port of the Service.
func (s *lintService) hasPort(p *engine.Port) bool {
	return slices.ContainsFunc(s.Ports, func(o engine.ServicePort) bool {
		return o.Port == p.First && o.Protocol == p.Protocol
	})
}

// detail returns where the object of the Service leads one of its ports: to a name, or to a number.
func (s *lintService) detail(port uint16, protocol engine.Protocol) (name string, number uint16) {
	for _, d := range s.PortDetails {
		if d.Port == port && d.Protocol == protocol {
			return d.Target, cmp.Or(d.TargetPort, port)
		}
	}
	return "", port
}

// isTarget reports whether some port of a Service leads to this one: by its object, on Pods of some classes, or
// by its EndpointSlices.
func (l *linter) isTarget(s *lintService, common []*lintClass, p *engine.Port) bool {
	return slices.ContainsFunc(s.Ports, func(o engine.ServicePort) bool {
		if o.Protocol != p.Protocol {
			return false
		}
		name, number := s.detail(o.Port, o.Protocol)
		named := engine.NamedPort{Name: name, Port: p.First, Protocol: p.Protocol}
		return name == "" && number == p.First ||
			name != "" && slices.ContainsFunc(common, func(c *lintClass) bool {
				return slices.Contains(c.Ports, named)
			}) ||
			slices.Contains(l.snapshot.ServicePorts(s.Service, o.Port, o.Protocol), p.First)
	})
}

// isContainerPort reports whether some Pod that the policy selects has a container port, named or not.
func (l *linter) isContainerPort(p *lintPolicy, port *engine.Port) bool {
	wanted := engine.UnnamedPort{Port: port.First, Protocol: port.Protocol}
	for _, c := range p.classes {
		for _, e := range c.ends {
			for i := range e.pods {
				if slices.Contains(l.snapshot.ContainerPorts(e.pods[i].Namespace, e.pods[i].Name), wanted) {
					return true
				}
			}
		}
	}
	return false
}

// targetWords says where a port of the Service leads to.
func (s *lintService) targetWords(p *engine.Port) string {
	if name, number := s.detail(p.First, p.Protocol); name != "" {
		return "it leads to the port that they name " + name
	} else if number != p.First {
		return fmt.Sprintf("it leads to %d", number)
	}
	return "see the target port in its EndpointSlices"
}
