package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/watchlist"
)

// answerTimeout limits a list and the start of a watch. It is twice the limit that API servers have for a
// list.
const answerTimeout = 2 * time.Minute

var (
	errNoAnswer   = fmt.Errorf("no answer within %v", answerTimeout)
	errListPlain  = errors.New("plain lists are used instead")
	errNoDeadline = errors.New("nothing is called without a context")
)

// A tracked makes a resource's calls to the API server and records how they end.
type tracked struct {
	resource *resource
	inner    cache.ListerWatcherWithContext
	plain    cache.ListerWatcher
}

// List implements [cache.ListerWatcher]; reflectors call ListWithContext.
func (*tracked) List(metav1.ListOptions) (runtime.Object, error) { return nil, errNoDeadline }

// Watch implements [cache.ListerWatcher]; reflectors call WatchWithContext.
func (*tracked) Watch(metav1.ListOptions) (watch.Interface, error) { return nil, errNoDeadline }

// IsWatchListSemanticsUnSupported reports to client-go whether lists by watch are impossible.
func (t *tracked) IsWatchListSemanticsUnSupported() bool {
	return watchlist.DoesClientNotSupportWatchListSemantics(t.plain)
}

// ListWithContext implements [cache.ListerWatcherWithContext]. It lists trimmed objects.
func (t *tracked) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	if options.Continue == "" {
		t.remember(bounded)
	}
	list, err := t.inner.ListWithContext(bounded, options)
	if err != nil {
		return nil, t.recordFailure(ctx, bounded, verbList, err)
	}
	items, err := t.trim(list)
	if err != nil {
		return nil, t.recordFailure(ctx, bounded, verbList, err)
	}
	t.resource.markAlive()
	t.resource.recordSuccess(verbList)
	return items, nil
}

func (t *tracked) trim(list runtime.Object) (*trimmedList, error) {
	listMeta, err := meta.ListAccessor(list)
	if err != nil {
		return nil, fmt.Errorf("the answer is no list: %w", err)
	}
	c := trimmer{t.resource.Kind, encoder{secret: t.resource.secret}}
	to := &trimmedList{Items: make([]runtime.Object, 0, meta.LenList(list))}
	to.ResourceVersion, to.Continue = listMeta.GetResourceVersion(), listMeta.GetContinue()
	to.RemainingItemCount = listMeta.GetRemainingItemCount()
	err = meta.EachListItem(list, func(o runtime.Object) error {
		i, err := c.trim(o)
		if err != nil {
			return err
		}
		to.Items = append(to.Items, i)
		return nil
	})
	return to, err
}

// WatchWithContext implements [cache.ListerWatcherWithContext]. It watches trimmed objects.
func (t *tracked) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	lists := options.SendInitialEvents != nil && *options.SendInitialEvents
	if lists && !t.resource.mayStream() {
		return nil, errListPlain
	}
	w, cancel, err := t.open(ctx, options, lists)
	if err != nil {
		return nil, err
	}
	if !lists { // in a list by watch the objects are the proof
		t.resource.markAlive()
		t.resource.recordSuccess(verbWatch)
	}
	return newStream(ctx, t.resource, w, cancel, lists), nil
}

// open starts a watch, within answerTimeout. The watch ends with ctx or by the returned function.
func (t *tracked) open(ctx context.Context, options metav1.ListOptions,
	lists bool) (watch.Interface, context.CancelFunc, error) {
	bounded, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(answerTimeout, func() { cancel(errNoAnswer) })
	if lists {
		t.remember(bounded)
	}
	w, err := t.inner.WatchWithContext(bounded, options)
	if !late.Stop() && err == nil {
		w.Stop()
		err = errNoAnswer
	}
	if err == nil && !lists {
		if err = t.verify(bounded, options.ResourceVersion); err != nil {
			w.Stop()
		}
	}
	if err != nil {
		err = t.recordFailure(ctx, bounded, verbWatch, err)
		cancel(nil)
		return nil, nil, err
	}
	return w, func() { cancel(nil) }, nil
}

// recordFailure records an error and returns it, or its cause. At the end of the source it records nothing.
func (t *tracked) recordFailure(ctx, bounded context.Context, v verb, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if errors.Is(context.Cause(bounded), errNoAnswer) {
		err = errNoAnswer
	}
	if c := t.resource.source.client; c != nil && apierrors.IsUnauthorized(err) {
		c.renewal.handleRefusal()
	}
	switch {
	case historyLost(err):
		t.resource.logRelist(err)
	case v == verbWatch && apierrors.IsInvalid(err): // client-go lists then
	default:
		t.resource.recordFailure(v, err)
	}
	return err
}

// historyLost reports whether the API server has no history since the resource version any more (410).
func historyLost(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }
