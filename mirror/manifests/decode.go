package manifests

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
)

// convert reads an object of a kind that decisions depend on.
func (r *fileReader) convert(at location, kind *convert.Kind, raw []byte) {
	version, _ := kind.Version(at.version)
	object := version.New()
	if !r.decode(at, kind, raw, object) {
		return
	}
	if endpoints, ok := object.(*convert.EndpointsObject); ok {
		r.endpoints = append(r.endpoints, placedEndpoints{at, endpoints})
		return
	}
	if kind.Template != nil {
		r.addTemplate(at, object, kind.Template(object))
		return
	}
	converted, problems, err := kind.Convert(object)
	if err != nil {
		r.problem(at, "", "cannot be decoded: "+err.Error())
		return
	}
	r.accept(at, "", problems)
	switch object := object.(type) {
	case *corev1.Pod:
		r.addPod(object, converted.(*engine.Pod))
		return
	case *corev1.Service:
		r.services = append(r.services, object)
	case *discoveryv1.EndpointSlice:
		r.sliced[identity{"Service", object.Namespace, object.Labels[discoveryv1.LabelServiceName]}] = true
	}
	r.objects = append(r.objects, converted)
}

// decode decodes raw into object as strictly as the API server. It reports whether that succeeded.
func (r *fileReader) decode(at location, kind *convert.Kind, raw []byte, object convert.Object) bool {
	if policy, ok := object.(*unstructured.Unstructured); ok {
		return r.decodeClusterPolicy(at, kind, raw, policy)
	}
	strictErrors, err := kjson.UnmarshalStrict(raw, object)
	for _, e := range strictErrors {
		r.reportUnexpected(at, kind, reflect.TypeOf(object), e)
	}
	if err != nil {
		r.reportShapes(at, raw, reflect.TypeOf(object), err)
		return false
	}
	object.SetNamespace(at.namespace)
	return kind.Policy || r.metadata(at, kind, object)
}

// reportShapes reports every value of the wrong type.
func (r *fileReader) reportShapes(at location, raw []byte, t reflect.Type, err error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) == nil {
		if shapes := shapeErrors(value, t); len(shapes) > 0 {
			for _, s := range shapes {
				r.problem(at, s.field, s.message+r.asWritten(at, s))
			}
			return
		}
	}
	r.problem(at, "", "cannot be decoded: "+err.Error())
}

// asWritten returns how a value of the wrong type was written, in words. It is empty if the message has it in
// the same form.
func (r *fileReader) asWritten(at location, s shapeError) string {
	text := written(r.text, at.items+"."+s.field)
	if text == "" || strings.Contains(s.message, " "+text+":") || !strings.HasSuffix(s.message, quoteHint) {
		return ""
	}
	return fmt.Sprintf("; it is written %s: write %q", text, text)
}

// metadata reports an invalid name, namespace or label. It returns false if there is one.
func (r *fileReader) metadata(at location, kind *convert.Kind, object metav1.Object) bool {
	path := field.NewPath("metadata")
	var errs field.ErrorList
	if object.GetName() == "" {
		errs = append(errs, field.Required(path.Child("name"),
			"it is what the object is asked about by; generateName gives none"))
	} else {
		for _, m := range kind.ValidateName(object.GetName(), false) {
			errs = append(errs, field.Invalid(path.Child("name"), object.GetName(), m))
		}
	}
	if kind.Namespaced {
		for _, m := range apivalidation.ValidateNamespaceName(object.GetNamespace(), false) {
			errs = append(errs, field.Invalid(path.Child("namespace"), object.GetNamespace(), m))
		}
	}
	errs = append(errs, inOrder(metav1validation.ValidateLabels(object.GetLabels(), path.Child("labels")))...)
	for _, e := range errs {
		r.problem(at, e.Field, e.ErrorBody())
	}
	return len(errs) == 0
}

func inOrder(errs field.ErrorList) field.ErrorList {
	slices.SortStableFunc(errs, func(a, b *field.Error) int { return cmp.Compare(a.ErrorBody(), b.ErrorBody()) })
	return errs
}
