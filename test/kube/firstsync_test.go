package kube_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netpold/netpold/test/kube/kubetest"
)

// firstSyncPods is a cluster large enough that what a process takes by itself counts for little.
const firstSyncPods = 20_000

// TestFirstSyncIsCheap: the first sync takes not much more time and memory than client-go's bare reflectors, whose store keeps
// nothing. The yardstick is fair: a process of its own under the same rights, which reads the same six resources from the same server
// with the same limits on calls, and is timed as netpold is, from its start until all is listed; netpold also until it answers. A
// second yardstick is told for comparison: reflectors that do not even hold the list until it is whole. They are measured in turn, and
// in turning order, as the API server cleans up every now and then; the best of each counts, as all else is other load.
func TestFirstSyncIsCheap(t *testing.T) {
	s := newSite(t)
	s.StorePods(t.Context(), firstSyncPods, realisticPod)
	var best [3]cost // bare, bare with names alone, netpold
	for round := range 2 * len(best) {
		for i := range best {
			which := (round + i) % len(best)
			best[which] = best[which].best(s.firstSync(t, which))
		}
	}
	bare, names, ours := best[0], best[1], best[2]
	t.Logf("first sync of %d Pods: %v; client-go alone: %v; client-go with names alone: %v", firstSyncPods, ours, bare, names)
	time, memory := ours.over(bare)
	t.Logf("ratios to client-go alone: time %.2f, memory %.2f", time, memory)
	leastTime, leastMemory := ours.over(names)
	t.Logf("ratios to client-go with names alone: time %.2f, memory %.2f", leastTime, leastMemory)
	// Memory is what it is; time depends on what else the machine does, and is told only.
	if memory > 1.3 {
		t.Errorf("the first sync takes %.2f times the memory of client-go alone", memory)
	}
}

// firstSync measures client-go alone (0), client-go with names alone (1), or netpold (2).
func (s *site) firstSync(t *testing.T, which int) cost {
	t.Helper()
	if which == 2 {
		began := time.Now()
		n := s.serveReady(t)
		c := measured(t, n.Process, began)
		synced(t, n, firstSyncPods)
		n.Kill()
		return c
	}
	began := time.Now()
	p := kubetest.StartReflector(t, s.kubeconfig, contextName, []string{"names"}[:which]...)
	kubetest.Eventually(t, 5*time.Minute, func(context.Context) error {
		objects, err := strconv.Atoi(strings.TrimSpace(p.Output()))
		if err == nil && objects < firstSyncPods {
			err = fmt.Errorf("only %d objects were listed, want %d and more", objects, firstSyncPods)
		}
		return err
	})
	c := measured(t, p, began)
	p.Kill()
	return c
}

// synced fails unless the Pods are all there: a replica that is ready has them.
func synced(t *testing.T, n *kubetest.Netpold, pods uint32) {
	t.Helper()
	st, err := n.Client().Status(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range st.GetResources() {
		if !r.GetSynced() || r.GetResource() == "pods" && r.GetObjects() != pods {
			t.Fatalf("a ready replica has %v, want all synced and %d Pods", r, pods)
		}
	}
}

// cost is what a process took until it had synced: the time since its start, and the most memory that it had.
type cost struct {
	time   time.Duration
	memory int64
}

func measured(t *testing.T, p *kubetest.Process, began time.Time) cost {
	t.Helper()
	took := time.Since(began)
	memory, err := p.PeakRSS()
	if err != nil {
		t.Fatal(err)
	}
	return cost{time: took, memory: memory}
}

func (c cost) best(other cost) cost {
	if c.time == 0 {
		return other
	}
	return cost{time: min(c.time, other.time), memory: min(c.memory, other.memory)}
}

func (c cost) over(other cost) (time, memory float64) {
	return float64(c.time) / float64(other.time), float64(c.memory) / float64(other.memory)
}

// String is for people.
func (c cost) String() string {
	return fmt.Sprintf("%v and %d MiB", c.time.Round(time.Millisecond), c.memory>>20)
}

// realisticPod is as large as Pods are in real clusters: two containers, twelve variables, ten labels, managed fields, a full status.
func realisticPod(i int) *corev1.Pod {
	name := fmt.Sprintf("web-%d-7d4b9c6f5d-%05d", i%200, i)
	labels := map[string]string{"app": fmt.Sprintf("web-%d", i%200), "pod-template-hash": "7d4b9c6f5d"}
	for k := range 8 {
		labels[fmt.Sprintf("example.org/label-%d", k)] = fmt.Sprintf("value-%d", (i+k)%50)
	}
	created := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	address := fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: fmt.Sprintf("ns-%d", i%100), Name: name, UID: types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i)), Labels: labels,
			CreationTimestamp: created, GenerateName: name[:len(name)-5],
			Annotations: map[string]string{"example.org/config-hash": strings.Repeat("0123456789abcdef", 4), "example.org/scrape": "true"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: fmt.Sprintf("web-%d-7d4b9c6f5d", i%200), UID: "11111111-0000-4000-8000-000000000000",
				Controller: new(true), BlockOwnerDeletion: new(true),
			}},
			ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &created, FieldsType: "FieldsV1",
					FieldsV1: metav1.NewFieldsV1(`{"f:spec":{` + strings.Repeat(`"f:containers":{"k:{\"name\":\"main\"}":{".":{},"f:env":{}}},`, 30) + `"f:x":{}}}`)},
				{Manager: "kubelet", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &created, FieldsType: "FieldsV1", Subresource: "status",
					FieldsV1: metav1.NewFieldsV1(`{"f:status":{` + strings.Repeat(`"f:conditions":{"k:{\"type\":\"Ready\"}":{".":{}}},`, 20) + `"f:x":{}}}`)},
			},
		},
		Spec: corev1.PodSpec{
			NodeName: fmt.Sprintf("node-%d", i%500), ServiceAccountName: "web", RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst,
			SchedulerName: "default-scheduler", TerminationGracePeriodSeconds: new(int64(30)),
			Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "config"}}}}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}, HostIP: "192.168.0.1", HostIPs: []corev1.HostIP{{IP: "192.168.0.1"}},
			StartTime: &created, QOSClass: corev1.PodQOSBurstable,
		},
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: created})
	}
	for _, container := range []string{"main", "proxy"} {
		p.Spec.Containers = append(p.Spec.Containers, realisticContainer(container))
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container, Ready: true, Image: "example/" + container + ":v1.2.3", ImageID: "example/" + container + "@sha256:" + strings.Repeat("ab", 32),
			ContainerID: "containerd://" + strings.Repeat("cd", 32), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: created}},
		})
	}
	return p
}

func realisticContainer(name string) corev1.Container {
	c := corev1.Container{
		Name: name, Image: "example/" + name + ":v1.2.3", ImagePullPolicy: corev1.PullIfNotPresent,
		Args:  []string{"serve", "--config=/etc/config/config.yaml", "--log-level=info"},
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/config", ReadOnly: true}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/check"}}}, PeriodSeconds: 10,
			TimeoutSeconds: 1, SuccessThreshold: 1, FailureThreshold: 3},
	}
	for k := range 6 {
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", k), Value: fmt.Sprintf("https://service-%d.example.org:8443/path", k)})
	}
	return c
}
