package live

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// item is what is kept of an object on its way from the API server into the engine. It is immutable, and stands for the
// object in reflectors.
type item struct {
	object   engine.Object
	digest   digest
	version  string // resource version
	problems []mirror.Problem
}

// name names an object among those of its resource.
type name struct{ namespace, name string }

func (i *item) name() name { return nameOf(i.object) }

func nameOf(o engine.Object) name {
	switch o := o.(type) {
	case *engine.Pod:
		return name{o.Namespace, o.Name}
	case *engine.Namespace:
		return name{"", o.Name}
	case *engine.Policy:
		return name{o.Namespace, o.Name}
	case *engine.Node:
		return name{"", o.Name}
	case *engine.Service:
		return name{o.Namespace, o.Name}
	case *engine.EndpointSlice:
		return name{o.Namespace, o.Name}
	}
	return name{}
}

// object is the least that names an object of the resource, for its deletion.
func (x resourceIndex) object(n name) engine.Object {
	switch kinds()[x].resource {
	case "pods":
		return &engine.Pod{Namespace: n.namespace, Name: n.name}
	case "namespaces":
		return &engine.Namespace{Name: n.name}
	case "networkpolicies":
		return &engine.Policy{Namespace: n.namespace, Name: n.name}
	case "nodes":
		return &engine.Node{Name: n.name}
	case "services":
		return &engine.Service{Namespace: n.namespace, Name: n.name}
	}
	return &engine.EndpointSlice{Namespace: n.namespace, Name: n.name}
}

// cutter turns objects into items. It is for one goroutine at a time.
type cutter struct{ encoder encoder }

// cut turns an object of a mirrored kind, or an item, into an item.
func (c *cutter) cut(o any) (*item, error) {
	var i item
	switch o := o.(type) {
	case *item:
		return o, nil
	case *corev1.Pod:
		pod, problems := convert.Pod(o)
		i = item{object: withoutFinished(pod), version: o.ResourceVersion, problems: problems}
	case *corev1.Namespace:
		i = item{object: convert.Namespace(o), version: o.ResourceVersion}
	case *networkingv1.NetworkPolicy:
		policy, problems := convert.Policy(o)
		i = item{object: policy, version: o.ResourceVersion, problems: problems}
	case *corev1.Node:
		node, problems := convert.Node(o)
		i = item{object: node, version: o.ResourceVersion, problems: problems}
	case *corev1.Service:
		service, problems := convert.Service(o)
		i = item{object: service, version: o.ResourceVersion, problems: problems}
	case *discoveryv1.EndpointSlice:
		slice, problems := convert.EndpointSlice(o)
		i = item{object: slice, version: o.ResourceVersion, problems: problems}
	default:
		return nil, fmt.Errorf("an object of type %T came in place of one that is mirrored", o)
	}
	i.digest = c.encoder.digest(i.object, i.problems)
	return &i, nil
}

// withoutFinished drops what a finished Pod has left behind: it is known by name and by its workloads, and no more (S6).
func withoutFinished(p *engine.Pod) *engine.Pod {
	if !p.Finished {
		return p
	}
	return &engine.Pod{Namespace: p.Namespace, Name: p.Name, UID: p.UID, Created: p.Created, Finished: true, Workloads: p.Workloads}
}

// GetObjectKind is of [runtime.Object].
func (*item) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject is of [runtime.Object].
func (i *item) DeepCopyObject() runtime.Object { return i }

// GetObjectMeta is of [metav1.ObjectMetaAccessor]: what reflectors ask of an object.
func (i *item) GetObjectMeta() metav1.Object {
	n := i.name()
	return &metav1.ObjectMeta{Namespace: n.namespace, Name: n.name, ResourceVersion: i.version}
}

// itemList is a list of items.
type itemList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []runtime.Object
}

// DeepCopyObject is of [runtime.Object].
func (l *itemList) DeepCopyObject() runtime.Object {
	fresh := *l
	fresh.Items = append([]runtime.Object(nil), l.Items...)
	return &fresh
}
