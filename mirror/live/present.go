package live

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/netpold/netpold/mirror/convert"
)

// PresentToken returns the token of an API server's present state. It lists one object of each resource for
// the resource versions. A state not older than the token has every change made before the call. With a
// namespace only that one is listed, and cluster-wide resources that may not be listed are left out.
func PresentToken(ctx context.Context, config *rest.Config, namespace string) (string, error) {
	c, err := newClient(config)
	if err != nil {
		return "", fmt.Errorf("token of the cluster at %s: %w", config.Host, err)
	}
	defer c.close()
	var at positions
	var errs []error
	kinds := convert.RequiredKinds()
	for i := range kinds {
		version, err := c.presentVersion(ctx, &kinds[i], namespace)
		if err != nil {
			errs = append(errs, fmt.Errorf("token of the cluster at %s: %w", config.Host, err))
		}
		at[i] = version
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return at.token(), nil
}

// presentVersion returns the present resource version of a resource; empty if rights in the namespace do not
// include the resource.
func (c *client) presentVersion(ctx context.Context, k *convert.Kind, namespace string) (string, error) {
	lw, err := c.listerWatcher(k.Resource, namespace)
	if err != nil {
		return "", err
	}
	list, err := cache.ToListerWatcherWithContext(lw).ListWithContext(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		if namespace != "" && !k.Namespaced && apierrors.IsForbidden(err) {
			return "", nil
		}
		r := resource{Kind: k, namespace: namespace, failures: map[verb]error{verbList: err}}
		return "", errors.New(r.failureLocked())
	}
	m, err := meta.ListAccessor(list)
	if err != nil {
		return "", fmt.Errorf("%s: the answer is no list: %w", k.Qualified(), err)
	}
	version := m.GetResourceVersion()
	if _, ok := compareVersions(version, ""); !ok {
		return "", fmt.Errorf("%s: resource version %q of the list is none", k.Qualified(), version)
	}
	return version, nil
}
