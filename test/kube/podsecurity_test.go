package kube_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netpold/netpold/test/kube/kubetest"
)

// podsAreRestricted has the API server admit the Deployment's Pods into a namespace that takes none but restricted ones.
func podsAreRestricted(t *testing.T, cluster *kubetest.Cluster) {
	t.Helper()
	for name, values := range variants() {
		var d appsv1.Deployment
		as(t, deployment(t, charted(t, values)), &d)
		template := d.Spec.Template
		template.Spec.PriorityClassName = "" // the one there is belongs to another namespace
		pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
		pod.Name = "netpold-0"
		pods := cluster.Client().CoreV1().Pods(namespace)
		_, err := pods.Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = new(true)
		if _, err = pods.Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err == nil {
			t.Errorf("%s: a Pod that is not restricted is admitted", name)
		}
	}
}
