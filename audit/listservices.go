package audit

// prepareServices looks up the ports of the Services that the request selects, and counts the Services that
// cannot be asked.
func (l *List) prepareServices() {
	named := map[[2]string]bool{}
	for _, s := range l.dst.services {
		named[[2]string{s.Namespace, s.Name}] = true
	}
	for _, s := range l.snapshot.AllServices() {
		if !l.dst.allServices && !named[[2]string{s.Namespace, s.Name}] {
			continue
		}
		targets := l.roles.ServiceRoles(s)
		if len(targets) == 0 {
			l.summary.UnaskableServices++
		}
		for _, t := range targets {
			if l.ports == nil || l.ports.Contains(t.Protocol, t.Port) {
				l.services = append(l.services, t)
			}
		}
	}
}

// connectionToServices returns the connection of a role of sources to all Services that it reaches, if any.
func (l *List) connectionToServices(src *roleGroups) []folded {
	if src.kind == NodeGroup {
		return nil
	}
	c := &Connection{}
	for i := range l.services {
		t := &l.services[i]
		if l.roles.ReachesService(src.role, t) {
			c.DstServices = append(c.DstServices, ServicePort{t.Namespace, t.Name, t.Protocol, t.Port})
		}
	}
	if len(c.DstServices) == 0 {
		return nil
	}
	return []folded{{connection: c}}
}
