package convert

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netpold/netpold/engine"
)

// ports sets the ports of a rule (S41, S42), and reports whether one of them is named.
func (c *clusterCheck) ports(f *fields, to *engine.Rule) (named bool) {
	name := c.dialect.ports
	path := f.path.Child(name)
	items, ok := f.list(name)
	switch {
	case !ok:
		return false
	case len(items) == 0:
		f.errs = append(f.errs, field.Required(path, "must have a port; leave "+name+" out for every port"))
	case len(items) > c.dialect.most: // S46
		c.report(field.TooMany(path, len(items), c.dialect.most))
	}
	for i, item := range items {
		p := fieldsOf(item, path.Index(i))
		var port engine.Port
		if name == "protocols" {
			port = protocolPort(p)
		} else {
			port = adminPort(p)
		}
		f.merge(p)
		named = named || port.Name != ""
		to.Ports = append(to.Ports, port)
	}
	return named
}

// protocolPort converts an entry of a ClusterNetworkPolicy's protocols (S41).
func protocolPort(p *fields) engine.Port {
	kind := p.oneOf("tcp", "udp", "sctp", "destinationNamedPort")
	if kind == "" {
		return engine.Port{}
	}
	if kind == "destinationNamedPort" {
		return namedPort(p, kind)
	}
	var to engine.Port
	to.Protocol, _ = protocolOf(corev1.Protocol(strings.ToUpper(kind)))
	protocol := p.mapping(kind)
	if protocol.has("destinationPort") {
		port := protocol.mapping("destinationPort")
		switch port.oneOf("number", "range") {
		case "number":
			to.First = portNumber(port, "number")
			to.Last = to.First
		case "range":
			of := port.mapping("range")
			to.First, to.Last = portNumber(of, "start"), portNumber(of, "end")
			if len(of.errs) == 0 && to.First >= to.Last {
				of.errs = append(of.errs, field.Invalid(of.path, of.values, "start must be below end"))
			}
			port.merge(of)
		}
		protocol.merge(port)
	} else if protocol.values != nil {
		protocol.errs = append(protocol.errs,
			field.Required(protocol.path.Child("destinationPort"), `must have one of "number", "range"`))
	}
	p.merge(protocol)
	return to
}

// adminPort converts an entry of an AdminNetworkPolicy's ports (S42).
func adminPort(p *fields) engine.Port {
	kind := p.oneOf("portNumber", "portRange", "namedPort")
	if kind == "" {
		return engine.Port{}
	}
	if kind == "namedPort" {
		return namedPort(p, kind)
	}
	var to engine.Port
	of := p.mapping(kind)
	text, given := of.text("protocol")
	protocol, known := protocolOf(corev1.Protocol(text))
	if !known || given && text == "" {
		of.errs = append(of.errs, field.NotSupported(of.path.Child("protocol"), text,
			[]string{"TCP", "UDP", "SCTP"}))
	}
	to.Protocol = protocol
	if kind == "portNumber" {
		to.First = portNumber(of, "port")
		to.Last = to.First
	} else {
		to.First, to.Last = portNumber(of, "start"), portNumber(of, "end")
		if len(of.errs) == 0 && to.First > to.Last {
			of.errs = append(of.errs, field.Invalid(of.path, of.values, "start must not be above end"))
		}
	}
	p.merge(of)
	return to
}

// namedPort converts a port name, which matches container ports of that name of every protocol (S43).
func namedPort(p *fields, kind string) engine.Port {
	name, ok := p.text(kind)
	if ok && name == "" {
		p.errs = append(p.errs, field.Required(p.path.Child(kind), "must be the name of a container port"))
	}
	return engine.Port{Name: intern(name), AnyProtocol: true}
}

// portNumber returns the port number in a field, or adds an error.
func portNumber(f *fields, name string) uint16 {
	n, ok := f.number(name)
	if !ok {
		if f.values != nil && f.values[name] == nil {
			f.errs = append(f.errs, field.Required(f.path.Child(name), "must be between 1 and 65535, inclusive"))
		}
		return 0
	}
	port, ok := portOf(n)
	if !ok {
		f.errs = append(f.errs, field.Invalid(f.path.Child(name), n, "must be between 1 and 65535, inclusive"))
	}
	return port
}
