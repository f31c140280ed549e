package live

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"k8s.io/client-go/tools/cache"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
)

// stored returns a source that does not run. All of its resources were listed as empty.
func stored(t *testing.T) *Source {
	t.Helper()
	s, err := New(Config{ListerWatchers: func(string, string) (cache.ListerWatcher, error) {
		return &cache.ListWatch{
			ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
				return nil, errors.New("not listed")
			},
			WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
				return nil, errors.New("not watched")
			},
		}, nil
	}, Discovery: func(context.Context, string) ([]byte, error) { return nil, errors.New("not discovered") }})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.resources {
		if err := r.store.Replace(nil, "10"); err != nil {
			t.Fatal(err)
		}
	}
	if b, ok := s.feed.drain(); !ok || !b.publish || len(b.changes) != 0 {
		t.Fatalf("%+v", b)
	}
	return s
}

func podAt(name string, version int, app string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, ResourceVersion: fmt.Sprint(version), Labels: map[string]string{"app": app},
	}}
}

// TestLastChangeOfAnObject proves that of several waiting changes of an object only the last is applied.
func TestLastChangeOfAnObject(t *testing.T) {
	s := stored(t)
	pods := s.resources[0].store
	for i := range 1000 {
		for _, name := range []string{"a", "b"} {
			if err := pods.Update(podAt(name, 11+i, fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := pods.Delete(podAt("b", 2000, "")); err != nil {
		t.Fatal(err)
	}
	if err := pods.Update(podAt("a", 2001, "999")); err != nil { // the same again
		t.Fatal(err)
	}
	b, ok := s.feed.drain()
	if !ok || len(b.changes) != 2 {
		t.Fatalf("%d changes", len(b.changes))
	}
	if a := b.changes[0].Object.(*engine.Pod); a.Name != "a" || a.Labels["app"] != "999" || b.changes[0].Delete {
		t.Errorf("%+v", a)
	}
	if c := b.changes[1].Object.(*engine.Pod); c.Name != "b" || !b.changes[1].Delete {
		t.Errorf("%+v", c)
	}
	if b.reached[0] != "2001" || b.changed[0] != "2000" || b.reached[1] != "10" {
		t.Errorf("%v, %v", b.reached, b.changed)
	}
}

// TestListAfterEvents proves that a list is applied after earlier events and before later ones.
func TestListAfterEvents(t *testing.T) {
	s := stored(t)
	pods := s.resources[0].store
	for _, step := range []error{
		pods.Update(podAt("a", 11, "1")),
		pods.Update(podAt("gone", 12, "1")),
		pods.Replace([]any{podAt("a", 13, "2"), podAt("b", 14, "2")}, "20"),
		pods.Update(podAt("a", 21, "3")),
		pods.Update(podAt("a", 22, "4")),
		pods.Delete(cache.DeletedFinalStateUnknown{Key: "shop/b"}),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	b, _ := s.feed.drain()
	c := engine.NewCluster(engine.Options{})
	snapshot := c.Apply(b.changes...)
	if n := snapshot.Counts().Pods; n != 1 {
		t.Errorf("%d Pods", n)
	}
	var last *engine.Pod
	for _, x := range b.changes {
		if p := x.Object.(*engine.Pod); p.Name == "a" {
			last = p
		}
	}
	if last.Labels["app"] != "4" || b.reached[0] != "22" {
		t.Errorf("%+v at %s", last, b.reached[0])
	}
	if objects, _ := s.feed.counts(0); objects != 1 {
		t.Errorf("%d objects", objects)
	}
}

// TestFullFeed proves that reflectors block while too many changes wait, that lists do not block, and that
// the end unblocks them.
func TestFullFeed(t *testing.T) {
	s := stored(t)
	pods := s.resources[0].store
	ended := make(chan struct{})
	pods.ended = ended
	for i := range maxPending {
		if err := pods.Update(podAt(fmt.Sprint(i), 11+i, "x")); err != nil {
			t.Fatal(err)
		}
	}
	put := make(chan error)
	go func() { put <- pods.Update(podAt("one more", 9000, "x")) }()
	if err := s.resources[3].store.Replace([]any{&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}},
		"9001"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-put:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	b, _ := s.feed.drain()
	if len(b.changes) != maxPending+1 || b.reached[0] == "9000" {
		t.Errorf("%d changes up to %s", len(b.changes), b.reached[0])
	}
	if err := <-put; err != nil {
		t.Fatal(err)
	}
	if b, _ = s.feed.drain(); len(b.changes) != 1 || b.reached[0] != "9000" {
		t.Errorf("%d changes up to %s", len(b.changes), b.reached[0])
	}
	for i := range maxPending {
		if err := pods.Update(podAt(fmt.Sprint(i), 10_000+i, "y")); err != nil {
			t.Fatal(err)
		}
	}
	go func() { put <- pods.Update(podAt("the last", 20_000, "x")) }()
	close(ended)
	if err := <-put; err != nil {
		t.Fatal(err)
	}
}

// TestProofs proves that a proof counts only if it begins at the mirror's version and goes further.
func TestProofs(t *testing.T) {
	s := stored(t)
	for _, p := range []struct{ from, to, want string }{
		{"9", "11", "10"}, {"11", "12", "10"}, {"10", "9", "10"}, {"10", "", "10"}, {"10", "11", "11"},
		{"10", "12", "11"},
	} {
		if s.feed.prove(3, p.from, p.to); s.feed.reachedVersion(3) != p.want {
			t.Errorf("from %s to %s: %s, want %s", p.from, p.to, s.feed.reachedVersion(3), p.want)
		}
	}
	if b, ok := s.feed.drain(); !ok || b.reached[3] != "11" || b.changed[3] != "10" || len(b.changes) != 0 {
		t.Errorf("%+v", b)
	}
}

// TestFinishedPodsAreSmall proves that of a finished Pod only what it is recognised by is kept.
func TestFinishedPodsAreSmall(t *testing.T) {
	p := podAt("a", 11, "x")
	p.Labels = map[string]string{"app": "a"}
	p.Status.Phase, p.Status.PodIP, p.Status.HostIP = corev1.PodSucceeded, "10.0.0.1", "192.0.2.1"
	p.Spec.NodeName = "n"
	c := trimmer{kind: &convert.Kinds()[0]}
	i, err := c.trim(p)
	if err != nil {
		t.Fatal(err)
	}
	if o := i.object.(*engine.Pod); !o.Finished || o.Name != "a" || o.Labels["app"] != "a" || len(o.IPs) != 1 ||
		o.HostIPs != nil || o.Node != "" {
		t.Errorf("%+v", o)
	}
}

// TestStoreRefuses proves that an object of another kind changes nothing.
func TestStoreRefuses(t *testing.T) {
	s := stored(t)
	pods := s.resources[0].store
	if pods.Update("text") == nil || pods.Delete(7) == nil ||
		pods.Replace([]any{podAt("a", 11, "x"), "text"}, "12") == nil {
		t.Error("taken")
	}
	if b, _ := s.feed.drain(); len(b.changes) != 0 || b.reached[0] != "10" {
		t.Errorf("%+v", b)
	}
	if err := pods.Replace([]any{podAt("a", 11, "x")}, "12"); err != nil {
		t.Fatal(err)
	}
	if b, _ := s.feed.drain(); len(b.changes) != 1 {
		t.Errorf("%+v", b)
	}
}

// TestTrimmedAreObjects proves that trimmed objects and their lists have what client-go needs.
func TestTrimmedAreObjects(t *testing.T) {
	c := trimmer{kind: &convert.Kinds()[0]}
	i, err := c.trim(podAt("a", 11, "x"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.trim(i); err != nil || again != i {
		t.Error("a trimmed object is trimmed again")
	}
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(i)
	if err != nil || key != "shop/a" || i.DeepCopyObject() != runtime.Object(i) || i.GetObjectKind() == nil {
		t.Errorf("key %q, %v", key, err)
	}
	l := &trimmedList{Items: []runtime.Object{i}}
	l.ResourceVersion = "5"
	fresh := l.DeepCopyObject()
	list, err := meta.ExtractListWithAlloc(fresh)
	if err != nil || len(list) != 1 || list[0] != runtime.Object(i) {
		t.Errorf("%v, %v", list, err)
	}
	if m, err := meta.ListAccessor(fresh); err != nil || m.GetResourceVersion() != "5" {
		t.Errorf("%v", err)
	}
}
