package live

import (
	"context"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// A mirror of one namespace lists namespaced resources in that namespace. Namespaces and Nodes belong to the
// whole cluster and are mirrored if the rights allow it. Otherwise the one Namespace is read by name every
// namespacePoll, which a Role in the namespace may allow, and Nodes are unknown. The notes of each answer say
// that the view is partial.

// namespacePoll is how often the one Namespace is read when it cannot be watched.
const namespacePoll = 30 * time.Second

// limitedVersion is the resource version of resources that cannot be listed. It is older than any real one.
const limitedVersion = "1"

// A limited lists and watches a cluster-wide resource with rights in one namespace only.
type limited struct {
	inner cache.ListerWatcherWithContext
	// get returns what may be read instead: the one Namespace, or nil for Nodes.
	get func(context.Context) (*corev1.Namespace, error)
	// empty returns a list of the resource without objects.
	empty func() runtime.Object
	// changed is called when lists become forbidden, and when they are allowed again.
	changed func(forbidden bool)
	// forbidden is set while lists are not allowed.
	forbidden atomic.Bool
}

// List implements [cache.ListerWatcher]; reflectors call ListWithContext.
func (*limited) List(metav1.ListOptions) (runtime.Object, error) { return nil, errNoDeadline }

// Watch implements [cache.ListerWatcher]; reflectors call WatchWithContext.
func (*limited) Watch(metav1.ListOptions) (watch.Interface, error) { return nil, errNoDeadline }

// ListWithContext implements [cache.ListerWatcherWithContext]. It lists what the rights allow.
func (l *limited) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	list, err := l.inner.ListWithContext(ctx, o)
	forbidden := apierrors.IsForbidden(err)
	if (forbidden || err == nil) && l.forbidden.Swap(forbidden) != forbidden {
		l.changed(forbidden)
	}
	if !forbidden {
		return list, err
	}
	return l.readable(ctx)
}

// readable returns a list of what can be read without the right to list.
func (l *limited) readable(ctx context.Context) (runtime.Object, error) {
	list := l.empty()
	ns, err := l.get(ctx)
	if err != nil && !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
		return nil, err
	}
	switch list := list.(type) {
	case *corev1.NamespaceList:
		list.ResourceVersion = limitedVersion
		if ns != nil {
			list.Items = []corev1.Namespace{*ns}
			list.ResourceVersion = ns.ResourceVersion
		}
	case *corev1.NodeList:
		list.ResourceVersion = limitedVersion
	}
	return list, nil
}

// WatchWithContext implements [cache.ListerWatcherWithContext]. It watches what the rights allow. It refuses
// lists by watch, so that objects come by plain lists only.
func (l *limited) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	if o.SendInitialEvents != nil && *o.SendInitialEvents {
		return nil, apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", nil)
	}
	if !l.forbidden.Load() {
		return l.inner.WatchWithContext(ctx, o)
	}
	return l.poll(ctx, o.ResourceVersion), nil
}

// poll returns a watch that reads the one Namespace every namespacePoll. It sends bookmarks in between as
// proof of life.
func (l *limited) poll(ctx context.Context, version string) watch.Interface {
	ctx, stop := context.WithCancel(ctx)
	events := make(chan watch.Event)
	send := func(e watch.Event) {
		select {
		case events <- e:
		case <-ctx.Done():
		}
	}
	go func() {
		defer close(events)
		ticker := time.NewTicker(namespacePoll)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			ns, err := l.get(ctx)
			switch {
			case err != nil && !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err):
				status := apierrors.NewInternalError(err).Status()
				send(watch.Event{Type: watch.Error, Object: &status})
				return
			case ns == nil || ns.ResourceVersion == version:
				send(watch.Event{Type: watch.Bookmark, Object: l.bookmark(version)})
			default:
				version = ns.ResourceVersion
				send(watch.Event{Type: watch.Modified, Object: ns})
			}
		}
	}()
	return &polling{events: events, stop: stop}
}

// bookmark returns an object that carries a resource version and nothing else.
func (l *limited) bookmark(version string) runtime.Object {
	meta := metav1.ObjectMeta{ResourceVersion: version}
	switch l.empty().(type) {
	case *corev1.NodeList:
		return &corev1.Node{ObjectMeta: meta}
	}
	return &corev1.Namespace{ObjectMeta: meta}
}

// A polling is a watch by [limited.poll].
type polling struct {
	events chan watch.Event
	stop   context.CancelFunc
}

// Stop implements [watch.Interface].
func (p *polling) Stop() { p.stop() }

// ResultChan implements [watch.Interface].
func (p *polling) ResultChan() <-chan watch.Event { return p.events }

// limit wraps the calls for a cluster-wide resource in a mirror of one namespace.
func (s *Source) limit(r *resource, lw cache.ListerWatcher) *limited {
	l := &limited{
		inner: cache.ToListerWatcherWithContext(lw),
		get:   func(context.Context) (*corev1.Namespace, error) { return nil, nil },
		empty: func() runtime.Object { return &corev1.NodeList{} },
		changed: func(forbidden bool) {
			r.limited.Store(forbidden)
			if forbidden {
				s.log.Info("no right to list it in the whole cluster; the mirror has what the namespace's rights allow",
					"resource", r.Qualified(), "namespace", s.namespace)
			}
		},
	}
	if r.Resource == "namespaces" {
		l.empty = func() runtime.Object { return &corev1.NamespaceList{} }
		if s.client != nil {
			l.get = func(ctx context.Context) (*corev1.Namespace, error) {
				return s.client.namespace(ctx, s.namespace)
			}
		}
	}
	return l
}

// namespace returns one Namespace; nil with an error.
func (c *client) namespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	o, err := c.byPath[corev1.SchemeGroupVersion].Get().Resource("namespaces").Name(name).
		MaxRetries(0).Do(ctx).Get()
	if err != nil {
		return nil, err
	}
	ns, ok := o.(*corev1.Namespace)
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("namespaces"), name)
	}
	return ns, nil
}
