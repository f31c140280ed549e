package audit

import (
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// workloadOf returns the outermost workload of a Pod, or the Pod.
func workloadOf(e *engine.RoleEnd) engine.Named {
	if e.Workload == (engine.Workload{}) {
		return engine.Named{Kind: "Pod", Namespace: e.Namespace, Name: e.Name}
	}
	return engine.Named{Kind: e.Workload.Kind, Namespace: e.Namespace, Name: e.Workload.Name}
}

// A workloadEnd is a workload as one end of the difference (D2).
type workloadEnd struct {
	in       [2]workloadState
	src, dst bool
}

// A workloadState is a workload in one state.
type workloadState struct {
	pods []engine.RoleEnd
	// onHost reports whether some Pod is on the host network.
	onHost bool
}

// addWorkloads adds the workloads that the request selects: a workload is one group, and is meant with all of
// its Pods if one of them is. Its Pods may differ in roles, so that its verdict is what all pairs of Pods
// have in common. The members are the Pods of the state after, or of the state before if the workload is
// gone. It is on the host network or isolated if all of them are, and has the families that all of them have.
func (d *Diff) addWorkloads(done <-chan struct{}, b *groupBuilder) error {
	found := map[engine.Named]*workloadEnd{}
	for i := range d.states {
		s := &d.states[i]
		if err := s.roles.EachPod(done, func(e *engine.RoleEnd) {
			name := workloadOf(e)
			w := found[name]
			if w == nil {
				w = new(workloadEnd)
				found[name] = w
			}
			src, dst := s.src.hasPod(e), s.dst.hasPod(e)
			w.src, w.dst = w.src || src, w.dst || dst
			w.in[i].pods = append(w.in[i].pods, *e)
			w.in[i].onHost = w.in[i].onHost || e.Kind == engine.RoleHostNetwork
		}); err != nil {
			return err
		}
	}
	for _, w := range found {
		if w.src || w.dst {
			d.addWorkload(b, w)
		}
	}
	return nil
}

// addWorkload adds a workload as a group.
func (d *Diff) addWorkload(b *groupBuilder, w *workloadEnd) {
	var source, destination jointRole
	for i := range w.in {
		s, in := &d.states[i], &w.in[i]
		if len(in.pods) == 0 {
			continue
		}
		slices.SortFunc(in.pods, func(a, b engine.RoleEnd) int { return strings.Compare(a.Name, b.Name) })
		var kind GroupKind
		if d.withNodes {
			kind = PodGroup
			if in.onHost {
				kind = HostNetworkGroup
			}
		}
		source[i] = s.roleOfAll(asSource, in.pods, kind, !d.request.Policies)
		destination[i] = s.roleOfAll(asDestination, in.pods, kind, !d.request.Policies)
	}
	shown := w.in[stateAfter].pods
	if len(shown) == 0 {
		shown = w.in[stateBefore].pods
	}
	whole := shown[0]
	for _, p := range shown[1:] {
		whole.Families &= p.Families
		whole.IsolatedEgress = whole.IsolatedEgress && p.IsolatedEgress
		whole.IsolatedIngress = whole.IsolatedIngress && p.IsolatedIngress
		if p.Kind == engine.RolePod {
			whole.Kind = engine.RolePod
		}
	}
	whole.Source = d.joint[asSource].numberOf(source)
	whole.Destination = d.joint[asDestination].numberOf(destination)
	for _, p := range shown {
		whole.Name, whole.Node, whole.IPs = p.Name, p.Node, p.IPs
		b.add(&whole, w.src, w.dst)
	}
}

// roleOfAll returns the role of a workload of these Pods in the state. The roles of several are in order of
// the first Pod of each, by name, as the first pair tells the rules; sorted if no rules are told.
func (s *diffState) roleOfAll(as int, pods []engine.RoleEnd, kind GroupKind, sorted bool) stateRole {
	var roles []uint32
	seen := map[uint32]bool{}
	for i := range pods {
		role := pods[i].Source
		if as == asDestination {
			role = pods[i].Destination
		}
		if !seen[role] {
			seen[role], roles = true, append(roles, role)
		}
	}
	if len(roles) == 1 {
		return stateRole{present: true, kind: kind, role: roles[0]}
	}
	if sorted {
		slices.Sort(roles)
	}
	return stateRole{present: true, kind: kind, many: s.many[as].numberOf(roles)}
}
