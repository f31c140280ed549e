package manifests

import (
	"bytes"
	"cmp"
	"encoding/json"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"

	"github.com/netpold/netpold/mirror/convert"
)

// clusterPolicy is a cluster-wide policy as far as all versions of its schema agree. The rest is read from
// Spec, so that a field of a newer version is not dropped (S45).
type clusterPolicy struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec            any               `json:"spec,omitempty"`
	Status          any               `json:"status,omitempty"`
}

// decodeClusterPolicy reads raw into object, with the spec as it is written, and reports whether that gave an
// object.
func (r *fileReader) decodeClusterPolicy(at location, kind *convert.Kind, raw []byte,
	object *unstructured.Unstructured) bool {
	var p clusterPolicy
	strictErrors, err := kjson.UnmarshalStrict(raw, &p)
	for _, e := range strictErrors {
		r.reportUnexpected(at, kind, reflect.TypeFor[clusterPolicy](), e)
	}
	if err != nil {
		r.reportShapes(at, raw, reflect.TypeFor[clusterPolicy](), err)
		r.reportSpec(at, kind, raw)
		return false
	}
	object.Object = map[string]any{"apiVersion": at.version, "kind": at.kind,
		"metadata": map[string]any{"name": p.Metadata.Name}}
	if p.Spec != nil {
		object.Object["spec"] = p.Spec
	}
	return true
}

// reportSpec reports what is wrong in the spec of an object whose metadata cannot be read: all problems are
// listed (S47).
func (r *fileReader) reportSpec(at location, kind *convert.Kind, raw []byte) {
	var body struct {
		Spec any `json:"spec"`
	}
	if kjson.UnmarshalCaseSensitivePreserveInts(raw, &body) != nil || body.Spec == nil {
		return
	}
	name := cmp.Or(at.name, "default") // a name that is no text was reported already
	_, problems, err := kind.Convert(&unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": name}, "spec": body.Spec}})
	if err == nil {
		r.accept(at, "", problems)
	}
}

// isOtherVersion reports whether the object was read before in another API version, with the same spec: one
// ClusterNetworkPolicy in two versions is one object (S30).
func (r *fileReader) isOtherVersion(at location, raw []byte) bool {
	first, seen := r.seen[at.identity()]
	if !seen || first.version == at.version {
		return false
	}
	before, known := specOf(r.versioned[at.identity()])
	spec, ok := specOf(raw)
	return known && ok && reflect.DeepEqual(before, spec)
}

// specOf returns the spec of an object as JSON has it. It reports whether there is one that can be read.
func specOf(raw []byte) (any, bool) {
	var body struct {
		Spec any `json:"spec"`
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	err := decoder.Decode(&body)
	return body.Spec, err == nil && body.Spec != nil
}

// ignoresTier counts cluster-wide policies as kinds that play no part if they are to be ignored, and reports
// whether the object is one, or a list of them.
func (r *fileReader) ignoresTier(h head) bool {
	kind, isList := strings.CutSuffix(string(h.Kind), "List")
	of, ok := convert.KindNamed(kind)
	if !r.ignoreTiers || !ok || !of.Optional || groupOf(string(h.APIVersion)) != of.Group() {
		return false
	}
	n := 1
	if isList {
		n = len(h.Items)
	}
	r.countIgnored(kind, n)
	return true
}
