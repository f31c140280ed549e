package live_test

import (
	"context"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/netpold/netpold/mirror/convert"
)

// bookmarkOf returns a bookmark of a resource version. The end of a list by watch is one too.
func bookmarkOf(kind convert.Kind, version int, end bool) watch.Event {
	o := kind.Versions[0].New()
	o.SetResourceVersion(strconv.Itoa(version))
	if end {
		o.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return watch.Event{Type: watch.Bookmark, Object: o}
}

// An apiWatch is a watch with an unbounded buffer.
type apiWatch struct {
	out  chan watch.Event
	stop chan struct{}
	once sync.Once
	more chan struct{}
	// after is the version from which the watch resumes.
	after int

	mu    sync.Mutex
	queue []watch.Event
	over  bool
}

func newAPIWatch(ctx context.Context) *apiWatch {
	w := &apiWatch{out: make(chan watch.Event), stop: make(chan struct{}), more: make(chan struct{}, 1)}
	go w.run(ctx)
	return w
}

func (w *apiWatch) run(ctx context.Context) {
	defer close(w.out)
	for {
		w.mu.Lock()
		queue, over := w.queue, w.over
		w.queue = nil
		w.mu.Unlock()
		for _, e := range queue {
			if o, ok := e.Object.(convert.Object); ok && e.Type != watch.Error {
				e.Object = o.DeepCopyObject()
			}
			select {
			case w.out <- e:
			case <-w.stop:
				return
			case <-ctx.Done():
				return
			}
		}
		if over && len(queue) == 0 {
			return
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-w.more:
		case <-w.stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (w *apiWatch) stopped() bool {
	select {
	case <-w.stop:
		return true
	default:
		return false
	}
}

func (w *apiWatch) send(e watch.Event) {
	if o, ok := e.Object.(convert.Object); ok && w.after > 0 && e.Type != watch.Error {
		if at, err := strconv.Atoi(o.GetResourceVersion()); err != nil || at <= w.after {
			return
		}
	}
	w.mu.Lock()
	w.queue = append(w.queue, e)
	w.mu.Unlock()
	w.wake()
}

func (w *apiWatch) end() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	w.wake()
}

func (w *apiWatch) wake() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// ResultChan implements [watch.Interface].
func (w *apiWatch) ResultChan() <-chan watch.Event { return w.out }

// Stop implements [watch.Interface].
func (w *apiWatch) Stop() { w.once.Do(func() { close(w.stop) }) }
