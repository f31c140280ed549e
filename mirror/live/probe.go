package live

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// probeSeconds is how long a probe's watch lasts. API servers send a bookmark two seconds before the end of a
// watch.
const probeSeconds = 3

// answerProbes probes whenever a caller waits, until the context ends.
func (r *resource) answerProbes(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.probes:
			r.probeOnce(ctx)
		}
	}
}

// probeOnce watches from the mirror's resource version. A bookmark before any event proves that nothing
// changed up to it, even if the main watch is slow. An event is left to the main watch.
func (r *resource) probeOnce(ctx context.Context) {
	from := r.source.feed.reachedVersion(r.index)
	if from == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*probeSeconds*time.Second)
	defer cancel()
	seconds := int64(probeSeconds)
	w, err := r.calls.inner.WatchWithContext(ctx, metav1.ListOptions{
		ResourceVersion: from, AllowWatchBookmarks: true, TimeoutSeconds: &seconds,
	})
	if err != nil { // the main watch reports it
		return
	}
	defer w.Stop()
	select {
	case event := <-w.ResultChan():
		if event.Type != watch.Bookmark {
			return
		}
		m, err := meta.Accessor(event.Object)
		if err != nil || r.calls.verify(ctx, from) != nil {
			return
		}
		r.source.feed.prove(r.index, from, m.GetResourceVersion())
	case <-ctx.Done():
	}
}
