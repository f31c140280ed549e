package conformance

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// A Layout says what the suite leaves to the cluster it runs in.
type Layout struct {
	// IPv6 is the family of all addresses; otherwise they are IPv4.
	IPv6 bool
	// Nodes is the number of Nodes. Pod i of a StatefulSet runs on Node i modulo Nodes.
	Nodes int
}

// Layouts are the clusters in which the suite is run: both families, and client and server on the same Node
// and on different ones (S9, S44).
var Layouts = map[string]Layout{
	"IPv4-one-node":  {Nodes: 1},
	"IPv4-two-nodes": {Nodes: 2},
	"IPv6-one-node":  {IPv6: true, Nodes: 1},
	"IPv6-two-nodes": {IPv6: true, Nodes: 2},
}

// A Cluster is what the suite takes for a cluster. It is safe for concurrent use.
type Cluster struct {
	// Client reads and writes the objects.
	Client client.Client
	// ClientSet and Config lead to a server that runs commands in Pods.
	ClientSet kubernetes.Interface
	Config    *rest.Config

	t      testing.TB
	layout Layout
	// kinds are the kinds that netpold is given.
	kinds []schema.GroupVersionKind

	mu sync.Mutex
	// store has the objects, without what Client does besides.
	store client.WithWatch
	// pods counts the Pods that were made.
	pods int
	// asked is netpold with the present objects, or nil after a change.
	asked *evaluators
	// verdicts counts the questions by netpold's answer.
	verdicts map[bool]int
}

// NewCluster returns a cluster of the given layout with nothing in it but Nodes. It has the kinds of
// cluster-wide policy that install adds to a scheme, in this version.
func NewCluster(t testing.TB, layout Layout, install func(*runtime.Scheme) error, version string,
	policies ...string) *Cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, install} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := &Cluster{t: t, layout: layout, verdicts: map[bool]int{}}
	c.kinds = []schema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("Namespace"),
		corev1.SchemeGroupVersion.WithKind("Node"),
		corev1.SchemeGroupVersion.WithKind("Pod"),
		appsv1.SchemeGroupVersion.WithKind("StatefulSet"),
		networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"),
	}
	for _, kind := range policies {
		c.kinds = append(c.kinds, schema.GroupVersionKind{
			Group: "policy.networking.k8s.io", Version: version, Kind: kind,
		})
	}
	nodes := make([]client.Object, layout.Nodes)
	for i := range nodes {
		nodes[i] = c.node(i)
	}
	c.store = fake.NewClientBuilder().WithScheme(scheme).WithObjects(nodes...).Build()
	c.Client = c.intercept()

	server := httptest.NewServer(c.execServer())
	t.Cleanup(server.Close)
	c.Config = &rest.Config{Host: server.URL}
	set, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	c.ClientSet = set
	return c
}

// MustHaveAnswered fails the test unless netpold has answered "allowed" and "denied" as often as given, and
// at all.
func (c *Cluster) MustHaveAnswered(allowed, denied int) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t.Logf("%d answers: %d allowed, %d denied", allowed+denied, c.verdicts[true], c.verdicts[false])
	if allowed == 0 || denied == 0 || c.verdicts[true] != allowed || c.verdicts[false] != denied {
		c.t.Errorf("%d answers allowed and %d denied; the suite asserts %d and %d",
			c.verdicts[true], c.verdicts[false], allowed, denied)
	}
}

// intercept returns a client of the store that notes changes and gives Pods to StatefulSets.
func (c *Cluster) intercept() client.Client {
	return interceptor.NewClient(c.store, interceptor.Funcs{
		Create: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := c.change(func() error { return w.Create(ctx, o, opts...) }); err != nil {
				return err
			}
			if o.GetObjectKind().GroupVersionKind().Kind == "StatefulSet" {
				return c.change(func() error { return c.createPods(ctx, client.ObjectKeyFromObject(o)) })
			}
			return nil
		},
		Update: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return c.change(func() error { return w.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, w client.WithWatch, o client.Object, p client.Patch,
			opts ...client.PatchOption) error {
			return c.change(func() error { return w.Patch(ctx, o, p, opts...) })
		},
		Delete: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return c.change(func() error { return w.Delete(ctx, o, opts...) })
		},
	})
}

// change writes to the store, after which netpold has to read the objects again.
func (c *Cluster) change(write func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = nil
	return write()
}

// createPods does what the controller, the scheduler and the kubelet do for a StatefulSet.
func (c *Cluster) createPods(ctx context.Context, key client.ObjectKey) error {
	set := new(appsv1.StatefulSet)
	if err := c.store.Get(ctx, key, set); err != nil {
		return err
	}
	set.UID = types.UID("statefulset-" + set.Name)
	if err := c.store.Update(ctx, set); err != nil {
		return err
	}
	replicas := *set.Spec.Replicas
	for i := range replicas {
		pod := c.pod(set, int(i))
		status := pod.Status // which a create does not write
		if err := c.store.Create(ctx, pod); err != nil {
			return err
		}
		pod.Status = status
		if err := c.store.Status().Update(ctx, pod); err != nil {
			return err
		}
	}
	set.Status.Replicas, set.Status.ReadyReplicas = replicas, replicas
	return c.store.Status().Update(ctx, set)
}

// pod returns Pod i of a StatefulSet as it runs.
func (c *Cluster) pod(set *appsv1.StatefulSet, i int) *corev1.Pod {
	c.pods++
	node := i % c.layout.Nodes
	pod := &corev1.Pod{ObjectMeta: *set.Spec.Template.ObjectMeta.DeepCopy(), Spec: *set.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.Name = set.Namespace, fmt.Sprintf("%s-%d", set.Name, i)
	pod.UID = types.UID("pod-" + pod.Name)
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels["statefulset.kubernetes.io/pod-name"] = pod.Name
	pod.OwnerReferences = []metav1.OwnerReference{
		*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet")),
	}
	pod.Spec.NodeName = nodeName(node)
	host, ip := c.address(0, node), c.address(node+1, c.pods)
	if pod.Spec.HostNetwork {
		ip = host
	}
	pod.Status = corev1.PodStatus{
		Phase:   corev1.PodRunning,
		HostIP:  host,
		HostIPs: []corev1.HostIP{{IP: host}},
		PodIP:   ip,
		PodIPs:  []corev1.PodIP{{IP: ip}},
	}
	return pod
}

func (c *Cluster) node(i int) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName(i), UID: types.UID(nodeName(i)), Labels: map[string]string{
			corev1.LabelOSStable: "linux", corev1.LabelHostname: nodeName(i),
		}},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: c.address(0, i)},
		}},
	}
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

// address returns address i, from 0, of a network; network 0 is that of the Nodes.
func (c *Cluster) address(network, i int) string {
	if c.layout.IPv6 {
		return fmt.Sprintf("fd00:%d::%x", network, i+1)
	}
	return fmt.Sprintf("10.%d.0.%d", network, i+1)
}
