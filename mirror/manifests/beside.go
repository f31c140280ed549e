package manifests

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/netpold/netpold/mirror"
)

// clusterWide are the kinds of Kubernetes that play no part and have no namespace. An API server drops one that
// is written.
var clusterWide = []string{
	"APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding",
	"ClusterTrustBundle", "ComponentStatus", "CustomResourceDefinition", "DeviceClass", "FlowSchema", "IPAddress",
	"IngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration",
	"PersistentVolume", "PriorityClass", "PriorityLevelConfiguration", "ResourceSlice", "RuntimeClass",
	"ServiceCIDR", "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	"ValidatingWebhookConfiguration", "VolumeAttachment", "VolumeAttributesClass",
}

// namespaced are the kinds of Kubernetes that play no part and have a namespace, even if none is written.
var namespaced = []string{
	"ConfigMap", "ControllerRevision", "EndpointSlice", "Event", "HorizontalPodAutoscaler", "Ingress", "Lease",
	"LimitRange", "PersistentVolumeClaim", "PodDisruptionBudget", "PodTemplate", "ResourceQuota", "Role",
	"RoleBinding", "Secret", "ServiceAccount",
}

// namespaceBeside returns the namespace of an object that plays no part; empty for none. A kind that is not of
// Kubernetes has the one that is written.
func (r *fileReader) namespaceBeside(h head) string {
	kind, namespace := string(h.Kind), string(h.Metadata.Namespace)
	of, unmodelled := mirror.FindUnmodelled(groupOf(string(h.APIVersion)), kind)
	known := belongsToKubernetes(groupOf(string(h.APIVersion)))
	switch {
	case unmodelled && !of.Namespaced, known && slices.Contains(clusterWide, kind), h.Metadata.Name == "":
		return ""
	case namespace == "" && (unmodelled || known && slices.Contains(namespaced, kind)):
		return r.namespace
	}
	return namespace
}

// belongsToKubernetes reports whether an API group is one of Kubernetes, as far as its name tells.
func belongsToKubernetes(group string) bool {
	return !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io")
}

// standInFor returns documents that play no part, one in each of the namespaces: a reader learns the namespaces
// of a file from them, and nothing of its content.
func standInFor(namespaces map[string]bool) string {
	var documents []string
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		documents = append(documents, "{apiVersion: v1, kind: ConfigMap, metadata: {name: stand-in, namespace: "+
			strconv.Quote(namespace)+"}}")
	}
	return strings.Join(documents, "\n---\n")
}
