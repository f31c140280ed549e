package engine

import "slices"

// applyPolicy replaces a policy. The fresh one's selectors are held before the old one's are dropped, so that what stays
// is not made again.
func (t *txn) applyPolicy(o *Policy, gone bool) {
	key := nameKey{o.Namespace, o.Name}
	old, ok := t.policies.Get(key)
	if !gone {
		p := compile(o, t.holdPeer)
		t.policyUID++
		p.uid = t.policyUID
		p.subject = t.holdSubject(newSelector(o.Namespace, nil, o.Subject), p)
		t.policies.Set(t.edit, key, p)
		if !ok {
			t.counts.Policies++
		}
	}
	if !ok {
		return
	}
	t.dropSubject(old)
	old.peerSelectors(t.dropPeer)
	if gone {
		t.policies.Delete(t.edit, key)
		t.counts.Policies--
	}
}

// hold makes a selector known, files it, and gives a copy to write to.
func (t *txn) hold(s *selector) *selector {
	if id, ok := t.selectorIDs.Get(s.canonical); ok {
		fresh := *t.selectors.At(id)
		return &fresh
	}
	s.id = t.selectorNumbers.take()
	s.homes = t.selectorIndex.homesOf(s)
	for _, home := range s.homes {
		t.selectorIndex.add(t.edit, home, s.id)
	}
	t.selectorIDs.Set(t.edit, s.canonical, s.id)
	t.useKeys(s)
	t.counts.Selectors++
	return s
}

// put stores a selector, or forgets one that nothing uses.
func (t *txn) put(s *selector) {
	if s.peers > 0 || len(s.subjects) > 0 {
		t.selectors.Set(t.edit, s.id, s)
		return
	}
	for _, home := range s.homes {
		t.selectorIndex.remove(t.edit, home, s.id)
	}
	t.disuseKeys(s)
	t.selectorIDs.Delete(t.edit, s.canonical)
	t.selectors.Set(t.edit, s.id, nil)
	t.selectorNumbers.give(t.edit, s.id)
	t.counts.Selectors--
}

func (t *txn) holdPeer(s *selector) uint32 {
	s = t.hold(s)
	if s.peers++; s.peers == 1 {
		t.dirtyClasses(s)
	}
	t.put(s)
	return s.id
}

func (t *txn) dropPeer(id uint32) {
	s := *t.selectors.At(id)
	if s.peers--; s.peers == 0 {
		t.dirtyClasses(&s)
	}
	t.put(&s)
}

func (t *txn) holdSubject(s *selector, p *policy) uint32 {
	s = t.hold(s)
	s.subjects = append(slices.Clip(s.subjects), p)
	t.dirtyClasses(s)
	t.put(s)
	return s.id
}

func (t *txn) dropSubject(p *policy) {
	s := *t.selectors.At(p.subject)
	s.subjects = slices.DeleteFunc(slices.Clone(s.subjects), func(o *policy) bool { return o == p })
	t.dirtyClasses(&s)
	t.put(&s)
}

// dirtyClasses marks the classes that a selector selects, found by the narrowest way that the index offers.
func (t *txn) dirtyClasses(s *selector) {
	mark := func(place posting) {
		for id := range t.classIndex.at(place) {
			c := t.classes.At(id)
			if s.selects(c.namespace, t.labelsOf(c.namespace), c.labels) {
				t.dirty[id] = struct{}{}
			}
		}
	}
	if places, ok := narrowest(&t.classIndex, s); ok {
		for _, place := range places {
			mark(place)
		}
		return
	}
	if s.scope != "" {
		mark(posting{of: anyPod, scope: s.scope})
		return
	}
	t.matchingNamespaces(s, func(name string) { mark(posting{of: anyPod, scope: name}) })
}

// narrowest are the places of the one requirement on Pods that the fewest classes meet.
func narrowest(classes *index, s *selector) (best []posting, ok bool) {
	cost := 0
	for _, r := range s.pods {
		var places []posting
		switch r.Operator {
		case In:
			for _, v := range r.Values {
				places = append(places, posting{podValue, s.scope, r.Key, v})
			}
		case Exists:
			places = []posting{{podKey, s.scope, r.Key, ""}}
		default:
			continue
		}
		n := 0
		for _, place := range places {
			n += classes.count(place)
		}
		if !ok || n < cost {
			best, cost, ok = places, n, true
		}
	}
	return best, ok
}

// matchingNamespaces yields the namespaces that a selector of several looks into.
func (t *txn) matchingNamespaces(s *selector, yield func(string)) {
	for _, r := range s.namespaces {
		if r.Operator != In {
			continue
		}
		for _, v := range r.Values {
			names, _ := t.namespacesBy.Get(label{r.Key, v})
			for _, name := range names {
				if s.namespaces.matches(t.labelsOf(name)) {
					yield(name)
				}
			}
		}
		return
	}
	for name, ns := range t.namespaces.All() {
		if s.namespaces.matches(ns.labels) {
			yield(name)
		}
	}
}
