package live

import (
	"k8s.io/apimachinery/pkg/api/meta"
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
	key := engine.KeyOf(o)
	return name{key.Namespace, key.Name}
}

// cutter turns objects of one kind into items. It is for one goroutine at a time.
type cutter struct {
	kind    *convert.Kind
	encoder encoder
}

// cut turns an object of the kind, or an item, into an item.
func (c *cutter) cut(o any) (*item, error) {
	if i, ok := o.(*item); ok {
		return i, nil
	}
	object, problems, err := c.kind.Convert(o)
	if err != nil {
		return nil, err
	}
	m, err := meta.Accessor(o)
	if err != nil {
		return nil, err
	}
	if pod, ok := object.(*engine.Pod); ok {
		object = withoutFinished(pod)
	}
	return &item{
		object: object, digest: c.encoder.digest(object, problems), version: m.GetResourceVersion(), problems: problems,
	}, nil
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
