package manifests

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/netpold/netpold/mirror/convert"
)

// convert reads an object of a kind that plays a part.
func (r *reading) convert(at place, raw []byte) {
	switch at.kind {
	case "Pod":
		decode(r, at, raw, r.pod)
	case "Namespace":
		decode(r, at, raw, func(_ place, n *corev1.Namespace) { r.objects = append(r.objects, convert.Namespace(n)) })
	case "Node":
		decode(r, at, raw, func(at place, n *corev1.Node) {
			node, problems := convert.Node(n)
			r.found(at, "", problems)
			r.objects = append(r.objects, node)
		})
	case "Service":
		decode(r, at, raw, func(at place, s *corev1.Service) {
			service, problems := convert.Service(s)
			r.found(at, "", problems)
			r.objects = append(r.objects, service)
			r.services = append(r.services, s)
		})
	case "EndpointSlice":
		decode(r, at, raw, func(at place, s *discoveryv1.EndpointSlice) {
			slice, problems := convert.EndpointSlice(s)
			r.found(at, "", problems)
			r.objects = append(r.objects, slice)
			r.sliced[identity{"Service", slice.Namespace, slice.Service}] = true
		})
	case "NetworkPolicy":
		decode(r, at, raw, func(at place, np *networkingv1.NetworkPolicy) {
			policy, problems := convert.Policy(np)
			r.found(at, "", problems)
			r.objects = append(r.objects, policy)
		})
	default:
		r.workload(at, raw)
	}
}

// workload reads an object that stands for its Pods.
func (r *reading) workload(at place, raw []byte) {
	switch at.kind {
	case "Deployment":
		decode(r, at, raw, func(at place, d *appsv1.Deployment) {
			r.template(at, &d.ObjectMeta, &d.Spec.Template, d.Spec.Replicas)
		})
	case "ReplicaSet":
		decode(r, at, raw, func(at place, s *appsv1.ReplicaSet) {
			r.template(at, &s.ObjectMeta, &s.Spec.Template, s.Spec.Replicas)
		})
	case "StatefulSet":
		decode(r, at, raw, func(at place, s *appsv1.StatefulSet) {
			w := r.template(at, &s.ObjectMeta, &s.Spec.Template, s.Spec.Replicas)
			if s.Spec.Ordinals == nil {
				return
			}
			w.start = s.Spec.Ordinals.Start
			if w.start < 0 {
				r.problem(at, "spec.ordinals.start", fmt.Sprintf("Invalid value: %d: must be greater than or equal to 0", w.start))
			}
		})
	case "DaemonSet":
		decode(r, at, raw, func(at place, s *appsv1.DaemonSet) { r.template(at, &s.ObjectMeta, &s.Spec.Template, nil) })
	case "Job":
		decode(r, at, raw, func(at place, j *batchv1.Job) {
			r.template(at, &j.ObjectMeta, &j.Spec.Template, jobPods(j)).field = "spec.parallelism"
		})
	case "CronJob":
		decode(r, at, raw, func(at place, j *batchv1.CronJob) {
			r.template(at, &j.ObjectMeta, &j.Spec.JobTemplate.Spec.Template, nil).templateField = "spec.jobTemplate.spec.template."
		})
	}
}

// decode reads raw as a T as strictly as the API server does, and gives it to use unless it has no such form. An unknown
// field is a problem in a NetworkPolicy, where it would be a rule that is not heard, and nothing in other kinds, which gain
// fields with every release.
func decode[T any, P interface {
	*T
	metav1.Object
}](r *reading, at place, raw []byte, use func(place, P)) {
	object := P(new(T))
	strict := []kjson.StrictOption{kjson.DisallowDuplicateFields}
	if at.kind == "NetworkPolicy" {
		strict = append(strict, kjson.DisallowUnknownFields)
	}
	strictErrors, err := kjson.UnmarshalStrict(raw, object, strict...)
	for _, e := range strictErrors {
		r.unexpected(at, e)
	}
	if err != nil {
		r.misshapen(at, raw, reflect.TypeFor[T](), err)
		return
	}
	if isNamespaced(at.kind) {
		object.SetNamespace(at.namespace)
	} else {
		object.SetNamespace("")
	}
	if at.kind == "NetworkPolicy" || r.metadata(at, object) {
		use(at, object)
	}
}

// unexpected reports a field that is unknown or given twice.
func (r *reading) unexpected(at place, err error) {
	path, message := "", err.Error()
	if f, ok := errors.AsType[kjson.FieldError](err); ok {
		path = f.FieldPath()
	}
	// Older API servers gave these to every policy, without meaning.
	if path == "status" || strings.HasPrefix(path, "status.") || path == "metadata.clusterName" {
		return
	}
	if strings.HasPrefix(message, "unknown field") {
		message = "unknown field: it would not be heard; check its spelling and its place"
	} else {
		message = "duplicate field: it is given twice; remove one of them"
	}
	r.problem(at, path, message)
}

// misshapen reports every value of the wrong type.
func (r *reading) misshapen(at place, raw []byte, t reflect.Type, err error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) == nil {
		if shapes := shapeErrors(value, t); len(shapes) > 0 {
			for _, s := range shapes {
				r.problem(at, s.field, s.message)
			}
			return
		}
	}
	r.problem(at, "", "can not be decoded: "+err.Error())
}

// metadata reports what no object may have for a name, a namespace and labels.
func (r *reading) metadata(at place, object metav1.Object) bool {
	path := field.NewPath("metadata")
	var errs field.ErrorList
	check := apivalidation.NameIsDNSSubdomain
	if at.kind == "Namespace" || at.kind == "Service" {
		check = apivalidation.NameIsDNSLabel
	}
	if object.GetName() == "" {
		errs = append(errs, field.Required(path.Child("name"), "it is what the object is asked about by; generateName gives none"))
	} else {
		for _, m := range check(object.GetName(), false) {
			errs = append(errs, field.Invalid(path.Child("name"), object.GetName(), m))
		}
	}
	if isNamespaced(at.kind) {
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
