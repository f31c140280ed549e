package convert

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// Object is a Kubernetes object.
type Object interface {
	metav1.Object
	runtime.Object
}

// A Kind is a kind of Kubernetes object that decisions depend on. A mirrored kind has Empty, a workload has
// Template, and Endpoints, which become EndpointSlices, have neither. A Kind must not be modified.
type Kind struct {
	// Name is the kind as manifests write it. Example: "NetworkPolicy".
	Name string
	// Resource is plural and in lower case. Example: "networkpolicies".
	Resource string
	// Namespaced means that objects have a namespace. Otherwise they belong to the whole cluster.
	Namespaced bool
	// Optional means that a cluster need not serve the kind (S31). Objects are unstructured: a newer version
	// of the schema has fields that a type would drop, and none may go unseen (S45).
	Optional bool
	// Policy means that objects with unknown fields are rejected: an unknown field may be a misspelt rule.
	Policy bool
	// Versions are the API versions that are read, the preferred one first. All are of one group.
	Versions []Version
	// ValidateName returns why the API server rejects a name; nil if it does not.
	ValidateName func(name string, prefix bool) []string
	// Empty returns an object of the engine with a name and nothing else. It stands for the object in a
	// deletion.
	Empty func(namespace, name string) engine.Object
	// Template returns the Pod template of a workload; nil for other kinds.
	Template func(Object) Template
}

// Version is one API version of a kind.
type Version struct {
	schema.GroupVersion
	// AddToScheme registers the types of the group and version; nil for unstructured objects.
	AddToScheme func(*runtime.Scheme) error
	// New returns a new object with no field set.
	New func() Object
	// convert reports whether the object is of the right type.
	convert func(any) (engine.Object, []mirror.Problem, bool)
}

// Kinds returns the mirrored kinds, in the order that users see. Tokens of live clusters number the kinds in
// this order, so a new kind must be added at the end.
func Kinds() []Kind { return mirrored[:] }

// RequiredKinds returns the mirrored kinds that every cluster serves. They are the first ones of [Kinds].
func RequiredKinds() []Kind { return mirrored[:RequiredCount] }

// OptionalKinds returns the other mirrored kinds, which a cluster need not serve.
func OptionalKinds() []Kind { return mirrored[RequiredCount:] }

// WorkloadKinds returns the kinds that create Pods from a template.
func WorkloadKinds() []Kind { return workloads }

// KindNamed returns the kind of that name and reports whether there is one. It knows the mirrored kinds, the
// workloads, and the kinds that only files have.
func KindNamed(name string) (*Kind, bool) {
	for _, list := range [][]Kind{mirrored[:], workloads, inFiles} {
		for i := range list {
			if list[i].Name == name {
				return &list[i], true
			}
		}
	}
	return nil, false
}

// KindOf returns the mirrored kind of an engine's object.
func KindOf(o engine.Object) *Kind {
	key := engine.KeyOf(o)
	for i := range mirrored {
		if engine.KeyOf(mirrored[i].Empty(key.Namespace, key.Name)) == key {
			return &mirrored[i]
		}
	}
	panic(fmt.Sprintf("no kind for %T: add it to the table in mirror/convert/kinds.go", o))
}

// HasGroup reports whether any kind belongs to the API group.
func HasGroup(group string) bool {
	for _, list := range [][]Kind{mirrored[:], workloads, inFiles} {
		for i := range list {
			if list[i].Group() == group {
				return true
			}
		}
	}
	return false
}

// Group returns the API group; empty for the core group.
func (k *Kind) Group() string { return k.Versions[0].Group }

// Qualified returns the resource as RBAC rules and kubectl write it. Example:
// "networkpolicies.networking.k8s.io".
func (k *Kind) Qualified() string {
	return schema.GroupResource{Group: k.Group(), Resource: k.Resource}.String()
}

// Version returns the version that apiVersion names. It reports whether the kind is read in it.
func (k *Kind) Version(apiVersion string) (*Version, bool) {
	for i := range k.Versions {
		if k.Versions[i].String() == apiVersion {
			return &k.Versions[i], true
		}
	}
	return nil, false
}

// Convert converts an object of a mirrored kind, in any of its versions. It returns an error if o is of
// another type.
func (k *Kind) Convert(o any) (engine.Object, []mirror.Problem, error) {
	for i := range k.Versions {
		if object, problems, ok := k.Versions[i].convert(o); ok {
			return object, problems, nil
		}
	}
	return nil, nil, fmt.Errorf("an object of type %T came in place of a %s", o, k.Name)
}

// pointer is a *T that is a Kubernetes object.
type pointer[T any] interface {
	*T
	Object
}

// version returns a Version whose objects have the type T and are converted by convert.
func version[T any, P pointer[T], E engine.Object](
	of schema.GroupVersion, addToScheme func(*runtime.Scheme) error, convert func(P) (E, []mirror.Problem),
) Version {
	return Version{
		GroupVersion: of, AddToScheme: addToScheme,
		New: func() Object { return P(new(T)) },
		convert: func(o any) (engine.Object, []mirror.Problem, bool) {
			typed, ok := o.(P)
			if !ok {
				return nil, nil, false
			}
			object, problems := convert(typed)
			return object, problems, true
		},
	}
}
