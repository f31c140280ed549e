package enginetest

import (
	"net/netip"

	"github.com/netpold/netpold/engine"
)

// Question returns a random question. It is mostly about the given objects, and now and then about what is
// not there: most faults are about things that exist and collide.
func (r *Random) Question(objects []engine.Object) Question {
	o := &Oracle{Objects: objects}
	q := Question{Src: r.endpoint(o, false), Dst: r.endpoint(o, true), Port: r.port(), Protocol: r.protocol()}
	if r.chance(60) {
		q.Port, q.Protocol = 80, engine.TCP
	}
	if r.chance(5) {
		q.Dst = q.Src
	}
	for _, s := range objectsOf[*engine.Service](o) {
		asked := q.Dst.Service != nil && *q.Dst.Service == Name{s.Namespace, s.Name}
		if asked || r.chance(5) {
			if len(s.Ports) > 0 && r.chance(80) {
				p := pick(r, s.Ports...)
				q.Port, q.Protocol = p.Port, p.Protocol
			}
		}
	}
	return q
}

// endpoint returns an end of any kind: by IP, Pod, workload, Service or labels, or none. A Service as source,
// which is an error, is rare.
func (r *Random) endpoint(o *Oracle, dst bool) Endpoint {
	n := r.rand.IntN(100)
	switch {
	case n < 35:
		usual := pick(r, podAddrs(), podAddrs(), podAddrs(), nodeAddrs(), serviceAddrs(), externalAddrs())
		return Endpoint{IP: r.addr(usual)}
	case n < 38:
		a := one(r, podAddrs()...)
		return Endpoint{IP: netip.AddrFrom16(a.As16())} // IPv4 as IPv4-mapped IPv6 (S9)
	case n < 63:
		name := Name{r.namespace(), r.podName()}
		if pods := objectsOf[*engine.Pod](o); len(pods) > 0 && !r.chance(10) {
			p := pick(r, pods...)
			name = Name{p.Namespace, p.Name}
		}
		return Endpoint{Pod: &name}
	case n < 75:
		name := WorkloadName{r.namespace(), r.workload()}
		if pods := objectsOf[*engine.Pod](o); len(pods) > 0 && !r.chance(10) {
			if p := pick(r, pods...); len(p.Workloads) > 0 {
				name = WorkloadName{p.Namespace, pick(r, p.Workloads...)}
			}
		}
		return Endpoint{Workload: &name}
	case n < 90 && (dst || n < 76):
		name := Name{r.namespace(), r.service()}
		if services := objectsOf[*engine.Service](o); len(services) > 0 && !r.chance(10) {
			s := pick(r, services...)
			name = Name{s.Namespace, s.Name}
		}
		return Endpoint{Service: &name}
	case n < 99:
		l := &engine.LabelledPod{Namespace: r.namespace(), Labels: r.labels(), Ports: some(r, 2, r.namedPort)}
		if r.chance(60) {
			l.IP = r.addr(podAddrs())
		}
		return Endpoint{Labels: l}
	default:
		return Endpoint{}
	}
}
