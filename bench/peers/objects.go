package peers

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert/converttest"
)

// Objects are a cluster as the API server tells it.
type Objects struct {
	Namespaces []*corev1.Namespace
	Nodes      []*corev1.Node
	Policies   []*networkingv1.NetworkPolicy
	Pods       []*corev1.Pod
}

// NewObjects are the Kubernetes objects of a synthetic cluster. Each has gone through the API's protobuf, so that none shares
// memory with another: an evaluator that keeps them pays for them as it does beside an API server.
func NewObjects(c *synthetic.Cluster) (*Objects, error) {
	to := &Objects{}
	var err error
	for _, o := range c.Others {
		switch o := o.(type) {
		case *engine.Namespace:
			to.Namespaces, err = appendDecoded(to.Namespaces, converttest.Namespace(o), &corev1.Namespace{})
		case *engine.Node:
			to.Nodes, err = appendDecoded(to.Nodes, converttest.Node(o), &corev1.Node{})
		default:
			err = fmt.Errorf("no Kubernetes object is written for %T", o)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, p := range c.Policies {
		if to.Policies, err = appendDecoded(to.Policies, converttest.Policy(p), &networkingv1.NetworkPolicy{}); err != nil {
			return nil, err
		}
	}
	for _, p := range c.Pods {
		if to.Pods, err = appendDecoded(to.Pods, converttest.Pod(p), &corev1.Pod{}); err != nil {
			return nil, err
		}
	}
	return to, nil
}

func appendDecoded[T interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}](list []T, from, to T) ([]T, error) {
	wire, err := from.Marshal()
	if err != nil {
		return nil, err
	}
	return append(list, to), to.Unmarshal(wire)
}

// servingPorts are the ports of the containers that serve, as a peer that keeps none itself should be told them (S21).
func servingPorts(p *corev1.Pod) []corev1.ContainerPort {
	var list []corev1.ContainerPort
	for i := range p.Spec.Containers {
		list = append(list, p.Spec.Containers[i].Ports...)
	}
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			list = append(list, c.Ports...)
		}
	}
	return list
}
