package convert

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

const (
	// KindCount is the number of mirrored kinds.
	KindCount = len(mirrored)
	// RequiredCount is the number of mirrored kinds that every cluster serves.
	RequiredCount = 6
)

// mirrored lists the kinds that become objects of the engine. Those that every cluster serves come first. No
// other place lists them.
var mirrored = [...]Kind{
	{
		Name: "Pod", Resource: "pods", Namespaced: true,
		Versions:     []Version{version(corev1.SchemeGroupVersion, corev1.AddToScheme, Pod)},
		ValidateName: apivalidation.NameIsDNSSubdomain,
		Empty: func(namespace, name string) engine.Object {
			return &engine.Pod{Namespace: namespace, Name: name}
		},
	},
	{
		Name: "Namespace", Resource: "namespaces",
		Versions:     []Version{version(corev1.SchemeGroupVersion, corev1.AddToScheme, Namespace)},
		ValidateName: apivalidation.NameIsDNSLabel,
		Empty:        func(_, name string) engine.Object { return &engine.Namespace{Name: name} },
	},
	{
		Name: "NetworkPolicy", Resource: "networkpolicies", Namespaced: true, Policy: true,
		Versions:     []Version{version(networkingv1.SchemeGroupVersion, networkingv1.AddToScheme, Policy)},
		ValidateName: apivalidation.NameIsDNSSubdomain,
		Empty: func(namespace, name string) engine.Object {
			return &engine.Policy{Namespace: namespace, Name: name}
		},
	},
	{
		Name: "Node", Resource: "nodes",
		Versions:     []Version{version(corev1.SchemeGroupVersion, corev1.AddToScheme, Node)},
		ValidateName: apivalidation.NameIsDNSSubdomain,
		Empty:        func(_, name string) engine.Object { return &engine.Node{Name: name} },
	},
	{
		Name: "Service", Resource: "services", Namespaced: true,
		Versions:     []Version{version(corev1.SchemeGroupVersion, corev1.AddToScheme, Service)},
		ValidateName: apivalidation.NameIsDNSLabel,
		Empty: func(namespace, name string) engine.Object {
			return &engine.Service{Namespace: namespace, Name: name}
		},
	},
	{
		Name: "EndpointSlice", Resource: "endpointslices", Namespaced: true,
		Versions:     []Version{version(discoveryv1.SchemeGroupVersion, discoveryv1.AddToScheme, EndpointSlice)},
		ValidateName: apivalidation.NameIsDNSSubdomain,
		Empty: func(namespace, name string) engine.Object {
			return &engine.EndpointSlice{Namespace: namespace, Name: name}
		},
	},
	clusterWide(engine.ClusterNetworkPolicy, "clusternetworkpolicies", "v1beta1", "v1alpha2"),
	clusterWide(engine.AdminNetworkPolicy, "adminnetworkpolicies", "v1alpha1"),
	clusterWide(engine.BaselineAdminNetworkPolicy, "baselineadminnetworkpolicies", "v1alpha1"),
}

// workloads lists the kinds that create Pods from a template. In files without these Pods the workload stands
// for them (S27).
var workloads = []Kind{
	workload("Deployment", "deployments", appsv1.SchemeGroupVersion, appsv1.AddToScheme, deploymentTemplate),
	workload("StatefulSet", "statefulsets", appsv1.SchemeGroupVersion, appsv1.AddToScheme, statefulSetTemplate),
	workload("DaemonSet", "daemonsets", appsv1.SchemeGroupVersion, appsv1.AddToScheme, daemonSetTemplate),
	workload("ReplicaSet", "replicasets", appsv1.SchemeGroupVersion, appsv1.AddToScheme, replicaSetTemplate),
	workload("ReplicationController", "replicationcontrollers", corev1.SchemeGroupVersion, corev1.AddToScheme,
		replicationControllerTemplate),
	workload("Job", "jobs", batchv1.SchemeGroupVersion, batchv1.AddToScheme, jobTemplate),
	workload("CronJob", "cronjobs", batchv1.SchemeGroupVersion, batchv1.AddToScheme, cronJobTemplate),
}

// inFiles lists the kinds that are read from files only. In a live cluster Endpoints are copied into
// EndpointSlices (S24).
var inFiles = []Kind{
	{
		Name: "Endpoints", Resource: "endpoints", Namespaced: true,
		Versions: []Version{{
			GroupVersion: corev1.SchemeGroupVersion, AddToScheme: corev1.AddToScheme,
			New: func() Object { return &EndpointsObject{} },
		}},
		ValidateName: apivalidation.NameIsDNSSubdomain,
	},
}

// clusterWide returns a kind of cluster-wide policy (S30).
func clusterWide(kind engine.ClusterPolicyKind, resource string, versions ...string) Kind {
	k := Kind{
		Name: kind.String(), Resource: resource, Optional: true, Policy: true,
		ValidateName: apivalidation.NameIsDNSSubdomain,
		Empty:        func(_, name string) engine.Object { return &engine.ClusterPolicy{Kind: kind, Name: name} },
	}
	for _, v := range versions {
		k.Versions = append(k.Versions, Version{
			GroupVersion: schema.GroupVersion{Group: ClusterPolicyGroup, Version: v},
			New:          func() Object { return &unstructured.Unstructured{Object: map[string]any{}} },
			convert: func(o any) (engine.Object, []mirror.Problem, bool) {
				object, ok := o.(*unstructured.Unstructured)
				if !ok {
					return nil, nil, false
				}
				policy, problems := ClusterPolicy(kind, object)
				return policy, problems, true
			},
		})
	}
	return k
}

// workload returns a Kind whose objects have the type T and are read by template.
func workload[T any, P pointer[T]](
	name, resource string, of schema.GroupVersion, addToScheme func(*runtime.Scheme) error,
	template func(P) Template,
) Kind {
	return Kind{
		Name: name, Resource: resource, Namespaced: true,
		Versions: []Version{{GroupVersion: of, AddToScheme: addToScheme, New: func() Object {
			return P(new(T))
		}}},
		ValidateName: apivalidation.NameIsDNSSubdomain,
		Template:     func(o Object) Template { return template(o.(P)) },
	}
}
