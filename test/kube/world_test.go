package kube_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/mirror/live"
	"github.com/netpold/netpold/test/kube/random"
)

// world changes a cluster at random, and knows from the API server's answers what is in it. It is for one goroutine.
type world struct {
	t      testing.TB
	client kubernetes.Interface
	r      *random.Random
	// objects are the engine's forms of all objects, by kind, namespace and name.
	objects map[string]engine.Object
	// token is that of the last change.
	token string
}

// newWorld looks at what a cluster has, and adds the Nodes and namespaces that random objects are made for.
func newWorld(t testing.TB, client kubernetes.Interface, seed uint64) *world {
	t.Helper()
	w := &world{t: t, client: client, r: random.New(seed), objects: map[string]engine.Object{}}
	w.relist()
	for _, name := range []string{"a", "b", "c"} {
		w.createNamespace(name)
	}
	for _, name := range []string{"n1", "n2", "n3"} {
		w.createNode(name)
	}
	return w
}

// relist forgets everything and looks again.
func (w *world) relist() {
	w.t.Helper()
	clear(w.objects)
	ctx, all := w.t.Context(), metav1.ListOptions{}
	core := w.client.CoreV1()
	for resource, list := range map[string]func() (runtime.Object, error){
		"pods":            func() (runtime.Object, error) { return core.Pods("").List(ctx, all) },
		"namespaces":      func() (runtime.Object, error) { return core.Namespaces().List(ctx, all) },
		"nodes":           func() (runtime.Object, error) { return core.Nodes().List(ctx, all) },
		"services":        func() (runtime.Object, error) { return core.Services("").List(ctx, all) },
		"endpointslices":  func() (runtime.Object, error) { return w.client.DiscoveryV1().EndpointSlices("").List(ctx, all) },
		"networkpolicies": func() (runtime.Object, error) { return w.client.NetworkingV1().NetworkPolicies("").List(ctx, all) },
	} {
		items, err := list()
		if err != nil {
			w.t.Fatalf("listing %s: %v", resource, err)
		}
		if err := meta.EachListItem(items, func(o runtime.Object) error { w.put(o, nil); return nil }); err != nil {
			w.t.Fatal(err)
		}
		w.advance(resource, items.(metav1.ListInterface).GetResourceVersion())
	}
}

// put takes an object as the API server answered it; tells whether there was one. Errors that say that another object is in the
// way, or missing, mean that nothing has happened.
func (w *world) put(o runtime.Object, err error) bool {
	w.t.Helper()
	if apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) || err != nil && strings.Contains(err.Error(), "failed to lookup namespace") {
		return false
	}
	if err != nil {
		w.t.Fatalf("%v\n%s", err, text(o))
	}
	resource, key, object := converted(o)
	w.objects[key] = object
	w.advance(resource, o.(metav1.Object).GetResourceVersion())
	return true
}

// advance makes the token not older than a resource version.
func (w *world) advance(resource, version string) {
	w.t.Helper()
	token, err := live.TokenFor(resource, version)
	if err == nil && w.token != "" {
		token, err = live.MergeTokens(w.token, token)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.token = token
}

// converted returns an object as the engine has it, with its resource and a key.
func converted(o runtime.Object) (resource, key string, object engine.Object) {
	name := o.(metav1.Object)
	for _, k := range convert.Kinds() {
		if object, _, err := k.Convert(o); err == nil {
			return k.Resource, keyOf(k.Resource, name.GetNamespace(), name.GetName()), object
		}
	}
	panic(fmt.Sprintf("no kind for %T", o))
}

func keyOf(resource, namespace, name string) string { return resource + " " + namespace + "/" + name }

// gone takes note of a deletion. Its resource version is in no answer for most kinds, so a list is asked for it.
func (w *world) gone(ctx context.Context, resource, namespace, name string, err error) bool {
	w.t.Helper()
	if apierrors.IsNotFound(err) {
		return false
	}
	if err != nil {
		w.t.Fatalf("deleting %s %s/%s: %v", resource, namespace, name, err)
	}
	delete(w.objects, keyOf(resource, namespace, name))
	w.advanceToNow(ctx, resource)
	return true
}

func (w *world) advanceToNow(ctx context.Context, resource string) {
	w.t.Helper()
	var list metav1.ListInterface
	var err error
	switch one := (metav1.ListOptions{Limit: 1}); resource {
	case "pods":
		list, err = w.client.CoreV1().Pods("").List(ctx, one)
	case "namespaces":
		list, err = w.client.CoreV1().Namespaces().List(ctx, one)
	case "nodes":
		list, err = w.client.CoreV1().Nodes().List(ctx, one)
	case "services":
		list, err = w.client.CoreV1().Services("").List(ctx, one)
	case "endpointslices":
		list, err = w.client.DiscoveryV1().EndpointSlices("").List(ctx, one)
	case "networkpolicies":
		list, err = w.client.NetworkingV1().NetworkPolicies("").List(ctx, one)
	default:
		err = fmt.Errorf("no resource %q", resource)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.advance(resource, list.GetResourceVersion())
}

// oracle answers for the present objects.
func (w *world) oracle() *enginetest.Oracle {
	objects := make([]engine.Object, 0, len(w.objects))
	for _, o := range w.objects {
		objects = append(objects, o)
	}
	return &enginetest.Oracle{Objects: objects}
}

// serviceAddresses are those of all Services.
func (w *world) serviceAddresses() []netip.Addr {
	var list []netip.Addr
	for _, o := range w.objects {
		if s, ok := o.(*engine.Service); ok {
			list = append(list, s.IPs...)
		}
	}
	return list
}
