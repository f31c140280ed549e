// Package review asks an API server who callers of netpold are and what they may do, by TokenReview and
// SubjectAccessReview.
package review

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/netpold/netpold/mirror"
)

// A Reviewer is a [mirror.Reviewer] that asks one API server.
type Reviewer struct{ tokens, access rest.Interface }

// Open returns a reviewer that asks the API server of the current context of a kubeconfig file; for an empty name,
// that of the cluster in which the process runs. Credentials in files are read again when they change.
func Open(kubeconfig string) (*Reviewer, error) {
	config, err := rest.InClusterConfig()
	if kubeconfig != "" {
		config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("no way to an API server: %w", err)
	}
	return New(config)
}

// New returns a reviewer that asks the API server of config. It asks as often as it is called: whoever calls it
// limits how many reviews are under way. The 5 requests a second of client-go would make callers wait for minutes.
func New(config *rest.Config) (*Reviewer, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{authenticationv1.AddToScheme, authorizationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("the types of reviews: %w", err)
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.WarningHandler = rest.NoWarnings{}
	config.QPS, config.RateLimiter = -1, nil
	if config.UserAgent == "" {
		config.UserAgent = "netpold"
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("no way to an API server: %w", err)
	}
	of := func(version schema.GroupVersion) (rest.Interface, error) {
		of := rest.CopyConfig(config)
		of.GroupVersion, of.APIPath = &version, "/apis"
		return rest.RESTClientForConfigAndClient(of, client)
	}
	r := &Reviewer{}
	if r.tokens, err = of(authenticationv1.SchemeGroupVersion); err != nil {
		return nil, fmt.Errorf("no way to an API server: %w", err)
	}
	if r.access, err = of(authorizationv1.SchemeGroupVersion); err != nil {
		return nil, fmt.Errorf("no way to an API server: %w", err)
	}
	return r, nil
}

// ReviewToken implements [mirror.Reviewer].
func (r *Reviewer) ReviewToken(ctx context.Context, token, audience string) (mirror.TokenReview, error) {
	review := &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}},
	}
	answer := &authenticationv1.TokenReview{}
	if err := r.tokens.Post().Resource("tokenreviews").Body(review).Do(ctx).Into(answer); err != nil {
		return mirror.TokenReview{}, fmt.Errorf("TokenReview: %w", err)
	}
	user := &answer.Status.User
	reviewed := mirror.TokenReview{
		Authenticated: answer.Status.Authenticated, Audiences: answer.Status.Audiences,
		User: mirror.User{Name: user.Username, UID: user.UID, Groups: user.Groups},
	}
	if len(user.Extra) > 0 {
		reviewed.User.Extra = make(map[string][]string, len(user.Extra))
	}
	for key, values := range user.Extra {
		reviewed.User.Extra[key] = values
	}
	return reviewed, nil
}

// ReviewAccess implements [mirror.Reviewer].
func (r *Reviewer) ReviewAccess(ctx context.Context, user *mirror.User, right mirror.Right) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Name, UID: user.UID, Groups: user.Groups,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: right.Group, Resource: right.Resource, Verb: right.Verb,
		},
	}}
	if len(user.Extra) > 0 {
		review.Spec.Extra = make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	}
	for key, values := range user.Extra {
		review.Spec.Extra[key] = values
	}
	answer := &authorizationv1.SubjectAccessReview{}
	if err := r.access.Post().Resource("subjectaccessreviews").Body(review).Do(ctx).Into(answer); err != nil {
		return false, fmt.Errorf("SubjectAccessReview: %w", err)
	}
	return answer.Status.Allowed && !answer.Status.Denied, nil
}
