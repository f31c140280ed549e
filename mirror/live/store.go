package live

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"k8s.io/client-go/tools/cache"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// A store receives objects from a reflector and turns them into changes. It keeps only a digest of each
// object. Only the reflector's goroutine may use it.
type store struct {
	resource *resource
	feed     *feed
	known    map[name]digest
	trimmer  trimmer
	ended    <-chan struct{}
}

var (
	_ cache.ReflectorStore         = (*store)(nil)
	_ cache.ReflectorBookmarkStore = (*store)(nil)
)

// Add implements [cache.ReflectorStore].
func (s *store) Add(o any) error { return s.Update(o) }

// Update implements [cache.ReflectorStore]. An object whose digest is unchanged changes nothing.
func (s *store) Update(o any) error {
	i, err := s.trimmer.trim(o)
	if err != nil {
		return fmt.Errorf("%v: %w", s.resource, err)
	}
	u := s.newUpdate(i.version)
	if s.learn(i) {
		u.objects = len(s.known)
		u.changes = []engine.Change{{Object: i.object}}
		u.problems = []problemsOf{{i.name(), i.problems}}
	}
	s.feed.put(u, s.ended)
	return nil
}

// Delete implements [cache.ReflectorStore].
func (s *store) Delete(o any) error {
	n, version, err := s.deleted(o)
	if err != nil {
		return fmt.Errorf("%v: %w", s.resource, err)
	}
	u := s.newUpdate(version)
	if _, there := s.known[n]; there {
		delete(s.known, n)
		u.objects = len(s.known)
		s.addRemoval(&u, n)
	}
	s.feed.put(u, s.ended)
	return nil
}

func (s *store) deleted(o any) (name, string, error) {
	if unseen, ok := o.(cache.DeletedFinalStateUnknown); ok {
		namespace, key, err := cache.SplitMetaNamespaceKey(unseen.Key)
		return name{namespace, key}, "", err
	}
	i, err := s.trimmer.trim(o)
	if err != nil {
		return name{}, "", err
	}
	return i.name(), i.version, nil
}

// Replace implements [cache.ReflectorStore]. The differences to what is known are one update: changed objects
// and deletions.
func (s *store) Replace(list []any, version string) error {
	start := time.Now()
	first := !s.feed.synced(s.resource.index)
	u := s.newUpdate(version)
	u.whole = true
	for at, o := range list { // trim all before storing any: an error must change nothing
		i, err := s.trimmer.trim(o)
		if err != nil {
			return fmt.Errorf("%v: %w", s.resource, err)
		}
		list[at] = i
	}
	now := make(map[name]digest, len(list))
	for _, o := range list {
		i := o.(*trimmed)
		n := i.name()
		now[n] = i.digest
		if s.learn(i) {
			u.changes = append(u.changes, engine.Change{Object: i.object})
			u.problems = append(u.problems, problemsOf{n, i.problems})
		}
	}
	for n := range s.known {
		if _, there := now[n]; !there {
			s.addRemoval(&u, n)
		}
	}
	s.known, u.objects = now, len(now)
	s.feed.put(u, s.ended)
	if o := s.resource.optional; o != nil {
		o.listed.Store(true)
	}
	level := slog.LevelInfo
	if first { // "cluster mirrored" tells of all first lists at once
		level = slog.LevelDebug
	}
	s.resource.source.log.Log(context.Background(), level, "cluster listed", "resource", s.resource.Qualified(),
		"objects", len(now), "changes", len(u.changes), "first", first, "took", time.Since(start))
	return nil
}

// removeAll removes all objects at once, because the resource is absent. It returns how many there were.
func (s *store) removeAll(version string) int {
	u := s.newUpdate(version)
	u.whole, u.absent, u.objects = true, true, 0
	for n := range s.known {
		s.addRemoval(&u, n)
	}
	removed := len(s.known)
	clear(s.known)
	s.feed.put(u, s.ended)
	return removed
}

// Bookmark implements [cache.ReflectorBookmarkStore]: everything up to version is known.
func (s *store) Bookmark(version string) error {
	s.feed.put(s.newUpdate(version), s.ended)
	return nil
}

// Resync implements [cache.ReflectorStore]. It does nothing.
func (*store) Resync() error { return nil }

// addRemoval adds to u that an object is gone, and its problems with it.
func (s *store) addRemoval(u *update, n name) {
	u.changes = append(u.changes, engine.Change{Object: s.resource.Empty(n.namespace, n.name), Delete: true})
	u.problems = append(u.problems, problemsOf{n, nil})
}

func (s *store) newUpdate(version string) update {
	return update{resource: s.resource.index, version: version, objects: len(s.known)}
}

// learn records the object and reports whether it is new or changed. It logs each problem once per version
// (S23).
func (s *store) learn(i *trimmed) bool {
	n := i.name()
	if old, there := s.known[n]; there && old == i.digest {
		return false
	}
	s.known[n] = i.digest
	for _, p := range i.problems {
		s.resource.source.log.Warn("problem in the cluster", "object", p.Object(), "field", p.Field,
			"problem", p.Message, "read_all_the_same", p.Warning, "resource_version", i.version)
	}
	return true
}

// A problemsOf holds the present problems of one object.
type problemsOf struct {
	name name
	list []mirror.Problem
}
