package live

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// resourceIndex is a resource's place in kinds, and its number in tokens: both must stay.
type resourceIndex uint8

const resourceCount = 6

// kind is one of the mirrored kinds.
type kind struct {
	// resource is plural and in lower case.
	resource string
	version  schema.GroupVersion
}

// kinds are all that are mirrored, in the order in which they are told.
func kinds() [resourceCount]kind {
	return [...]kind{
		{"pods", corev1.SchemeGroupVersion},
		{"namespaces", corev1.SchemeGroupVersion},
		{"networkpolicies", networkingv1.SchemeGroupVersion},
		{"nodes", corev1.SchemeGroupVersion},
		{"services", corev1.SchemeGroupVersion},
		{"endpointslices", discoveryv1.SchemeGroupVersion},
	}
}

// indexOf finds a resource by its name.
func indexOf(resource string) (resourceIndex, bool) {
	for i, k := range kinds() {
		if k.resource == resource {
			return resourceIndex(i), true
		}
	}
	return 0, false
}

// qualified is the resource as RBAC rules and kubectl write it.
func (k kind) qualified() string {
	if k.version.Group == "" {
		return k.resource
	}
	return k.resource + "." + k.version.Group
}
