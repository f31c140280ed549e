package live

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A watch goes on from a resource version. An API server that came back with another past, as on an empty or a restored etcd,
// takes it for one of the future and tells nothing, or goes on from what is the same number by chance: the mirror would be wrong
// and never know. So each watch that goes on is checked, once it is open: the cluster has to be the one that was listed, by the
// UID of a Namespace that each has and nobody can delete, and its resource versions have to be as far. What is found to be
// another past is listed again. One hole is left: an etcd restored without a bump of its revision, which before the watch went
// on had as many changes as were lost.

// theNamespace is in every cluster.
const theNamespace = metav1.NamespaceSystem

// rememberTimeout is how long a list waits to know in which cluster it is.
const rememberTimeout = 5 * time.Second

// remember notes in which cluster a list begins. Where it is not known, the first watch that goes on is refused.
func (t *tracked) remember(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, rememberTimeout)
	defer cancel()
	uid, err := t.cluster(ctx)
	t.resource.mu.Lock()
	defer t.resource.mu.Unlock()
	t.resource.past = nil
	if err == nil {
		t.resource.past = &uid
	}
}

// verify tells whether what is known up to a resource version is the API server's past. It is an expired resource version where
// it is not.
func (t *tracked) verify(ctx context.Context, version string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	uid, err := t.cluster(ctx)
	if err != nil {
		return fmt.Errorf("whether it is the cluster of before: %w", err)
	}
	t.resource.mu.Lock()
	past := t.resource.past
	t.resource.mu.Unlock()
	if past == nil || *past != uid {
		return apierrors.NewResourceExpired("it is not known to be the cluster of before")
	}
	list, err := t.inner.ListWithContext(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return fmt.Errorf("how far its resource versions are: %w", err)
	}
	m, err := meta.ListAccessor(list)
	if err != nil {
		return fmt.Errorf("how far its resource versions are: %w", err)
	}
	if newer, ok := compareVersions(version, m.GetResourceVersion()); !ok || newer > 0 {
		return apierrors.NewResourceExpired(fmt.Sprintf("resource version %s is of another past: the present one is %s", version, m.GetResourceVersion()))
	}
	return nil
}

// cluster names the cluster; with nothing where it has no such Namespace yet.
func (t *tracked) cluster(ctx context.Context) (string, error) {
	_, namespaces, _ := kindOf("namespaces")
	known := theNamespace
	if only := t.resource.namespace; only != "" { // no other may be readable
		known = only
	}
	list, err := t.resource.source.resources[namespaces].calls.inner.ListWithContext(ctx, metav1.ListOptions{
		FieldSelector: "metadata.name=" + known,
	})
	if err != nil {
		return "", err
	}
	uid := ""
	err = meta.EachListItem(list, func(o runtime.Object) error {
		if n, ok := o.(*corev1.Namespace); ok && n.Name == known {
			uid = string(n.UID)
		}
		return nil
	})
	return uid, err
}
