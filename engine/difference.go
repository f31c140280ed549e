package engine

import (
	"reflect"
	"slices"

	"github.com/netpold/netpold/engine/internal/persist"
)

// ChangesTo returns changes that make of s what other has, in order of their keys: it deletes the objects
// that other has not, and puts those that differ. So s.With(s.ChangesTo(other)) answers as other does, but
// for the [Options], and shares with s whatever is the same in both.
//
// It is fast if one snapshot was made of the other; otherwise it compares all objects.
func (s *Snapshot) ChangesTo(other *Snapshot) []Change {
	var list []Change
	s.eachDifference(other, func(old, fresh Object) {
		if fresh == nil {
			list = append(list, Change{Object: old, Delete: true})
		} else {
			list = append(list, Change{Object: fresh})
		}
	})
	slices.SortFunc(list, func(a, b Change) int { return a.Object.key().Compare(b.Object.key()) })
	return list
}

// eachDifference yields the objects that differ, in no particular order. One of both is nil if a snapshot has
// it not.
func (s *Snapshot) eachDifference(other *Snapshot, yield func(old, fresh Object)) {
	s.EachPolicyDifference(other, yield)
	eachUnshared(&s.nodes, &other.nodes, (*node).asObject, yield)
	eachUnshared(&s.services, &other.services, (*service).asObject, yield)
	eachUnshared(&s.slices, &other.slices, func(e *EndpointSlice) Object { return e }, yield)
	eachUnshared(&s.namespaces, &other.namespaces, (*namespace).asObject, yield)
	s.eachUnsharedPod(other, func(old, fresh *pod) {
		var was, is Object
		if old != nil {
			was = s.podObject(old)
		}
		if fresh != nil {
			is = other.podObject(fresh)
		}
		yieldDifferent(was, is, yield)
	})
}

// EachPolicyDifference yields the policies of every kind that only one of both snapshots has, or that differ,
// in no particular order. One of both objects is nil if a snapshot has it not. They must not be modified.
func (s *Snapshot) EachPolicyDifference(other *Snapshot, yield func(old, fresh Object)) {
	eachUnshared(&s.policies, &other.policies, (*policy).asObject, yield)
	eachUnshared(&s.clusterPolicies, &other.clusterPolicies, (*policy).asObject, yield)
}

// The objects of records; nil if there is none.

func (n *node) asObject() Object {
	if n.object == nil {
		return nil
	}
	return n.object
}

func (n *namespace) asObject() Object {
	if n.object == nil {
		return nil
	}
	return n.object
}

func (s *service) asObject() Object {
	if s.object == nil {
		return nil
	}
	return s.object
}

func (p *policy) asObject() Object {
	if p.cluster != nil {
		return p.cluster
	}
	return p.source
}

// eachUnshared yields the objects of two maps that differ.
func eachUnshared[K comparable, V comparable](
	before, after *persist.Map[K, V], object func(V) Object, yield func(old, fresh Object),
) {
	eachUnsharedRecord(before, after, func(old, fresh *V) {
		var was, is Object
		if old != nil {
			was = object(*old)
		}
		if fresh != nil {
			is = object(*fresh)
		}
		yieldDifferent(was, is, yield)
	})
}

// eachUnsharedRecord yields the values of two maps that are not equal, each once. One of both is nil if a map
// has not the key.
func eachUnsharedRecord[K comparable, V comparable](
	before, after *persist.Map[K, V], yield func(old, fresh *V),
) {
	for k, fresh := range after.Unshared(before) {
		if old := before.Find(k); old == nil || *old != fresh {
			yield(old, &fresh)
		}
	}
	for k, old := range before.Unshared(after) {
		if after.Find(k) == nil {
			yield(&old, nil)
		}
	}
}

// eachUnsharedPod yields the records of Pods that are not the same, finished ones among them, each once. One
// of both is nil if a snapshot has not the Pod.
func (s *Snapshot) eachUnsharedPod(other *Snapshot, yield func(old, fresh *pod)) {
	eachUnsharedRecord(&s.namespaces, &other.namespaces, func(was, is **namespace) {
		var none persist.Map[string, *pod]
		before, after := &none, &none
		if was != nil {
			before = &(*was).pods
		}
		if is != nil {
			after = &(*is).pods
		}
		eachUnsharedRecord(before, after, func(old, fresh **pod) {
			var a, b *pod
			if old != nil {
				a = *old
			}
			if fresh != nil {
				b = *fresh
			}
			yield(a, b)
		})
	})
}

// WorkloadsNotIn returns the outermost workloads of Pods, and the Pods of no workload, that s has and other
// has not, in no particular order. Finished Pods do not count: they are no ends.
func (s *Snapshot) WorkloadsNotIn(other *Snapshot) []Named {
	seen := map[Named]bool{}
	var list []Named
	other.eachUnsharedPod(s, func(_, p *pod) {
		if p == nil || p.finished {
			return
		}
		name := p.outermost()
		if !seen[name] && !other.hasOutermost(name) {
			list = append(list, name)
		}
		seen[name] = true
	})
	return list
}

// outermost returns the outermost workload of the Pod, or the Pod if it has none.
func (p *pod) outermost() Named {
	if n := len(p.workloads); n > 0 {
		return Named{p.workloads[n-1].Kind, p.namespace, p.workloads[n-1].Name}
	}
	return Named{"Pod", p.namespace, p.name}
}

// hasOutermost reports whether a workload is the outermost of some Pod, or a Pod of no workload is there, that
// has not finished.
func (s *state) hasOutermost(name Named) bool {
	if name.Kind == "Pod" {
		p := s.pod(name.Namespace, name.Name)
		return p != nil && !p.finished && len(p.workloads) == 0
	}
	w, ok := s.workloads.Get(workloadKey{name.Namespace, name.Kind, name.Name})
	if !ok {
		return false
	}
	for pod := range w.pods.All() {
		if p := s.pod(name.Namespace, pod); !p.finished && p.outermost() == name {
			return true
		}
	}
	return false
}

// yieldDifferent yields two objects unless they are the same. Either may be nil.
func yieldDifferent(old, fresh Object, yield func(old, fresh Object)) {
	if old == nil && fresh == nil || old != nil && fresh != nil && SameContent(old, fresh) {
		return
	}
	yield(old, fresh)
}

// SameContent reports whether two objects say the same. No list, and an empty one, are the same.
func SameContent(a, b Object) bool {
	return a == b || sameValue(reflect.ValueOf(a), reflect.ValueOf(b))
}

// sameValue does what SameContent does for parts of objects.
func sameValue(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() || a.IsValid() && a.Type() != b.Type() {
		return false
	}
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() || a.Pointer() == b.Pointer() {
			return a.IsNil() == b.IsNil()
		}
		return sameValue(a.Elem(), b.Elem())
	case reflect.Slice:
		for i := range min(a.Len(), b.Len()) {
			if !sameValue(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return a.Len() == b.Len()
	case reflect.Map:
		for _, k := range a.MapKeys() {
			if !sameValue(a.MapIndex(k), b.MapIndex(k)) {
				return false
			}
		}
		return a.Len() == b.Len()
	case reflect.Struct:
		if a.NumField() > 0 && a.Type().Field(0).IsExported() { // unlike those of netip, which are compared whole
			for i := range a.NumField() {
				if !sameValue(a.Field(i), b.Field(i)) {
					return false
				}
			}
			return true
		}
	default: // has no parts
	}
	return a.Equal(b)
}
