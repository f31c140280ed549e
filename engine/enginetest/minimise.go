package enginetest

import (
	"slices"

	"github.com/netpold/netpold/engine"
)

// Minimise returns batches that still fail, with as little in them as it can reach: it drops batches,
// changes, and parts of objects, one at a time, as long as fails reports true for the rest. A failure of a
// random cluster of 40 objects becomes one of three or four, which a person can read. fails must be true for
// batches, and must give one answer always.
func Minimise(batches [][]engine.Change, fails func([][]engine.Change) bool) [][]engine.Change {
	state := State{}
	for _, b := range batches {
		state.Apply(b)
	}
	var fresh []engine.Change
	for _, o := range state.Objects() {
		fresh = append(fresh, engine.Change{Object: o})
	}
	if fails([][]engine.Change{fresh}) { // then the history plays no part
		batches = [][]engine.Change{fresh}
	}
	for {
		before := size(batches)
		batches = shorten(batches, fails)
		for i := range batches {
			replace := func(batch []engine.Change) [][]engine.Change {
				c := slices.Clone(batches)
				c[i] = batch
				return c
			}
			batches[i] = shorten(batches[i], func(b []engine.Change) bool { return fails(replace(b)) })
			for j := range batches[i] {
				for _, smaller := range smaller(batches[i][j].Object) {
					b := slices.Clone(batches[i])
					b[j].Object = smaller
					if fails(replace(b)) {
						batches = replace(b)
						break
					}
				}
			}
		}
		if size(batches) == before {
			return batches
		}
	}
}

// shorten returns list without the items that are not needed for it to fail. It begins at the end, as later
// changes rest on earlier ones.
func shorten[T any](list []T, fails func([]T) bool) []T {
	for i := len(list) - 1; i >= 0; i-- {
		if shorter := slices.Delete(slices.Clone(list), i, i+1); fails(shorter) {
			list = shorter
		}
	}
	return list
}

// size returns a measure that every step of [Minimise] reduces.
func size(batches [][]engine.Change) int { return len(BatchesText(batches)) }

// smaller returns copies of o, each with something left out.
func smaller(o engine.Object) []engine.Object {
	var list []engine.Object
	switch o := o.(type) {
	case *engine.Pod:
		list = append(list,
			edit(o, func(p *engine.Pod) { p.Labels = nil }),
			edit(o, func(p *engine.Pod) { p.Ports = nil }),
			edit(o, func(p *engine.Pod) { p.Workloads = nil }),
			edit(o, func(p *engine.Pod) { p.HostIPs = nil }),
			edit(o, func(p *engine.Pod) { p.Node = "" }),
			edit(o, func(p *engine.Pod) { p.UID, p.Created = "", 0 }))
		for i := range o.IPs {
			list = append(list, edit(o, func(p *engine.Pod) { p.IPs = slices.Delete(p.IPs, i, i+1) }))
		}
	case *engine.Policy:
		list = append(list, edit(o, func(p *engine.Policy) { p.Subject = nil }),
			edit(o, func(p *engine.Policy) { p.IsolatesEgress, p.Egress = false, nil }),
			edit(o, func(p *engine.Policy) { p.IsolatesIngress, p.Ingress = false, nil }))
		list = append(list, smallerRules(o, func(p *engine.Policy) *[]engine.Rule { return &p.Egress })...)
		list = append(list, smallerRules(o, func(p *engine.Policy) *[]engine.Rule { return &p.Ingress })...)
	case *engine.ClusterPolicy:
		list = append(list,
			edit(o, func(p *engine.ClusterPolicy) { p.Subject = engine.ClusterSubject{} }),
			edit(o, func(p *engine.ClusterPolicy) { p.Egress = nil }),
			edit(o, func(p *engine.ClusterPolicy) { p.Ingress = nil }),
			edit(o, func(p *engine.ClusterPolicy) { p.Priority, p.Urgent = 0, false }))
		for i := range o.Egress {
			list = append(list, edit(o, func(p *engine.ClusterPolicy) {
				p.Egress = slices.Delete(p.Egress, i, i+1)
			}))
		}
		for i := range o.Ingress {
			list = append(list, edit(o, func(p *engine.ClusterPolicy) {
				p.Ingress = slices.Delete(p.Ingress, i, i+1)
			}))
		}
	case *engine.Service:
		for i := range o.IPs {
			list = append(list, edit(o, func(s *engine.Service) { s.IPs = slices.Delete(s.IPs, i, i+1) }))
		}
	case *engine.EndpointSlice:
		for i := range o.Endpoints {
			list = append(list, edit(o, func(s *engine.EndpointSlice) {
				s.Endpoints = slices.Delete(s.Endpoints, i, i+1)
			}))
		}
	}
	return list
}

// smallerRules returns copies of o, each without a rule, a peer or a port. rules gives the rules of one
// direction.
func smallerRules(o *engine.Policy, rules func(*engine.Policy) *[]engine.Rule) []engine.Object {
	var list []engine.Object
	for i, r := range *rules(o) {
		list = append(list, edit(o, func(p *engine.Policy) { *rules(p) = slices.Delete(*rules(p), i, i+1) }))
		for j := range r.Peers {
			list = append(list, edit(o, func(p *engine.Policy) {
				(*rules(p))[i].Peers = slices.Delete((*rules(p))[i].Peers, j, j+1)
			}))
		}
		for j := range r.Ports {
			list = append(list, edit(o, func(p *engine.Policy) {
				(*rules(p))[i].Ports = slices.Delete((*rules(p))[i].Ports, j, j+1)
			}))
		}
	}
	return list
}

// edit returns a copy of o that was changed.
func edit[T engine.Object](o T, change func(T)) engine.Object {
	c := Clone(o)
	change(c.(T))
	return c
}
