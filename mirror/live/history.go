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

// A watch resumes from a resource version. An API server may come back with another history, on an empty or a
// restored etcd. Then it takes the version for a future one and sends nothing, or it resumes from a version
// that is equal by chance. The mirror would be wrong without noticing. So each resumed watch is verified once
// it is open. The cluster must be the one that was listed, judged by the UID of a Namespace that every
// cluster has and nobody can delete. Its resource versions must be at least as high. Otherwise the resource
// is listed again. One gap remains: an etcd that was restored without a bump of its revision, and that had as
// many changes as were lost before the watch resumed.

// theNamespace exists in every cluster.
const theNamespace = metav1.NamespaceSystem

// rememberTimeout limits how long a list waits to identify its cluster.
const rememberTimeout = 5 * time.Second

// remember stores which cluster is about to be listed. If that cannot be found out, the first resumed watch
// is ended.
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

// verify returns an error unless the API server's history includes the one known up to version. If it has
// another history, the error says that the resource version expired.
func (t *tracked) verify(ctx context.Context, version string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	uid, err := t.cluster(ctx)
	if err != nil {
		return fmt.Errorf("identifying the cluster: %w", err)
	}
	t.resource.mu.Lock()
	past := t.resource.past
	t.resource.mu.Unlock()
	if past == nil || *past != uid {
		return apierrors.NewResourceExpired("it is not known to be the cluster that was listed")
	}
	list, err := t.inner.ListWithContext(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return fmt.Errorf("finding its newest resource version: %w", err)
	}
	m, err := meta.ListAccessor(list)
	if err != nil {
		return fmt.Errorf("finding its newest resource version: %w", err)
	}
	if newer, ok := compareVersions(version, m.GetResourceVersion()); !ok || newer > 0 {
		return apierrors.NewResourceExpired(fmt.Sprintf("resource version %s is of another history: the present one is %s",
			version, m.GetResourceVersion()))
	}
	return nil
}

// cluster returns what identifies the cluster; empty if it does not have the Namespace yet.
func (t *tracked) cluster(ctx context.Context) (string, error) {
	_, namespaces, _ := kindOf("namespaces")
	known := theNamespace
	if only := t.resource.namespace; only != "" { // other Namespaces may not be readable
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
