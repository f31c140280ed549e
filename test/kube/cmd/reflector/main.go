// Command reflector lists all Pods of a cluster with client-go's reflector, keeps nothing, and says how many there were: what
// netpold's first sync is measured against. It then waits to be ended.
package main

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	if len(os.Args) != 3 {
		panic("usage: reflector KUBECONFIG CONTEXT")
	}
	listed, err := follow(os.Args[1], os.Args[2])
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stdout, <-listed)
	select {}
}

// follow begins to follow the Pods of a cluster, and gives how many there were in the beginning.
func follow(kubeconfig, name string) (<-chan int, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: name}).ClientConfig()
	if err != nil {
		return nil, err
	}
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	pods := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, fields.Everything())
	kept := &nothing{listed: make(chan int)}
	go cache.NewReflectorWithOptions(pods, &corev1.Pod{}, kept, cache.ReflectorOptions{Name: "pods"}).RunWithContext(context.Background())
	return kept.listed, nil
}

// nothing is a store that keeps nothing, and of the list, until it is whole, only names.
type nothing struct{ listed chan int }

func (*nothing) Add(any) error    { return nil }
func (*nothing) Update(any) error { return nil }
func (*nothing) Delete(any) error { return nil }
func (*nothing) Resync() error    { return nil }

func (n *nothing) Replace(list []any, _ string) error {
	n.listed <- len(list)
	return nil
}

// Transformer is of [cache.TransformingStore].
func (*nothing) Transformer() cache.TransformFunc {
	return func(o any) (any, error) {
		pod, ok := o.(*corev1.Pod)
		if !ok {
			return o, nil
		}
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, ResourceVersion: pod.ResourceVersion}}, nil
	}
}
