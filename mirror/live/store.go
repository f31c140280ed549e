package live

import (
	"fmt"
	"time"

	"k8s.io/client-go/tools/cache"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// store is where a reflector puts what it learns. It keeps a digest of each object, and turns the rest into changes. It is for
// one goroutine: the reflector's.
type store struct {
	resource *resource
	feed     *feed
	known    map[name]digest
	cutter   cutter
	ended    <-chan struct{}
}

var (
	_ cache.ReflectorStore         = (*store)(nil)
	_ cache.ReflectorBookmarkStore = (*store)(nil)
)

// Add is of [cache.ReflectorStore].
func (s *store) Add(o any) error { return s.Update(o) }

// Update takes the new state of an object. What decisions can not see of it changes nothing.
func (s *store) Update(o any) error {
	i, err := s.cutter.cut(o)
	if err != nil {
		return fmt.Errorf("%v: %w", s.resource, err)
	}
	news := s.news(i.version)
	if s.learn(i) {
		news.objects = len(s.known)
		news.changes = []engine.Change{{Object: i.object}}
		news.problems = []problemsOf{{i.name(), i.problems}}
	}
	s.feed.put(news, s.ended)
	return nil
}

// Delete takes that an object is gone.
func (s *store) Delete(o any) error {
	n, version, err := s.gone(o)
	if err != nil {
		return fmt.Errorf("%v: %w", s.resource, err)
	}
	news := s.news(version)
	if _, there := s.known[n]; there {
		delete(s.known, n)
		news.objects = len(s.known)
		news.changes = []engine.Change{{Object: s.resource.Empty(n.namespace, n.name), Delete: true}}
		news.problems = []problemsOf{{n, nil}}
	}
	s.feed.put(news, s.ended)
	return nil
}

func (s *store) gone(o any) (name, string, error) {
	if unseen, ok := o.(cache.DeletedFinalStateUnknown); ok {
		namespace, key, err := cache.SplitMetaNamespaceKey(unseen.Key)
		return name{namespace, key}, "", err
	}
	i, err := s.cutter.cut(o)
	if err != nil {
		return name{}, "", err
	}
	return i.name(), i.version, nil
}

// Replace takes all objects there are: what differs changes, what is missing goes, all at once.
func (s *store) Replace(list []any, version string) error {
	start := time.Now()
	first := !s.feed.synced(s.resource.index)
	news := s.news(version)
	news.whole = true
	for at, o := range list { // all of them before any is known: an error changes nothing
		i, err := s.cutter.cut(o)
		if err != nil {
			return fmt.Errorf("%v: %w", s.resource, err)
		}
		list[at] = i
	}
	now := make(map[name]digest, len(list))
	for _, o := range list {
		i := o.(*item)
		n := i.name()
		now[n] = i.digest
		if s.learn(i) {
			news.changes = append(news.changes, engine.Change{Object: i.object})
			news.problems = append(news.problems, problemsOf{n, i.problems})
		}
	}
	for n := range s.known {
		if _, there := now[n]; !there {
			news.changes = append(news.changes, engine.Change{Object: s.resource.Empty(n.namespace, n.name), Delete: true})
			news.problems = append(news.problems, problemsOf{n, nil})
		}
	}
	s.known, news.objects = now, len(now)
	s.feed.put(news, s.ended)
	s.resource.source.log.Info("cluster listed", "resource", s.resource.Qualified(), "objects", len(now),
		"changes", len(news.changes), "first", first, "took", time.Since(start))
	return nil
}

// Bookmark takes that all is known up to a resource version.
func (s *store) Bookmark(version string) error {
	s.feed.put(s.news(version), s.ended)
	return nil
}

// Resync is of [cache.ReflectorStore]; there is nothing to do again.
func (*store) Resync() error { return nil }

func (s *store) news(version string) news {
	return news{resource: s.resource.index, version: version, objects: len(s.known)}
}

// learn tells whether an object is new or changed, and logs what is wrong in it, once for each such state (S23).
func (s *store) learn(i *item) bool {
	n := i.name()
	if old, there := s.known[n]; there && old == i.digest {
		return false
	}
	s.known[n] = i.digest
	for _, p := range i.problems {
		s.resource.source.log.Warn("wrong in the cluster", "object", p.Object(), "field", p.Field,
			"problem", p.Message, "read_all_the_same", p.Warning, "resource_version", i.version)
	}
	return true
}

// problemsOf are what is wrong in one object at present.
type problemsOf struct {
	name name
	list []mirror.Problem
}
