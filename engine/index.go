package engine

import (
	"slices"

	"github.com/netpold/netpold/engine/internal/persist"
)

// posting is a place of the inverted index. Selectors are filed at few, so that a class finds all that could select it at
// the places of its own labels; classes are filed at all places of their labels, so that a selector finds its classes.
type posting struct {
	of postingKind
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

// idSet is a sorted set of ids, changed in place by the edit that owns it.
type idSet struct {
	owner *persist.Edit
	ids   []uint32
}

// index maps places to ids.
type index struct {
	postings persist.Map[posting, *idSet]
}

func newIndex() index {
	return index{persist.NewMap[posting, *idSet](persist.HashOf[posting]())}
}

func (x *index) at(p posting) []uint32 {
	if set := x.postings.Find(p); set != nil {
		return (*set).ids
	}
	return nil
}

func (x *index) add(e *persist.Edit, p posting, id uint32) {
	set, _ := x.postings.Get(p)
	if set == nil || set.owner != e {
		fresh := &idSet{owner: e}
		if set != nil {
			fresh.ids = append(make([]uint32, 0, len(set.ids)+1), set.ids...)
		}
		set = fresh
		x.postings.Set(e, p, set)
	}
	if at, found := slices.BinarySearch(set.ids, id); !found {
		set.ids = slices.Insert(set.ids, at, id)
	}
}

func (x *index) remove(e *persist.Edit, p posting, id uint32) {
	set, _ := x.postings.Get(p)
	if set == nil {
		return
	}
	at, found := slices.BinarySearch(set.ids, id)
	switch {
	case !found:
	case len(set.ids) == 1:
		x.postings.Delete(e, p)
	case set.owner == e:
		set.ids = slices.Delete(set.ids, at, at+1)
	default:
		fresh := make([]uint32, 0, len(set.ids)-1)
		fresh = append(append(fresh, set.ids[:at]...), set.ids[at+1:]...)
		x.postings.Set(e, p, &idSet{owner: e, ids: fresh})
	}
}

// homesOf chooses where a selector is filed: at the values of one requirement, the one whose places hold the fewest
// selectors so far, so that a class meets few that do not select it.
func (x *index) homesOf(s *selector) []posting {
	best, cost := []posting{{of: anyPod, scope: s.scope}}, -1
	consider := func(reqs Selector, value, key postingKind) {
		for _, r := range reqs {
			var homes []posting
			switch r.Operator {
			case In:
				homes = make([]posting, 0, len(r.Values))
				for _, v := range r.Values {
					homes = append(homes, posting{value, s.scope, r.Key, v})
				}
			case Exists:
				homes = []posting{{key, s.scope, r.Key, ""}}
			default:
				continue // what an object lacks is no place to meet it
			}
			held := 0
			for _, h := range homes {
				held += len(x.at(h)) + 1
			}
			if cost < 0 || held < cost {
				best, cost = homes, held
			}
		}
	}
	consider(s.pods, podValue, podKey)
	consider(s.namespaces, namespaceValue, namespaceKey)
	return best
}

// candidates yields every place where a selector of Pods with these labels in this namespace may be filed.
func candidates(namespace string, namespaceLabels, podLabels []label, yield func(posting)) {
	yield(posting{of: anyPod, scope: namespace})
	yield(posting{of: anyPod})
	for _, l := range podLabels {
		yield(posting{podValue, namespace, l.key, l.value})
		yield(posting{podKey, namespace, l.key, ""})
		yield(posting{podValue, "", l.key, l.value})
		yield(posting{podKey, "", l.key, ""})
	}
	for _, l := range namespaceLabels {
		yield(posting{namespaceValue, "", l.key, l.value})
		yield(posting{namespaceKey, "", l.key, ""})
	}
}

// placesOf yields every place where a class with these labels is filed.
func placesOf(namespace string, podLabels []label, yield func(posting)) {
	yield(posting{of: anyPod, scope: namespace})
	for _, l := range podLabels {
		yield(posting{podValue, namespace, l.key, l.value})
		yield(posting{podKey, namespace, l.key, ""})
		yield(posting{podValue, "", l.key, l.value})
		yield(posting{podKey, "", l.key, ""})
	}
}
