package engine

import "slices"

// ServiceRole is a port of a Service and the roles of the endpoints behind it (S24).
type ServiceRole struct {
	Namespace, Name string
	Protocol        Protocol
	Port            uint16
	// families are those to decide in.
	families Families
	backends [2][]roleBackend // in the order of bothFamilies
}

// A roleBackend is the role of an endpoint as a destination, and the port that it is asked on.
type roleBackend struct {
	role uint32
	port uint16
}

// ServiceRoles returns the ports of a Service that can be asked about, in order of protocol and port.
func (r *Roles) ServiceRoles(o *Service) []ServiceRole {
	if o.ExternalName {
		return nil
	}
	var list []ServiceRole
	for _, p := range o.Ports {
		t := ServiceRole{Namespace: o.Namespace, Name: o.Name, Protocol: p.Protocol, Port: p.Port}
		if slices.ContainsFunc(list, func(x ServiceRole) bool {
			return x.Port == p.Port && x.Protocol == p.Protocol
		}) {
			continue
		}
		c, err := r.s.choose(o, &Query{
			Dst: ByService(o.Namespace, o.Name), Port: p.Port, Protocol: p.Protocol,
		})
		if err != nil {
			continue
		}
		t.families = c.families
		for f := range c.backends {
			for i := range c.backends[f] {
				b := &c.backends[f][i]
				_, role := r.rolesOf(&b.party)
				if found := (roleBackend{role, b.port}); !slices.Contains(t.backends[f], found) {
					t.backends[f] = append(t.backends[f], found)
				}
			}
		}
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b ServiceRole) int {
		return comparePorts(portOf(a.Protocol, a.Port), portOf(b.Protocol, b.Port))
	})
	return list
}

// comparePorts orders ports by protocol and number.
func comparePorts(a, b protocolPort) int { return int(a) - int(b) }

// ReachesService reports whether the policies allow a source to reach all endpoints of one family behind a
// port of a Service, on the ports that they are asked on. No endpoint is exempt.
func (r *Roles) ReachesService(source uint32, t *ServiceRole) bool {
	src := r.roles[asSource][source]
	families := src.families & t.families
	foreign := families == 0 && src.families != 0 // no family in common, so that no block matches (S9)
	if families == 0 {
		families = t.families
	}
	for f, family := range bothFamilies {
		if families&family == 0 {
			continue
		}
		at := f
		if foreign {
			at = noFamily
		}
		if !slices.ContainsFunc(t.backends[f], func(b roleBackend) bool {
			return !slices.ContainsFunc(r.pair(src, r.roles[asDestination][b.role], at), func(x Reach) bool {
				return x.Ports.Contains(t.Protocol, b.port)
			})
		}) {
			return true
		}
	}
	return false
}
