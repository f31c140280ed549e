package live

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/netpold/netpold/mirror/convert"
)

// PresentToken returns the token of an API server's present state. It lists one object of each resource for
// the resource versions. A state not older than the token has every change made before the call. With a
// namespace only that one is listed, and cluster-wide resources that may not be listed are left out. Optional
// resources (S31) are left out if the API server does not serve them, and without tiers.
func PresentToken(ctx context.Context, config *rest.Config, namespace string, tiers bool) (string, error) {
	c, err := newClient(config)
	if err != nil {
		return "", fmt.Errorf("token of the cluster at %s: %w", config.Host, err)
	}
	defer c.close()
	var at positions
	var errs []error
	for i := range convert.RequiredKinds() {
		k := &convert.Kinds()[i]
		version, err := c.presentVersion(ctx, k, &k.Versions[0], namespace)
		at[i], errs = version, append(errs, err)
	}
	if tiers {
		errs = append(errs, c.presentTiers(ctx, namespace, &at)...)
	}
	if slices.ContainsFunc(errs, apierrors.IsUnauthorized) { // as it is of every resource
		return "", fmt.Errorf("token of the cluster at %s: %s", config.Host, CredentialsRefused)
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("token of the cluster at %s: %w", config.Host, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return at.token(), nil
}

// presentTiers adds the present resource versions of the optional resources that are served.
func (c *client) presentTiers(ctx context.Context, namespace string, at *positions) []error {
	found := discoverer(c.discover).find(ctx, convert.OptionalKinds())
	errs := make([]error, len(found))
	for i := range found {
		k := &convert.OptionalKinds()[i]
		switch err := found[i].err; {
		case err != nil:
			r := resource{Kind: k, failures: map[verb]error{verbDiscover: err}}
			errs[i] = errors.New(r.failureLocked())
		case found[i].version != nil:
			at[convert.RequiredCount+i], errs[i] = c.presentVersion(ctx, k, found[i].version, namespace)
		}
	}
	return errs
}

// presentVersion returns the present resource version of a resource; empty if rights in the namespace do not
// include the resource.
func (c *client) presentVersion(ctx context.Context, k *convert.Kind, v *convert.Version,
	namespace string) (string, error) {
	version, err := latestVersion(ctx, cache.ToListerWatcherWithContext(c.listerWatcher(k, v, namespace)))
	if err != nil {
		if namespace != "" && !k.Namespaced && apierrors.IsForbidden(err) {
			return "", nil
		}
		if apierrors.IsUnauthorized(err) {
			return "", err
		}
		r := resource{Kind: k, namespace: namespace, failures: map[verb]error{verbList: err}}
		return "", errors.New(r.failureLocked())
	}
	if _, ok := compareVersions(version, ""); !ok {
		return "", fmt.Errorf("%s: resource version %q of the list is none", k.Qualified(), version)
	}
	return version, nil
}

// latestVersion returns the present resource version of a resource, by a list of one object.
func latestVersion(ctx context.Context, lister cache.ListerWithContext) (string, error) {
	list, err := lister.ListWithContext(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return "", err
	}
	m, err := meta.ListAccessor(list)
	if err != nil {
		return "", fmt.Errorf("the answer is no list: %w", err)
	}
	return m.GetResourceVersion(), nil
}
