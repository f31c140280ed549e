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
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/netpold/netpold/mirror/convert"
)

// Connect returns how to reach an API server: by a kubeconfig file and a context in it. Either may be empty,
// as with kubectl. Without both, and without KUBECONFIG or ~/.kube/config, it is the cluster in which the
// process runs.
//
// Credentials in files (token, client certificate and key, CA) are reloaded when they change. Those inside
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

// ContextNamespace returns the namespace of a context of a kubeconfig, as kubectl would; empty if there is
// none.
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

// A client makes calls to one API server. It is safe for concurrent use.
type client struct {
	config  *rest.Config
	http    *http.Client
	byPath  map[schema.GroupVersion]rest.Interface
	renewal *renewal
}

func newClient(config *rest.Config) (*client, error) {
	scheme := runtime.NewScheme()
	for _, k := range convert.RequiredKinds() {
		for _, v := range k.Versions {
			if err := v.AddToScheme(scheme); err != nil {
				return nil, err
			}
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})

	config = rest.CopyConfig(config)
	config.Timeout = 0 // it would end watches; each call has its own timeout
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	config.WarningHandler = rest.NoWarnings{}
	if config.QPS == 0 && config.RateLimiter == nil { // after an outage all resources are listed at once
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
		for _, v := range k.Versions {
			if c.byPath[v.GroupVersion] != nil {
				continue
			}
			of := rest.CopyConfig(config)
			if k.Optional {
				of = dynamic.ConfigFor(config)
			}
			of.GroupVersion = &v.GroupVersion
			of.APIPath = "/apis"
			if v.Group == "" {
				of.APIPath = "/api"
			}
			if c.byPath[v.GroupVersion], err = rest.RESTClientForConfigAndClient(of, h); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// listerWatcher returns the calls for a kind in a version. A namespaced kind is listed in namespace, or in all
// if that is empty.
func (c *client) listerWatcher(k *convert.Kind, v *convert.Version, namespace string) cache.ListerWatcher {
	server := c.byPath[v.GroupVersion]
	ask := func(o metav1.ListOptions) *rest.Request {
		// client-go would retry by itself, for minutes and without logging it.
		return server.Get().NamespaceIfScoped(namespace, k.Namespaced && namespace != "").Resource(k.Resource).
			VersionedParams(&o, metav1.ParameterCodec).MaxRetries(0)
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return ask(o).Do(ctx).Get()
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.Watch = true
			return ask(o).Watch(ctx)
		},
	}
}

// close closes idle connections.
func (c *client) close() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }

// klogTo returns a logger for client-go. Its records are debug records, because this package logs failures
// itself.
func klogTo(log *slog.Logger) klog.Logger { return logr.FromSlogHandler(quiet{log.Handler()}) }

// quiet is a handler that turns every record into a debug record.
type quiet struct{ slog.Handler }

// Enabled implements [slog.Handler]. It drops what client-go logs about every call.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= -4 && q.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle implements [slog.Handler]. logr does not call Enabled for errors, so Handle does.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	if !q.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup implements [slog.Handler].
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
