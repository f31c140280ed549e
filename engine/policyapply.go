package engine

import (
	"iter"
	"slices"
)

// applyPolicy stores a NetworkPolicy or takes it away. It acquires the selectors of the new version before it
// releases the old ones, so that a selector that stays is not made again.
//
// The classes that become dirty are those that the old and the new subject select. Peers concern a class only
// when a selector gets its first rule or loses its last.
func (t *txn) applyPolicy(o *Policy, gone bool) {
	key := nameKey{o.Namespace, o.Name}
	old, ok := t.policies.Get(key)
	if !gone {
		p := compile(o, t.options, t.acquirePeer)
		t.policyUID++
		p.uid = t.policyUID
		p.subject = t.acquireSubject(newSelector(o.Namespace, nil, o.Subject), p)
		t.policies.Set(t.edit, key, p)
		if !ok {
			t.counts.Policies++
		}
	}
	if !ok {
		return
	}
	t.releaseSubject(old)
	old.eachPeerSelector(t.releasePeer)
	if gone {
		t.policies.Delete(t.edit, key)
		t.counts.Policies--
	}
}

// acquireSelector returns the selector that equals s, to be changed and then stored. It gives a new one an id
// and files it in the index.
func (t *txn) acquireSelector(s *selector) *selector {
	if id, ok := t.selectorIDs.Get(s.canonical); ok {
		fresh := *t.selectors.At(id)
		return &fresh
	}
	s.id = t.selectorPool.allocate()
	s.postings = t.selectorIndex.choosePostings(s)
	for _, p := range s.postings {
		t.selectorIndex.add(t.edit, p, s.id)
	}
	t.selectorIDs.Set(t.edit, s.canonical, s.id)
	if s.scope == nodeScope {
		t.nodeSelectors++
	}
	t.useKeys(s)
	t.counts.Selectors++
	return s
}

// storeSelector stores a changed selector, or forgets one that no policy names any more. s must not be
// written again.
func (t *txn) storeSelector(s *selector) {
	if s.peers > 0 || s.clusterPeers > 0 || len(s.subjects) > 0 {
		t.selectors.Set(t.edit, s.id, s)
		return
	}
	for _, p := range s.postings {
		t.selectorIndex.remove(t.edit, p, s.id)
	}
	if s.scope == nodeScope {
		t.nodeSelectors--
	}
	t.disuseKeys(s)
	t.selectorIDs.Delete(t.edit, s.canonical)
	t.selectors.Set(t.edit, s.id, nil)
	t.selectorPool.release(t.edit, s.id)
	t.counts.Selectors--
}

// acquirePeer returns the id of the selector that equals s, for one more peer of a rule of a NetworkPolicy.
func (t *txn) acquirePeer(s *selector) uint32 {
	s = t.acquireSelector(s)
	return t.countPeer(s, &s.peers, 1)
}

// releasePeer undoes one acquirePeer.
func (t *txn) releasePeer(id uint32) {
	s := *t.selectors.At(id)
	t.countPeer(&s, &s.peers, -1)
}

// countPeer adds one to a count of the peers that name s, or takes one away, stores s and returns its id. The
// classes that s selects become dirty with the first peer and with the last. s must be the caller's own.
func (t *txn) countPeer(s *selector, peers *int, change int) uint32 {
	before := *peers
	*peers += change
	if before == 0 || *peers == 0 {
		t.markDirty(s)
	}
	t.storeSelector(s)
	return s.id
}

// acquireSubject returns the id of the selector that equals s, as the subject of p. All classes that it
// selects become dirty.
func (t *txn) acquireSubject(s *selector, p *policy) uint32 {
	s = t.acquireSelector(s)
	s.subjects = append(slices.Clip(s.subjects), p)
	t.markDirty(s)
	t.storeSelector(s)
	return s.id
}

// releaseSubject undoes acquireSubject for a policy.
func (t *txn) releaseSubject(p *policy) {
	s := *t.selectors.At(p.subject)
	s.subjects = slices.DeleteFunc(slices.Clone(s.subjects), func(o *policy) bool { return o == p })
	t.markDirty(&s)
	t.storeSelector(&s)
}

// markDirty marks the classes that a selector selects as dirty.
func (t *txn) markDirty(s *selector) {
	for id := range t.selectedClasses(s) {
		t.dirty[id] = struct{}{}
	}
}

// selectedClasses yields the ids of the classes that a selector selects.
func (s *state) selectedClasses(sel *selector) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for id, c := range s.candidateClasses(sel) {
			if sel.selects(c.namespace, s.labelsOf(c.namespace), c.labels) && !yield(id) {
				return
			}
		}
	}
}

// candidateClasses yields the classes that a selector may select, with their ids. It finds them by the
// requirement on Pods that the fewest classes meet or, if none can be looked up, namespace by namespace.
func (s *state) candidateClasses(sel *selector) iter.Seq2[uint32, *class] {
	return func(yield func(uint32, *class) bool) {
		goesOn := true
		visit := func(p posting) {
			for id := range s.classIndex.ids(p) {
				if goesOn = goesOn && yield(id, s.classes.At(id)); !goesOn {
					return
				}
			}
		}
		if postings, ok := narrowestPostings(&s.classIndex, sel); ok {
			for _, p := range postings {
				visit(p)
			}
			return
		}
		if sel.scope != "" {
			visit(posting{kind: anyPod, scope: sel.scope})
			return
		}
		s.matchingNamespaces(sel, func(name string) { visit(posting{kind: anyPod, scope: name}) })
	}
}

// narrowestPostings returns the postings of the one requirement on Pods that the fewest classes meet. It
// reports whether there is a requirement that can be looked up: NotIn and DoesNotExist cannot.
func narrowestPostings(classes *index, s *selector) (best []posting, ok bool) {
	cost := 0
	for _, r := range s.pods {
		var postings []posting
		switch r.Operator {
		case In:
			for _, v := range r.Values {
				postings = append(postings, posting{podValue, s.scope, r.Key, v})
			}
		case Exists:
			postings = []posting{{podKey, s.scope, r.Key, ""}}
		default:
			continue
		}
		n := 0
		for _, p := range postings {
			n += classes.count(p)
		}
		if !ok || n < cost {
			best, cost, ok = postings, n, true
		}
	}
	return best, ok
}

// matchingNamespaces yields the namespaces that a selector without scope looks into. It looks them up by the
// first requirement that lists values, and tries all namespaces if there is none.
func (s *state) matchingNamespaces(sel *selector, yield func(string)) {
	for _, r := range sel.namespaces {
		if r.Operator != In {
			continue
		}
		for _, v := range r.Values {
			names, _ := s.namespacesBy.Get(label{r.Key, v})
			for _, name := range names {
				if sel.namespaces.matches(s.labelsOf(name)) {
					yield(name)
				}
			}
		}
		return
	}
	for name, ns := range s.namespaces.All() {
		if sel.namespaces.matches(ns.labels) {
			yield(name)
		}
	}
}
