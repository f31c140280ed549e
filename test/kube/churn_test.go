package kube_test

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netpold/netpold/test/kube/random"
)

// change makes one random change and tells which; empty when it came to nothing.
func (w *world) change(ctx context.Context) string {
	w.t.Helper()
	kinds := []struct {
		weight int
		name   string
		do     func(context.Context) bool
	}{
		{14, "create a Pod", w.createPod},
		{16, "write a Pod's status", w.updatePodStatus},
		{10, "relabel a Pod", w.relabelPod},
		{8, "delete a Pod", w.deletePod},
		{3, "terminate a Pod", w.terminatePod},
		{5, "relabel a Namespace", w.relabelNamespace},
		{2, "delete or create a Namespace", w.toggleNamespace},
		{12, "create a policy", w.createPolicy},
		{10, "change a policy", w.updatePolicy},
		{6, "delete a policy", w.deletePolicy},
		{5, "create a Service", w.createService},
		{3, "change a Service", w.updateService},
		{3, "delete a Service", w.deleteService},
		{7, "create an EndpointSlice", w.createSlice},
		{5, "change an EndpointSlice", w.updateSlice},
		{3, "delete an EndpointSlice", w.deleteSlice},
		{2, "change a Node's addresses", w.updateNode},
		{1, "delete or create a Node", w.toggleNode},
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	n := w.r.IntN(total)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			if k.do(ctx) {
				return k.name
			}
			return ""
		}
	}
	return ""
}

func zero() metav1.DeleteOptions { return metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))} }

func (w *world) createPod(ctx context.Context) bool {
	p := w.r.Pod()
	created, err := w.client.CoreV1().Pods(p.Namespace).Create(ctx, p, metav1.CreateOptions{})
	if !w.put(created, err) {
		return false
	}
	if w.r.Chance(15) {
		return true // without a status yet
	}
	created.Status = w.r.PodStatus(created)
	return w.put(w.client.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, created, metav1.UpdateOptions{}))
}

func (w *world) updatePodStatus(ctx context.Context) bool {
	p := w.r.Pod()
	now, err := w.client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	now.Status = w.r.PodStatus(now)
	return w.put(w.client.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, now, metav1.UpdateOptions{}))
}

func (w *world) relabelPod(ctx context.Context) bool {
	p := w.r.Pod()
	now, err := w.client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	now.Labels = p.Labels
	return w.put(w.client.CoreV1().Pods(p.Namespace).Update(ctx, now, metav1.UpdateOptions{}))
}

func (w *world) deletePod(ctx context.Context) bool {
	p := w.r.Pod()
	return w.gone(ctx, "pods", p.Namespace, p.Name, w.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, zero()))
}

// terminatePod leaves a Pod that is being deleted: it goes on as it is until its kubelet says that it is gone.
func (w *world) terminatePod(ctx context.Context) bool {
	p := w.r.Pod()
	err := w.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(300))})
	if err != nil {
		return false
	}
	now, err := w.client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	if err != nil { // one that has finished goes at once
		return w.gone(ctx, "pods", p.Namespace, p.Name, nil)
	}
	return w.put(now, nil)
}

func (w *world) createNamespace(name string) bool {
	w.t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: w.r.Labels()}}
	return w.put(w.client.CoreV1().Namespaces().Create(w.t.Context(), namespace, metav1.CreateOptions{}))
}

func (w *world) relabelNamespace(ctx context.Context) bool {
	now, err := w.client.CoreV1().Namespaces().Get(ctx, w.r.Namespace(), metav1.GetOptions{})
	if err != nil {
		return false
	}
	now.Labels = w.r.Labels()
	return w.put(w.client.CoreV1().Namespaces().Update(ctx, now, metav1.UpdateOptions{}))
}

// toggleNamespace deletes a Namespace in the way of its controller, which is not running, so that its objects outlive it; or
// creates it again.
func (w *world) toggleNamespace(ctx context.Context) bool {
	name := w.r.Namespace()
	namespaces := w.client.CoreV1().Namespaces()
	if w.objects[keyOf("namespaces", "", name)] == nil {
		return w.createNamespace(name)
	}
	if err := namespaces.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
	now, err := namespaces.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	now.Spec.Finalizers = nil
	_, err = namespaces.Finalize(ctx, now, metav1.UpdateOptions{})
	return w.gone(ctx, "namespaces", "", name, err)
}

func (w *world) createPolicy(ctx context.Context) bool {
	p := w.r.Policy()
	return w.put(w.client.NetworkingV1().NetworkPolicies(p.Namespace).Create(ctx, p, metav1.CreateOptions{}))
}

func (w *world) updatePolicy(ctx context.Context) bool {
	p := w.r.Policy()
	now, err := w.client.NetworkingV1().NetworkPolicies(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	now.Spec = p.Spec
	return w.put(w.client.NetworkingV1().NetworkPolicies(p.Namespace).Update(ctx, now, metav1.UpdateOptions{}))
}

func (w *world) deletePolicy(ctx context.Context) bool {
	p := w.r.Policy()
	return w.gone(ctx, "networkpolicies", p.Namespace, p.Name, w.client.NetworkingV1().NetworkPolicies(p.Namespace).Delete(ctx, p.Name, zero()))
}

func (w *world) createService(ctx context.Context) bool {
	s := w.r.Service()
	return w.put(w.client.CoreV1().Services(s.Namespace).Create(ctx, s, metav1.CreateOptions{}))
}

func (w *world) updateService(ctx context.Context) bool {
	s := w.r.Service()
	now, err := w.client.CoreV1().Services(s.Namespace).Get(ctx, s.Name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	now.Spec.Ports = w.r.ServicePorts()
	return w.put(w.client.CoreV1().Services(s.Namespace).Update(ctx, now, metav1.UpdateOptions{}))
}

func (w *world) deleteService(ctx context.Context) bool {
	s := w.r.Service()
	var deleted corev1.Service
	err := w.client.CoreV1().RESTClient().Delete().Namespace(s.Namespace).Resource("services").Name(s.Name).Do(ctx).Into(&deleted)
	if err == nil && w.r.Chance(80) { // the answer tells the version, at once; a list tells a later one
		delete(w.objects, keyOf("services", s.Namespace, s.Name))
		w.advance("services", deleted.ResourceVersion)
		return true
	}
	return w.gone(ctx, "services", s.Namespace, s.Name, err)
}

func (w *world) createSlice(ctx context.Context) bool {
	s := w.r.EndpointSlice()
	return w.put(w.client.DiscoveryV1().EndpointSlices(s.Namespace).Create(ctx, s, metav1.CreateOptions{}))
}

func (w *world) updateSlice(ctx context.Context) bool {
	s := w.r.EndpointSlice()
	now, err := w.client.DiscoveryV1().EndpointSlices(s.Namespace).Get(ctx, s.Name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	now.Labels, now.Ports, now.Endpoints = s.Labels, s.Ports, w.r.Endpoints(now.AddressType)
	return w.put(w.client.DiscoveryV1().EndpointSlices(s.Namespace).Update(ctx, now, metav1.UpdateOptions{}))
}

func (w *world) deleteSlice(ctx context.Context) bool {
	s := w.r.EndpointSlice()
	return w.gone(ctx, "endpointslices", s.Namespace, s.Name, w.client.DiscoveryV1().EndpointSlices(s.Namespace).Delete(ctx, s.Name, zero()))
}

func (w *world) createNode(name string) bool {
	w.t.Helper()
	node, err := w.client.CoreV1().Nodes().Create(w.t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if !w.put(node, err) {
		return false
	}
	node.Status.Addresses = nodeAddresses(name)
	return w.put(w.client.CoreV1().Nodes().UpdateStatus(w.t.Context(), node, metav1.UpdateOptions{}))
}

func nodeAddresses(name string) []corev1.NodeAddress {
	list := []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}}
	for _, ip := range random.NodeIPs(name) {
		list = append(list, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	return list
}

func (w *world) updateNode(ctx context.Context) bool {
	name := w.r.Node()
	now, err := w.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	now.Status.Addresses = nodeAddresses(name)
	if w.r.Chance(50) {
		now.Status.Addresses = slices.Delete(now.Status.Addresses, 1, 2)
	}
	return w.put(w.client.CoreV1().Nodes().UpdateStatus(ctx, now, metav1.UpdateOptions{}))
}

func (w *world) toggleNode(ctx context.Context) bool {
	name := w.r.Node()
	if w.objects[keyOf("nodes", "", name)] == nil {
		return w.createNode(name)
	}
	return w.gone(ctx, "nodes", "", name, w.client.CoreV1().Nodes().Delete(ctx, name, zero()))
}
