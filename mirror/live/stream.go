package live

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// listSilence is how long a list that comes by watch may rest between objects. Servers that know no such lists send what
// there is, and never say that it was all.
const listSilence = 30 * time.Second

// streamBuffer is how many events may wait for the reflector: it and the decoder work side by side, without a switch between them
// for each event.
const streamBuffer = 64

// streamEnd is how a list that comes by watch ends.
type streamEnd uint8

const (
	// streamWhole: its end was told.
	streamWhole streamEnd = iota
	// streamCut: the connection ended before.
	streamCut
	// streamEndless: nothing more came, not even the end.
	streamEndless
)

// stream is a watch whose objects are items, and which notes every sign of life.
type stream struct {
	resource *resource
	inner    watch.Interface
	cancel   context.CancelFunc
	ended    <-chan struct{} // when all is over
	out      chan watch.Event
	stop     chan struct{}
	once     sync.Once

	// Of the goroutine that relays:
	cutter cutter
	lists  bool // the end of the list is not told yet
}

func newStream(ctx context.Context, r *resource, inner watch.Interface, cancel context.CancelFunc, lists bool) *stream {
	s := &stream{
		resource: r, inner: inner, cancel: cancel, ended: ctx.Done(), lists: lists,
		out: make(chan watch.Event, streamBuffer), stop: make(chan struct{}), cutter: cutter{r.Kind, encoder{secret: r.secret}},
	}
	go s.relay()
	return s
}

// ResultChan is of [watch.Interface].
func (s *stream) ResultChan() <-chan watch.Event { return s.out }

// Stop is of [watch.Interface].
func (s *stream) Stop() { s.once.Do(func() { close(s.stop) }) }

// relay hands on events until either side ends, or too long nothing comes.
func (s *stream) relay() {
	defer close(s.out)
	defer s.cancel()
	defer s.inner.Stop()
	silence := time.NewTimer(s.patience())
	defer silence.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.ended:
			return
		case <-silence.C:
			s.silent()
			return
		case event, ok := <-s.inner.ResultChan():
			if !ok {
				if s.lists {
					s.resource.streamEnded(streamCut)
				}
				return
			}
			// Bookmarks do not prolong a list: its end is one.
			proof := !s.lists || event.Type != watch.Bookmark || endsList(event)
			if proof {
				s.hear(event)
			}
			if !s.hand(s.cut(event)) {
				return
			}
			if proof {
				silence.Reset(s.patience())
			}
		}
	}
}

// hand gives an event to the reflector, which may take its time; false when that has ended.
func (s *stream) hand(event watch.Event) bool {
	select {
	case s.out <- event:
		return true
	case <-s.stop:
	case <-s.ended:
	}
	return false
}

// patience is how long nothing may come. Bookmarks come every minute where the API server knows them. Where it does not,
// beginning the watch anew proves that it lives.
func (s *stream) patience() time.Duration {
	if s.lists {
		return listSilence
	}
	limit := s.resource.source.maxStaleness
	if limit == 0 {
		limit = DefaultMaxStaleness
	}
	return max(limit*2/3, 2*time.Second)
}

// silent ends a watch in which nothing comes any more. The reflector goes on from where it is, or lists plainly.
func (s *stream) silent() {
	if !s.lists {
		return
	}
	s.resource.streamEnded(streamEndless)
	status := apierrors.NewInternalError(fmt.Errorf("the list by watch has no end: nothing came for %v", listSilence)).Status()
	s.hand(watch.Event{Type: watch.Error, Object: &status})
}

// hear notes what an event proves.
func (s *stream) hear(event watch.Event) {
	if event.Type == watch.Error {
		s.hearError(apierrors.FromObject(event.Object))
		return
	}
	s.resource.alive()
	if !s.lists {
		return
	}
	s.resource.recovered(verbList, verbWatch)
	if endsList(event) {
		s.lists = false
		s.resource.streamEnded(streamWhole)
	}
}

// hearError notes an error, unless it is that all is over, or a lost history: then the reflector lists, as it should.
func (s *stream) hearError(err error) {
	select {
	case <-s.ended:
		return
	default:
	}
	if historyLost(err) {
		s.resource.listsAnew(err)
	} else {
		s.resource.failed(verbWatch, err)
	}
}

func endsList(event watch.Event) bool {
	if event.Type != watch.Bookmark {
		return false
	}
	m, err := meta.Accessor(event.Object)
	return err == nil && m.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
}

// cut makes the event's object an item. Of a deleted object the name is enough.
func (s *stream) cut(event watch.Event) watch.Event {
	var i *item
	var err error
	switch event.Type {
	case watch.Added, watch.Modified:
		i, err = s.cutter.cut(event.Object)
	case watch.Deleted:
		var m metav1.Object
		if m, err = meta.Accessor(event.Object); err == nil {
			i = &item{object: s.resource.Empty(m.GetNamespace(), m.GetName()), version: m.GetResourceVersion()}
		}
	case watch.Bookmark, watch.Error:
		return event
	}
	if err != nil { // the reflector lists, so that nothing is missed
		s.resource.failed(verbWatch, err)
		status := apierrors.NewInternalError(err).Status()
		return watch.Event{Type: watch.Error, Object: &status}
	}
	event.Object = i
	return event
}
