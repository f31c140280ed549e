package main

import (
	"cmp"
	"fmt"
	"slices"
)

// A tuple is a relation of an object to a subject, as SpiceDB and OpenFGA store them.
//
//	socket:team-000/web-1/8080  ingress  group:g12#member    may come in, by the policies of this Pod
//	socket:team-000/web-1/8080  ingress  pod:*               anybody may: this Pod is not isolated
//	socket:team-000/web-1/8080  egress   group:g34#member    may go out to here, by their own policies
//	group:g12                   member   pod:team-001/api-0
//
// A connection is allowed when its source has both relations to the socket.
type tuple struct {
	// kind and id are the object's.
	kind, id, relation string
	// subject is of kind subjectKind; a group stands for its members, and a Pod with the id * for every Pod.
	subjectKind, subject string
}

const (
	kindPod, kindGroup, kindSocket                           = "pod", "group", "socket"
	relationMember, relationIngress, relationEgress, connect = "member", "ingress", "egress", "connect"
	// everyone is every Pod.
	everyone = "*"
	// unisolated is the group of Pods whose egress no policy isolates: they may go anywhere.
	unisolated = "unisolated"
)

// socketID is the id of a port of a Pod.
func socketID(dst *pod, port uint16) string { return fmt.Sprintf("%s/%d", dst.id, port) }

// tuples are a model as relations, sorted.
func (m *model) tuples() []tuple {
	var list []tuple
	egress := m.egressOf()
	named := map[string]bool{} // groups that some relation names
	for _, dst := range m.pods {
		for _, port := range ports {
			socket := func(relation, subjectKind, subject string) {
				list = append(list, tuple{kindSocket, socketID(dst, port), relation, subjectKind, subject})
				if subjectKind == kindGroup {
					named[subject] = true
				}
			}
			everyoneIn := !dst.ingress.isolated
			for _, r := range dst.ingress.rules {
				if !r.admits(dst, port) {
					continue
				}
				everyoneIn = everyoneIn || r.anyPeer
				for _, g := range r.peers {
					socket(relationIngress, kindGroup, g.id)
				}
			}
			if everyoneIn {
				socket(relationIngress, kindPod, everyone)
			}
			socket(relationEgress, kindGroup, unisolated)
			for _, r := range egress[dst] {
				if r.admits(dst, port) {
					socket(relationEgress, kindGroup, r.subject.id)
				}
			}
		}
	}
	for _, p := range m.pods {
		if !p.egress.isolated {
			list = append(list, tuple{kindGroup, unisolated, relationMember, kindPod, p.id})
		}
	}
	for _, g := range m.groups {
		if !named[g.id] {
			continue
		}
		for _, p := range g.members {
			list = append(list, tuple{kindGroup, g.id, relationMember, kindPod, p.id})
		}
	}
	slices.SortFunc(list, compareTuples)
	return slices.Compact(list)
}

// egressOf are the egress rules whose peers have a Pod.
func (m *model) egressOf() map[*pod][]*rule {
	of := map[*pod][]*rule{}
	seen := map[*rule]bool{}
	for _, src := range m.pods {
		for _, r := range src.egress.rules {
			if seen[r] {
				continue
			}
			seen[r] = true
			if r.anyPeer {
				for _, dst := range m.pods {
					of[dst] = append(of[dst], r)
				}
			}
			for _, g := range r.peers {
				for _, dst := range g.members {
					of[dst] = append(of[dst], r)
				}
			}
		}
	}
	return of
}

func compareTuples(a, b tuple) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id), cmp.Compare(a.relation, b.relation),
		cmp.Compare(a.subjectKind, b.subjectKind), cmp.Compare(a.subject, b.subject))
}

// A tupleChange is what is written and what is removed.
type tupleChange struct{ added, removed []tuple }

// tuplesBetween are those that one model has and the other has not.
func tuplesBetween(before, after *model) tupleChange {
	was, is := before.tuples(), after.tuples()
	in := func(list []tuple) func(tuple) bool {
		return func(t tuple) bool {
			_, found := slices.BinarySearchFunc(list, t, compareTuples)
			return found
		}
	}
	return tupleChange{slices.DeleteFunc(slices.Clone(is), in(was)), slices.DeleteFunc(slices.Clone(was), in(is))}
}
