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

// A trimmed is what is kept of an object between the API server and the engine. Reflectors handle it in place
// of the object. It is immutable.
type trimmed struct {
	object   engine.Object
	digest   digest
	version  string // the resource version
	problems []mirror.Problem
}

// A name identifies an object among those of its resource.
type name struct{ namespace, name string }

func (i *trimmed) name() name { return nameOf(i.object) }

func nameOf(o engine.Object) name {
	key := engine.KeyOf(o)
	return name{key.Namespace, key.Name}
}

// A trimmer trims objects of one kind. It is not safe for concurrent use.
type trimmer struct {
	kind    *convert.Kind
	encoder encoder
}

// trim trims an object of the kind. It returns a trimmed object unchanged.
func (c *trimmer) trim(o any) (*trimmed, error) {
	if i, ok := o.(*trimmed); ok {
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
	return &trimmed{
		object: object, digest: c.encoder.digest(object, problems), version: m.GetResourceVersion(),
		problems: problems,
	}, nil
}

// withoutFinished returns p, but of a finished Pod only what it is recognised by (S6): errors and notes name it
// by its labels and its former addresses.
func withoutFinished(p *engine.Pod) *engine.Pod {
	if !p.Finished {
		return p
	}
	left := &engine.Pod{
		Namespace: p.Namespace, Name: p.Name, UID: p.UID, Created: p.Created, Finished: true,
		Labels: p.Labels, Workloads: p.Workloads,
	}
	if !p.HostNetwork {
		left.IPs = p.IPs
	}
	return left
}

// GetObjectKind implements [runtime.Object].
func (*trimmed) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements [runtime.Object].
func (i *trimmed) DeepCopyObject() runtime.Object { return i }

// GetObjectMeta implements [metav1.ObjectMetaAccessor], which reflectors call.
func (i *trimmed) GetObjectMeta() metav1.Object {
	n := i.name()
	return &metav1.ObjectMeta{Namespace: n.namespace, Name: n.name, ResourceVersion: i.version}
}

// A trimmedList is a list of trimmed objects.
type trimmedList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []runtime.Object
}

// DeepCopyObject implements [runtime.Object].
func (l *trimmedList) DeepCopyObject() runtime.Object {
	fresh := *l
	fresh.Items = append([]runtime.Object(nil), l.Items...)
	return &fresh
}
