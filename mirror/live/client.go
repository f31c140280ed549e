package live

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/netpold/netpold/mirror/convert"
)

// Connect finds how to reach an API server: by a kubeconfig file and a context in it; each may be empty, as with kubectl.
// Without either, and without KUBECONFIG or ~/.kube/config, it is the cluster in which the process runs.
//
// Credentials that are files (token, client certificate and key, CA) are read again when they change; those written into
// the kubeconfig itself are not.
func Connect(kubeconfig, context string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: context}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no way to an API server (kubeconfig %q, context %q): %w", kubeconfig, context, err)
	}
	return config, nil
}

// ContextNamespace returns the namespace of a context of a kubeconfig, as kubectl finds it; empty for none.
func ContextNamespace(kubeconfig, context string) string {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: context}
	namespace, set, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).Namespace()
	if err != nil || !set && namespace == metav1.NamespaceDefault {
		return ""
	}
	return namespace
}

// client is the way to one API server.
type client struct {
	config  *rest.Config
	http    *http.Client
	byPath  map[schema.GroupVersion]rest.Interface
	renewal *renewal
}

func newClient(config *rest.Config) (*client, error) {
	scheme := runtime.NewScheme()
	for _, k := range convert.Kinds() {
		for _, v := range k.Versions {
			if err := v.AddToScheme(scheme); err != nil {
				return nil, err
			}
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})

	config = rest.CopyConfig(config)
	config.Timeout = 0 // it would end watches; each call has its own
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	config.WarningHandler = rest.NoWarnings{}
	if config.QPS == 0 && config.RateLimiter == nil { // after an outage all resources come back at once
		config.QPS, config.Burst = 20, 40
	}
	if config.UserAgent == "" {
		config.UserAgent = "netpold"
	}
	renewal := renew(config)
	h, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	c := &client{config: config, http: h, renewal: renewal, byPath: map[schema.GroupVersion]rest.Interface{}}
	for _, k := range convert.Kinds() {
		version := k.Versions[0].GroupVersion
		if c.byPath[version] != nil {
			continue
		}
		of := rest.CopyConfig(config)
		of.GroupVersion = &version
		of.APIPath = "/apis"
		if version.Group == "" {
			of.APIPath = "/api"
		}
		if c.byPath[version], err = rest.RESTClientForConfigAndClient(of, h); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// listerWatcher returns the calls for a resource; for a namespaced one, in that namespace, or in all if it is empty.
func (c *client) listerWatcher(resource, namespace string) (cache.ListerWatcher, error) {
	k, _, ok := kindOf(resource)
	if !ok {
		return nil, fmt.Errorf("resource %q is not mirrored", resource)
	}
	server := c.byPath[k.Versions[0].GroupVersion]
	ask := func(o metav1.ListOptions) *rest.Request {
		// client-go would ask again by itself, for minutes and without a word.
		return server.Get().NamespaceIfScoped(namespace, k.Namespaced && namespace != "").Resource(resource).VersionedParams(&o, metav1.ParameterCodec).MaxRetries(0)
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return ask(o).Do(ctx).Get() },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.Watch = true
			return ask(o).Watch(ctx)
		},
	}, nil
}

// close ends the connections that no call uses.
func (c *client) close() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }

// klogTo gives client-go a logger. What it tells is for those who look closely: failures are told by this package.
func klogTo(log *slog.Logger) klog.Logger { return logr.FromSlogHandler(quiet{log.Handler()}) }

// quiet makes every record a debug one.
type quiet struct{ slog.Handler }

// Enabled leaves out what client-go tells of every call.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= -4 && q.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle is of [slog.Handler]. Errors come without being asked whether they are wanted.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	if !q.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// WithAttrs is of [slog.Handler].
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup is of [slog.Handler].
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
