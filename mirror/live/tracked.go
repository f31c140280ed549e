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

// answerTimeout is how long a list may take, and how long the API server may take to begin a watch. It is twice what API
// servers grant themselves for a list.
const answerTimeout = 2 * time.Minute

var (
	errNoAnswer   = fmt.Errorf("no answer within %v", answerTimeout)
	errListPlain  = errors.New("plain lists are used instead")
	errNoDeadline = errors.New("nothing is called without a context")
)

// tracked makes a resource's calls to the API server, and notes what becomes of them.
type tracked struct {
	resource *resource
	inner    cache.ListerWatcherWithContext
	plain    cache.ListerWatcher
}

// List is of [cache.ListerWatcher]; reflectors call ListWithContext.
func (*tracked) List(metav1.ListOptions) (runtime.Object, error) { return nil, errNoDeadline }

// Watch is of [cache.ListerWatcher]; reflectors call WatchWithContext.
func (*tracked) Watch(metav1.ListOptions) (watch.Interface, error) { return nil, errNoDeadline }

// IsWatchListSemanticsUnSupported tells client-go whether the first list may come by watch.
func (t *tracked) IsWatchListSemanticsUnSupported() bool {
	return watchlist.DoesClientNotSupportWatchListSemantics(t.plain)
}

// ListWithContext lists, and cuts the objects of each page.
func (t *tracked) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	if options.Continue == "" {
		t.remember(bounded)
	}
	list, err := t.inner.ListWithContext(bounded, options)
	if err != nil {
		return nil, t.failed(ctx, bounded, verbList, err)
	}
	items, err := t.cut(list)
	if err != nil {
		return nil, t.failed(ctx, bounded, verbList, err)
	}
	t.resource.alive()
	t.resource.recovered(verbList)
	return items, nil
}

func (t *tracked) cut(list runtime.Object) (*itemList, error) {
	listMeta, err := meta.ListAccessor(list)
	if err != nil {
		return nil, fmt.Errorf("the answer is no list: %w", err)
	}
	c := cutter{t.resource.Kind, encoder{secret: t.resource.secret}}
	to := &itemList{Items: make([]runtime.Object, 0, meta.LenList(list))}
	to.ResourceVersion, to.Continue = listMeta.GetResourceVersion(), listMeta.GetContinue()
	to.RemainingItemCount = listMeta.GetRemainingItemCount()
	err = meta.EachListItem(list, func(o runtime.Object) error {
		i, err := c.cut(o)
		if err != nil {
			return err
		}
		to.Items = append(to.Items, i)
		return nil
	})
	return to, err
}

// WatchWithContext begins a watch, whose objects are cut.
func (t *tracked) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	lists := options.SendInitialEvents != nil && *options.SendInitialEvents
	if lists && !t.resource.mayStream() {
		return nil, errListPlain
	}
	w, cancel, err := t.open(ctx, options, lists)
	if err != nil {
		return nil, err
	}
	if !lists { // else the objects are the proof
		t.resource.alive()
		t.resource.recovered(verbWatch)
	}
	return newStream(ctx, t.resource, w, cancel, lists), nil
}

// open begins a watch that cancel ends. The context governs the whole watch, and its beginning is bounded.
func (t *tracked) open(ctx context.Context, options metav1.ListOptions, lists bool) (watch.Interface, context.CancelFunc, error) {
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
		err = t.failed(ctx, bounded, verbWatch, err)
		cancel(nil)
		return nil, nil, err
	}
	return w, func() { cancel(nil) }, nil
}

// failed notes an error, unless all is over, and gives it back with its cause.
func (t *tracked) failed(ctx, bounded context.Context, v verb, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if errors.Is(context.Cause(bounded), errNoAnswer) {
		err = errNoAnswer
	}
	if c := t.resource.source.client; c != nil && apierrors.IsUnauthorized(err) {
		c.renewal.refused()
	}
	switch {
	case historyLost(err):
		t.resource.listsAnew(err)
	case v == verbWatch && apierrors.IsInvalid(err): // its way to ask for a list
	default:
		t.resource.failed(v, err)
	}
	return err
}

// historyLost tells whether the API server cannot say any more what happened since (410).
func historyLost(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }
