package live_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/mirror/live"
)

// TestAgainstOracle makes random changes in a server that goes wrong in every way, and after each few asks the mirror and the
// oracle the same questions.
func TestAgainstOracle(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 4
	}
	operations, questions := 0, 0
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			o, q := follow(t, uint64(seed), 60)
			operations, questions = operations+o, questions+q
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d operations, %d questions", operations, questions)
}

func follow(t *testing.T, seed uint64, rounds int) (operations, questions int) {
	random, faulty := enginetest.NewRandom(seed), rand.New(rand.NewPCG(seed, 3))
	server := newAPIServer()
	state, truth := enginetest.State{}, enginetest.State{}
	apply := func(changes []engine.Change) (token string) {
		for _, c := range changes {
			operations++
			resource, version := change(server, truth, c)
			token = merge(t, token, tokenFor(t, resource, version))
		}
		state.Apply(changes)
		return token
	}
	for _, o := range random.Cluster() {
		apply([]engine.Change{{Object: o}})
	}
	source := start(t, server)
	<-source.Ready()
	for round := range rounds {
		token := ""
		for range 1 + faulty.IntN(4) {
			token = merge(t, token, apply(random.Churn(state)))
		}
		goWrong(server, faulty)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		got, err := source.Wait(ctx, token)
		cancel()
		if err != nil {
			t.Errorf("seed %d round %d: %v", seed, round, err)
			return operations, questions
		}
		oracle := &enginetest.Oracle{Objects: truth.Objects()}
		for range 10 {
			questions++
			q := random.Question(oracle.Objects)
			d, derr := got.Snapshot.Allowed(q.Query())
			want, wantErr := oracle.Allowed(q)
			if diff := enginetest.Diff(d, derr, want, wantErr); diff != "" {
				t.Errorf("seed %d round %d: %s: %s", seed, round, q, diff)
				return operations, questions
			}
		}
	}
	return operations, questions
}

func merge(t *testing.T, tokens ...string) string {
	t.Helper()
	token, err := live.MergeTokens(tokens...)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// goWrong does one of what API servers do; it passes by itself.
func goWrong(s *apiServer, r *rand.Rand) {
	resource := resources[r.IntN(len(resources))]
	switch r.IntN(8) {
	case 0:
		s.compact(resource)
	case 1:
		s.breakWatches(resource, nil)
	case 2:
		s.bookmark(resource)
	case 3:
		f := func(f *faults) { f.list, f.watch = errors.New("down"), refused() }
		s.fault(resource, f)
		s.breakWatches(resource, nil)
		time.AfterFunc(time.Duration(r.IntN(20))*time.Second, func() {
			s.fault(resource, func(f *faults) { f.list, f.watch = nil, nil })
		})
	case 4:
		s.fault(resource, func(f *faults) { f.noStream, f.pages = !f.noStream, 2 })
		s.compact(resource)
	}
}

// change makes a change of the engine's one of the server, and of what is true: what the server's object says.
func change(s *apiServer, truth enginetest.State, c engine.Change) (resource, version string) {
	o := kubernetes(c.Object)
	resource = resourceOf(o)
	if c.Delete {
		truth.Apply([]engine.Change{c})
		return resource, s.remove(resource, keyOf(o))
	}
	var read engine.Object
	switch o := o.(type) {
	case *corev1.Pod:
		read, _ = convert.Pod(o)
	case *corev1.Namespace:
		read, _ = convert.Namespace(o)
	case *corev1.Node:
		read, _ = convert.Node(o)
	case *networkingv1.NetworkPolicy:
		read, _ = convert.Policy(o)
	case *corev1.Service:
		read, _ = convert.Service(o)
	case *discoveryv1.EndpointSlice:
		read, _ = convert.EndpointSlice(o)
	}
	truth.Apply([]engine.Change{{Object: read}})
	return resource, s.apply(o)
}

// kubernetes is an object that says about the same.
func kubernetes(o engine.Object) object {
	switch o := o.(type) {
	case *engine.Pod:
		return kubernetesPod(o)
	case *engine.Namespace:
		return namespace(o.Name, o.Labels)
	case *engine.Node:
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: o.Name}}
		for _, ip := range o.IPs {
			n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip.String()})
		}
		return n
	case *engine.Policy:
		return kubernetesPolicy(o)
	case *engine.Service:
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}}
		for _, ip := range o.IPs {
			s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, ip.String())
		}
		if o.Headless {
			s.Spec.ClusterIPs = []string{corev1.ClusterIPNone}
		}
		if o.ExternalName {
			s.Spec.Type = corev1.ServiceTypeExternalName
		}
		for _, p := range o.Ports {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: p.Name, Port: int32(p.Port), Protocol: corev1.Protocol(p.Protocol.String())})
		}
		return s
	case *engine.EndpointSlice:
		return kubernetesSlice(o)
	}
	panic(fmt.Sprintf("%T", o))
}

func kubernetesPod(o *engine.Pod) *corev1.Pod {
	p := pod(o.Namespace, o.Name, "", o.Labels)
	p.UID, p.CreationTimestamp = types.UID(o.UID), metav1.Unix(o.Created, 0)
	p.Spec.NodeName, p.Spec.HostNetwork = o.Node, o.HostNetwork
	if o.Finished {
		p.Status.Phase = corev1.PodFailed
	}
	for _, ip := range o.IPs {
		p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: ip.String()})
	}
	for _, ip := range o.HostIPs {
		p.Status.HostIPs = append(p.Status.HostIPs, corev1.HostIP{IP: ip.String()})
	}
	c := corev1.Container{}
	for _, x := range o.Ports {
		c.Ports = append(c.Ports, corev1.ContainerPort{Name: x.Name, ContainerPort: int32(x.Port), Protocol: corev1.Protocol(x.Protocol.String())})
	}
	p.Spec.Containers = []corev1.Container{c}
	yes := true
	for _, w := range o.Workloads {
		p.OwnerReferences = append(p.OwnerReferences, metav1.OwnerReference{Kind: w.Kind, Name: w.Name, Controller: &yes})
		break
	}
	return p
}

func kubernetesSelector(s engine.Selector) *metav1.LabelSelector {
	operators := map[engine.Operator]metav1.LabelSelectorOperator{
		engine.In: metav1.LabelSelectorOpIn, engine.NotIn: metav1.LabelSelectorOpNotIn,
		engine.Exists: metav1.LabelSelectorOpExists, engine.DoesNotExist: metav1.LabelSelectorOpDoesNotExist,
	}
	to := &metav1.LabelSelector{}
	for _, r := range s {
		to.MatchExpressions = append(to.MatchExpressions, metav1.LabelSelectorRequirement{Key: r.Key, Operator: operators[r.Operator], Values: r.Values})
	}
	return to
}

func kubernetesPolicy(o *engine.Policy) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}}
	p.Spec.PodSelector = *kubernetesSelector(o.Subject)
	if o.IsolatesIngress {
		p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
	}
	if o.IsolatesEgress {
		p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
	for _, r := range o.Ingress {
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: kubernetesPeers(r.Peers), Ports: kubernetesPorts(r.Ports)})
	}
	for _, r := range o.Egress {
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: kubernetesPeers(r.Peers), Ports: kubernetesPorts(r.Ports)})
	}
	return p
}

func kubernetesPeers(list []engine.Peer) []networkingv1.NetworkPolicyPeer {
	var to []networkingv1.NetworkPolicyPeer
	for _, p := range list {
		var x networkingv1.NetworkPolicyPeer
		if p.Pods != nil {
			x.PodSelector = kubernetesSelector(*p.Pods)
		}
		if p.Namespaces != nil {
			x.NamespaceSelector = kubernetesSelector(*p.Namespaces)
		}
		if p.Block != nil {
			x.IPBlock = &networkingv1.IPBlock{CIDR: p.Block.CIDR.String()}
			for _, e := range p.Block.Except {
				x.IPBlock.Except = append(x.IPBlock.Except, e.String())
			}
		}
		to = append(to, x)
	}
	return to
}

func kubernetesPorts(list []engine.Port) []networkingv1.NetworkPolicyPort {
	var to []networkingv1.NetworkPolicyPort
	for _, p := range list {
		protocol := corev1.Protocol(p.Protocol.String())
		x := networkingv1.NetworkPolicyPort{Protocol: &protocol}
		port, end := intstr.FromInt32(int32(p.First)), int32(p.Last)
		switch {
		case p.Name != "":
			port = intstr.FromString(p.Name)
			x.Port = &port
		case p.First == 1 && p.Last == 65535:
		case p.First == p.Last:
			x.Port = &port
		default:
			x.Port, x.EndPort = &port, &end
		}
		to = append(to, x)
	}
	return to
}

func kubernetesSlice(o *engine.EndpointSlice) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace: o.Namespace, Name: o.Name, Labels: map[string]string{discoveryv1.LabelServiceName: o.Service},
	}}
	for _, p := range o.Ports {
		number, protocol := int32(p.Port), corev1.Protocol(p.Protocol.String())
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: &p.Name, Port: &number, Protocol: &protocol})
	}
	for _, e := range o.Endpoints {
		if e.Addr.IsValid() {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
				Addresses:  []string{e.Addr.String()},
				Conditions: discoveryv1.EndpointConditions{Ready: &e.Ready, Serving: &e.Serving, Terminating: &e.Terminating},
			})
		}
	}
	return s
}
