package engine

import (
	"iter"
	"slices"

	"github.com/netpold/netpold/engine/internal/persist"
)

// posting is a place of the inverted index. Selectors are filed at few, so that a class finds all that could select it at
// the places of its own labels; classes are filed at all places of their labels, so that a selector finds its classes.
type posting struct {
	kind postingKind
	// scope is a namespace, or empty for selectors that look into several, and for classes of all.
	scope, key, value string
}

type postingKind uint8

const (
	// podValue: the Pod has key with value.
	podValue postingKind = iota
	// podKey: the Pod has key.
	podKey
	// namespaceValue: the Pod's namespace has key with value.
	namespaceValue
	// namespaceKey: the Pod's namespace has key.
	namespaceKey
	// anyPod: nothing narrows it within the scope.
	anyPod
)

// manyIDs is from how many ids on a set is a map, so that adding one copies little of it.
const manyIDs = 64

// idSet is a set of ids, changed in place by the edit that owns it.
type idSet struct {
	owner *persist.Edit
	few   []uint32
	many  persist.Map[uint32, struct{}] // of all, once it has any
}

func (s *idSet) len() int { return max(len(s.few), s.many.Len()) }

func (s *idSet) add(e *persist.Edit, id uint32) {
	switch {
	case s.many.Len() > 0:
		s.many.Set(e, id, struct{}{})
	case slices.Contains(s.few, id):
	case len(s.few) < manyIDs:
		s.few = append(s.few, id)
	default:
		s.many = persist.NewMap[uint32, struct{}](seededMix())
		for _, id := range append(s.few, id) {
			s.many.Set(e, id, struct{}{})
		}
		s.few = nil
	}
}

func (s *idSet) remove(e *persist.Edit, id uint32) {
	s.many.Delete(e, id)
	s.few = slices.DeleteFunc(s.few, func(o uint32) bool { return o == id })
}

// An index maps postings to ids.
type index struct {
	postings persist.Map[posting, *idSet]
}

func newIndex() index {
	return index{persist.NewMap[posting, *idSet](persist.HashOf[posting]())}
}

// ids yields the ids of a posting, in no particular order. The index must not change meanwhile.
func (x *index) ids(p posting) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		set := x.postings.Find(p)
		if set == nil {
			return
		}
		for _, id := range (*set).few {
			if !yield(id) {
				return
			}
		}
		for id := range (*set).many.All() {
			if !yield(id) {
				return
			}
		}
	}
}

// count returns how many ids a posting has.
func (x *index) count(p posting) int {
	if set := x.postings.Find(p); set != nil {
		return (*set).len()
	}
	return 0
}

func (x *index) add(e *persist.Edit, p posting, id uint32) { x.writable(e, p).add(e, id) }

func (x *index) remove(e *persist.Edit, p posting, id uint32) {
	if x.postings.Find(p) == nil {
		return
	}
	set := x.writable(e, p)
	if set.remove(e, id); set.len() == 0 {
		x.postings.Delete(e, p)
	}
}

// writable returns the set of a posting for writing.
func (x *index) writable(e *persist.Edit, p posting) *idSet {
	set, _ := x.postings.Get(p)
	if set == nil || set.owner != e {
		fresh := &idSet{owner: e}
		if set != nil {
			fresh.few, fresh.many = slices.Clone(set.few), set.many
		}
		set = fresh
		x.postings.Set(e, p, set)
	}
	return set
}

// choosePostings chooses where a selector is filed: at the values of one requirement, the one whose postings hold the fewest
// selectors so far, so that a class meets few that do not select it.
func (x *index) choosePostings(s *selector) []posting {
	best, cost := []posting{{kind: anyPod, scope: s.scope}}, -1
	consider := func(reqs Selector, value, key postingKind) {
		for _, r := range reqs {
			var postings []posting
			switch r.Operator {
			case In:
				postings = make([]posting, 0, len(r.Values))
				for _, v := range r.Values {
					postings = append(postings, posting{value, s.scope, r.Key, v})
				}
			case Exists:
				postings = []posting{{key, s.scope, r.Key, ""}}
			default:
				continue // what an object lacks is nothing to find it by
			}
			sum := 0
			for _, p := range postings {
				sum += x.count(p) + 1
			}
			if cost < 0 || sum < cost {
				best, cost = postings, sum
			}
		}
	}
	consider(s.pods, podValue, podKey)
	consider(s.namespaces, namespaceValue, namespaceKey)
	return best
}

// candidatePostings yields every posting at which a selector of Pods with these labels in this namespace may be filed.
func candidatePostings(namespace string, namespaceLabels, podLabels []label, yield func(posting)) {
	yield(posting{kind: anyPod, scope: namespace})
	for _, l := range podLabels {
		yield(posting{podValue, namespace, l.key, l.value})
		yield(posting{podKey, namespace, l.key, ""})
	}
	if namespace == nodeScope { // no selector of Pods looks there
		return
	}
	yield(posting{kind: anyPod})
	for _, l := range podLabels {
		yield(posting{podValue, "", l.key, l.value})
		yield(posting{podKey, "", l.key, ""})
	}
	for _, l := range namespaceLabels {
		yield(posting{namespaceValue, "", l.key, l.value})
		yield(posting{namespaceKey, "", l.key, ""})
	}
}

// classPostings yields every posting at which a class with these labels is filed.
func classPostings(namespace string, podLabels []label, yield func(posting)) {
	yield(posting{kind: anyPod, scope: namespace})
	for _, l := range podLabels {
		yield(posting{podValue, namespace, l.key, l.value})
		yield(posting{podKey, namespace, l.key, ""})
		if namespace != nodeScope {
			yield(posting{podValue, "", l.key, l.value})
			yield(posting{podKey, "", l.key, ""})
		}
	}
}
