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

// listSilence is how long a list by watch may pause between objects. Servers without such lists send the
// objects but never mark the end.
const listSilence = 30 * time.Second

// streamBuffer is how many events may wait for the reflector. It lets the reflector and the decoder run in
// parallel, without a goroutine switch for each event.
const streamBuffer = 64

// A streamEnd is how a list by watch ends.
type streamEnd uint8

const (
	// streamWhole means that the end was marked.
	streamWhole streamEnd = iota
	// streamCut means that the connection ended first.
	streamCut
	// streamEndless means that nothing more came, not even the mark of the end.
	streamEndless
)

// A stream is a watch of trimmed objects that records every sign of life.
type stream struct {
	resource *resource
	inner    watch.Interface
	cancel   context.CancelFunc
	ended    <-chan struct{} // closed when the source ends
	out      chan watch.Event
	stop     chan struct{}
	once     sync.Once

	// Used by the goroutine of relay only:
	trimmer trimmer
	lists   bool // the end of the list has not come yet
}

func newStream(ctx context.Context, r *resource, inner watch.Interface, cancel context.CancelFunc,
	lists bool) *stream {
	s := &stream{
		resource: r, inner: inner, cancel: cancel, ended: ctx.Done(), lists: lists,
		out: make(chan watch.Event, streamBuffer), stop: make(chan struct{}),
		trimmer: trimmer{r.Kind, encoder{secret: r.secret}},
	}
	go s.relay()
	return s
}

// ResultChan implements [watch.Interface].
func (s *stream) ResultChan() <-chan watch.Event { return s.out }

// Stop implements [watch.Interface].
func (s *stream) Stop() { s.once.Do(func() { close(s.stop) }) }

// relay passes events on until either side ends or no event comes for too long.
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
			s.handleSilence()
			return
		case event, ok := <-s.inner.ResultChan():
			if !ok {
				if s.lists {
					s.resource.streamEnded(streamCut)
				}
				return
			}
			// Bookmarks inside a list prove nothing, except the one that marks its end.
			proof := !s.lists || event.Type != watch.Bookmark || endsList(event)
			if proof {
				s.recordEvent(event)
			}
			if !s.deliver(s.trim(event)) {
				return
			}
			if proof {
				silence.Reset(s.patience())
			}
		}
	}
}

// deliver blocks until the reflector takes the event. It returns false if the reflector has ended.
func (s *stream) deliver(event watch.Event) bool {
	select {
	case s.out <- event:
		return true
	case <-s.stop:
	case <-s.ended:
	}
	return false
}

// patience returns how long to wait for an event. API servers send a bookmark every minute. For those that do
// not, a new watch proves that they are alive.
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

// handleSilence handles a watch that has gone silent. A watch resumes where it stopped; a list by watch falls
// back to a plain one.
func (s *stream) handleSilence() {
	if !s.lists {
		return
	}
	s.resource.streamEnded(streamEndless)
	status := apierrors.NewInternalError(
		fmt.Errorf("the list by watch has no end: nothing came for %v", listSilence)).Status()
	s.deliver(watch.Event{Type: watch.Error, Object: &status})
}

// recordEvent records what an event proves.
func (s *stream) recordEvent(event watch.Event) {
	if event.Type == watch.Error {
		s.recordError(apierrors.FromObject(event.Object))
		return
	}
	s.resource.markAlive()
	if !s.lists {
		return
	}
	s.resource.recordSuccess(verbList, verbWatch)
	if endsList(event) {
		s.lists = false
		s.resource.streamEnded(streamWhole)
	}
}

// recordError records an error. At the end of the source it does nothing. A lost history is no failure: the
// reflector lists again.
func (s *stream) recordError(err error) {
	select {
	case <-s.ended:
		return
	default:
	}
	if historyLost(err) {
		s.resource.logRelist(err)
	} else {
		s.resource.recordFailure(verbWatch, err)
	}
}

func endsList(event watch.Event) bool {
	if event.Type != watch.Bookmark {
		return false
	}
	m, err := meta.Accessor(event.Object)
	return err == nil && m.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
}

// trim replaces the event's object with a trimmed one. Of a deleted object it keeps only the name.
func (s *stream) trim(event watch.Event) watch.Event {
	var i *trimmed
	var err error
	switch event.Type {
	case watch.Added, watch.Modified:
		i, err = s.trimmer.trim(event.Object)
	case watch.Deleted:
		var m metav1.Object
		if m, err = meta.Accessor(event.Object); err == nil {
			i = &trimmed{object: s.resource.Empty(m.GetNamespace(), m.GetName()), version: m.GetResourceVersion()}
		}
	case watch.Bookmark, watch.Error:
		return event
	}
	if err != nil { // the error makes the reflector list again, so nothing is missed
		s.resource.recordFailure(verbWatch, err)
		status := apierrors.NewInternalError(err).Status()
		return watch.Event{Type: watch.Error, Object: &status}
	}
	event.Object = i
	return event
}
