//go:build linux

package reality

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/test/kube/kubetest"
	"github.com/netpold/netpold/test/reality/network"
)

// A cluster is a wired network, a real API server whose objects describe it, a network plugin on every Node, and
// netpold, which watches the same API server. Its methods are for one goroutine.
type cluster struct {
	*wiring
	tb testing.TB
	// whole is the test that the cluster lives as long as.
	whole      testing.TB
	plugin     plugin
	client     kubernetes.Interface
	kubeconfig string
	// running are the plugin's processes, one a Node.
	running []*kubetest.Process
	// api answers as the API means it, like as the plugin does.
	api, like *netpold.Client
	// made are the namespaces, which nobody would take away.
	made map[string]bool
	// settled counts the changes of the probe policy; see [cluster.settle].
	settled int
}

// start starts a cluster that enforces with a plugin until the test ends, and two of netpold: one answers as the API
// means it, and one as the plugin does.
func start(tb testing.TB, p plugin) *cluster {
	tb.Helper()
	requireRoot(tb)
	w, err := wire(slices.Concat(ports, probePorts[:], scenePorts))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(w.Close)
	api := kubetest.Start(tb)
	c := &cluster{wiring: w, tb: tb, whole: tb, plugin: p, client: api.Client(), kubeconfig: writeKubeconfig(tb, api), made: map[string]bool{}}
	c.createNodes()
	c.createProbes()
	for _, node := range c.nodes {
		c.forward(api, node)
		c.running = append(c.running, p.start(c, node))
	}
	c.api = c.serve(kubetest.Build(tb, ".", "./cmd/netpold"))
	c.like = c.serve(kubetest.Build(tb, ".", "./cmd/netpold"), "--like="+p.name())
	for _, name := range namespaces {
		c.createNamespace(name, nil)
	}
	c.settle()
	return c
}

// serve starts the netpold at path, which watches the cluster until the test ends, and returns a client of it.
func (c *cluster) serve(path string, flags ...string) *netpold.Client {
	c.tb.Helper()
	n := kubetest.StartNetpoldAt(c.tb, path, append([]string{"--kubeconfig=" + c.kubeconfig}, flags...)...)
	n.AwaitReady()
	return n.Client()
}

// of returns the cluster for a subtest.
func (c *cluster) of(tb testing.TB) *cluster {
	sub := *c
	sub.tb = tb
	tb.Cleanup(func() { c.settled = sub.settled })
	return &sub
}

// forward lets programs on a Node reach the API server, at the address that it has outside.
func (c *cluster) forward(api *kubetest.Cluster, node *place) {
	c.tb.Helper()
	at, err := url.Parse(api.Admin().Host)
	c.must(err)
	f, err := network.NewForward(node.Namespace, at.Host)
	c.must(err)
	c.tb.Cleanup(f.Close)
}

// writeKubeconfig writes a kubeconfig with all rights.
func writeKubeconfig(tb testing.TB, api *kubetest.Cluster) (path string) {
	tb.Helper()
	admin, config := api.Admin(), clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: admin.Host, CertificateAuthority: admin.CAFile}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: admin.BearerToken}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "admin"}
	config.CurrentContext = "test"
	path = filepath.Join(tb.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		tb.Fatal(err)
	}
	return path
}

// createNodes makes an object for every Node of the wiring.
func (c *cluster) createNodes() {
	c.tb.Helper()
	for _, n := range c.nodes {
		object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.node}}
		made, err := c.client.CoreV1().Nodes().Create(c.tb.Context(), object, metav1.CreateOptions{})
		c.must(err)
		for _, a := range n.addrs {
			made.Status.Addresses = append(made.Status.Addresses,
				corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a.String()})
		}
		_, err = c.client.CoreV1().Nodes().UpdateStatus(c.tb.Context(), made, metav1.UpdateOptions{})
		c.must(err)
	}
}

// createPod makes a Pod and its status, as a kubelet would. addrs are those that it reports.
func (c *cluster) createPod(p *corev1.Pod, phase corev1.PodPhase, addrs ...string) {
	c.tb.Helper()
	made, err := c.client.CoreV1().Pods(p.Namespace).Create(c.tb.Context(), p, metav1.CreateOptions{})
	c.must(err)
	made.Status.Phase = phase
	for _, a := range addrs {
		made.Status.PodIPs = append(made.Status.PodIPs, corev1.PodIP{IP: a})
	}
	if len(addrs) > 0 {
		made.Status.PodIP = addrs[0]
	}
	for _, a := range nodeAddrs(p.Spec.NodeName) {
		made.Status.HostIPs = append(made.Status.HostIPs, corev1.HostIP{IP: a.String()})
	}
	made.Status.HostIP = made.Status.HostIPs[0].IP
	_, err = c.client.CoreV1().Pods(p.Namespace).UpdateStatus(c.tb.Context(), made, metav1.UpdateOptions{})
	c.must(err)
}

// createNamespace makes a namespace if there is none of the name.
func (c *cluster) createNamespace(name string, labels map[string]string) {
	c.tb.Helper()
	if c.made[name] {
		return
	}
	c.made[name] = true
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	_, err := c.client.CoreV1().Namespaces().Create(c.tb.Context(), object, metav1.CreateOptions{})
	c.must(err)
}

// newPod returns a Pod at a place, without labels.
func newPod(namespace, name string, at *place, containerPorts ...corev1.ContainerPort) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			NodeName:   at.node,
			Containers: []corev1.Container{{Name: "main", Image: "main", Ports: containerPorts}},
		},
	}
}

// texts returns the addresses of a place as objects have them.
func (p *place) texts() []string { return []string{p.addrs[0].String(), p.addrs[1].String()} }

// must fails the test at once if err is not nil.
func (c *cluster) must(err error) {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatal(fmt.Errorf("reality: %w", err))
	}
}
