// Command reflector lists with client-go's reflectors the six resources that netpold reads, keeps nothing, and says how many
// objects there were once all are listed: what netpold's first sync is measured against. It then waits to be ended. A reflector
// by itself holds a list until it is whole; with the word "names" it is told to hold names alone, the least that it can do with.
package main

import (
	"context"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	if len(os.Args) < 3 {
		panic("usage: reflector KUBECONFIG CONTEXT [names]")
	}
	listed, resources, err := follow(os.Args[1], os.Args[2], len(os.Args) > 3)
	if err != nil {
		panic(err)
	}
	objects := 0
	for range resources {
		objects += <-listed
	}
	fmt.Fprintln(os.Stdout, objects)
	select {}
}

// follow begins to follow a cluster. It gives the number of resources, and of each, once, how many objects there were in the
// beginning.
func follow(kubeconfig, name string, names bool) (listed <-chan int, resources int, err error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: name}).ClientConfig()
	if err != nil {
		return nil, 0, err
	}
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf
	config.QPS, config.Burst = 20, 40 // as netpold's
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, 0, err
	}
	core := client.CoreV1().RESTClient()
	of := map[string]rest.Interface{
		"pods": core, "namespaces": core, "nodes": core, "services": core,
		"networkpolicies": client.NetworkingV1().RESTClient(), "endpointslices": client.DiscoveryV1().RESTClient(),
	}
	all := make(chan int, len(of))
	for resource, server := range of {
		lw := cache.NewListWatchFromClient(server, resource, metav1.NamespaceAll, fields.Everything())
		var store cache.ReflectorStore = &nothing{listed: all}
		if names {
			store = &nothingButNames{nothing{listed: all}}
		}
		go cache.NewReflectorWithOptions(lw, nil, store, cache.ReflectorOptions{Name: resource}).RunWithContext(context.Background())
	}
	return all, len(of), nil
}

// nothing is a store that keeps nothing.
type nothing struct {
	listed chan<- int
	told   bool
}

func (*nothing) Add(any) error    { return nil }
func (*nothing) Update(any) error { return nil }
func (*nothing) Delete(any) error { return nil }
func (*nothing) Resync() error    { return nil }

func (n *nothing) Replace(list []any, _ string) error {
	if !n.told {
		n.told = true
		n.listed <- len(list)
	}
	return nil
}

// nothingButNames keeps nothing, and of a list, until it is whole, only names.
type nothingButNames struct{ nothing }

// Transformer is of [cache.TransformingStore].
func (*nothingButNames) Transformer() cache.TransformFunc {
	return func(o any) (any, error) {
		named, ok := o.(metav1.Object)
		if !ok {
			return o, nil
		}
		return &metav1.ObjectMeta{Namespace: named.GetNamespace(), Name: named.GetName(), ResourceVersion: named.GetResourceVersion()}, nil
	}
}
