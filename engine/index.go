package engine

import (
	"iter"
	"slices"

	"github.com/netpold/netpold/engine/internal/persist"
)

// A posting is where an inverted index files something: a condition on a Pod that can be looked up.
//
// There are two indexes. A selector is filed at the postings of one requirement, and a class at every posting
// of its labels, so that each side finds the other from what it has itself:
//
//	selector app in (a, b), tier exists    filed at  app=a, app=b            (or at tier, if that has fewer)
//	class    app=a, tier=web               looks at  app=a, app, tier=web, tier, any
//
// What is found is a candidate: it is still compared whole.
type posting struct {
	kind postingKind
	// scope is a namespace. It is empty for selectors that look into several namespaces, and for classes of
	// all.
	scope, key, value string
}

// A postingKind is the kind of condition.
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

// manyIDs is the number of ids from which on a set is a map, so that adding one more copies little of it.
const manyIDs = 64

// An idSet is a set of ids: a list while they are few, and then a map. It may be changed only under the edit
// that owns it.
type idSet struct {
	owner *persist.Edit
	few   []uint32                      // unsorted
	many  persist.Map[uint32, struct{}] // has all ids once it has any
}

// len returns the number of ids.
func (s *idSet) len() int { return max(len(s.few), s.many.Len()) }

// add adds an id, which may be there already.
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

// remove removes an id if it is there.
func (s *idSet) remove(e *persist.Edit, id uint32) {
	s.many.Delete(e, id)
	s.few = slices.DeleteFunc(s.few, func(o uint32) bool { return o == id })
}

// An index maps postings to the ids filed there. A plain copy is a snapshot.
//
// Invariant: every add has a remove with the same posting, because both are computed from the same immutable
// record.
type index struct {
	postings persist.Map[posting, *idSet]
}

// newIndex returns an empty index.
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

// count returns the number of ids at a posting.
func (x *index) count(p posting) int {
	if set := x.postings.Find(p); set != nil {
		return (*set).len()
	}
	return 0
}

// add files an id at a posting.
func (x *index) add(e *persist.Edit, p posting, id uint32) { x.writable(e, p).add(e, id) }

// remove takes an id away from a posting, and the posting with its last id.
func (x *index) remove(e *persist.Edit, p posting, id uint32) {
	if x.postings.Find(p) == nil {
		return
	}
	set := x.writable(e, p)
	if set.remove(e, id); set.len() == 0 {
		x.postings.Delete(e, p)
	}
}

// writable returns the set of a posting for writing. It makes an empty one if there is none.
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

// choosePostings returns where to file a selector: at the postings of the one requirement that has the fewest
// selectors so far, so that a class meets few candidates that do not select it. It is anyPod for a selector
// without a requirement that can be looked up.
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
				continue // nothing is filed under what it lacks
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

// candidatePostings yields every posting at which a selector of Pods with these labels in this namespace may
// be filed. For a Node the namespace is nodeScope, and selectors of Pods are not looked at.
func candidatePostings(namespace string, namespaceLabels, podLabels []label, yield func(posting)) {
	yield(posting{kind: anyPod, scope: namespace})
	for _, l := range podLabels {
		yield(posting{podValue, namespace, l.key, l.value})
		yield(posting{podKey, namespace, l.key, ""})
	}
	if namespace == nodeScope {
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

// classPostings yields every posting at which a class with these labels is filed: for selectors of its
// namespace, and again for those of the whole cluster. Selectors of the whole cluster without labels find it
// by its namespace.
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
