package convert

import (
	"maps"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// Unknown is the value of a label that a Pod has in a cluster but whose value files do not say. It is no
// valid label value, so it never equals one in a policy.
const Unknown = "?"

// A Template describes the Pods that a workload creates. It shares memory with the workload's object.
type Template struct {
	pod *corev1.PodTemplateSpec
	// Replicas is the number of Pods; 1 if the workload does not say.
	Replicas int
	// Scaled means that the workload itself says how many Pods it keeps, now and later.
	Scaled bool
	// ReplicasField and PodField are the paths of Replicas and of the Pod's description. Example:
	// "spec.replicas".
	ReplicasField, PodField string
	// Start is the number of the first Pod. It is 0 for all but StatefulSets.
	Start int
	// FixedNames means that a Pod's number is part of its identity, as in a StatefulSet.
	FixedNames bool
	// given are the labels that the controller adds to every Pod.
	given map[string]string
	// nameLabel and numberLabel are the keys of the labels whose values are the Pod's name and number; empty
	// for none.
	nameLabel, numberLabel string
}

// Pod returns a Pod as the template describes it, without a name. The paths of problems are relative to the
// Pod.
func (t *Template) Pod(namespace string) (*engine.Pod, []mirror.Problem) {
	p, problems := Pod(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: t.pod.Labels},
		Spec:       t.pod.Spec,
	})
	// Labels of the template replace given ones: in a dump they are the real values.
	labels := maps.Clone(t.given)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, p.Labels)
	p.Labels = labels
	return p, problems
}

// Number sets the name of p and the labels with its name and number. p must be a copy of the template's Pod.
func (t *Template) Number(p *engine.Pod, name string, number int) {
	p.Name = name
	if t.nameLabel == "" && t.numberLabel == "" {
		return
	}
	p.Labels = maps.Clone(p.Labels)
	if t.nameLabel != "" {
		p.Labels[t.nameLabel] = name
	}
	if t.numberLabel != "" {
		p.Labels[t.numberLabel] = strconv.Itoa(number)
	}
}

// Relabelled returns the labels of a Pod that has these labels, once it is made of t: those of t, and the
// values that its controller gave it. It does not modify them.
func Relabelled(t *Template, labels map[string]string) map[string]string {
	fresh := maps.Clone(t.pod.Labels)
	if fresh == nil {
		fresh = map[string]string{}
	}
	for _, key := range slices.AppendSeq([]string{t.nameLabel, t.numberLabel}, maps.Keys(t.given)) {
		if _, own := fresh[key]; own || key == "" {
			continue
		}
		if value, ok := labels[key]; ok {
			fresh[key] = value
		} else if value, ok := t.given[key]; ok {
			fresh[key] = value
		}
	}
	return fresh
}

// Labels returns the labels that the template itself has. The map must not be modified.
func (t *Template) Labels() map[string]string { return t.pod.Labels }

// templateOf returns a template at spec.template whose replicas are at spec.replicas.
func templateOf(pod *corev1.PodTemplateSpec, replicas *int32) Template {
	if pod == nil {
		pod = &corev1.PodTemplateSpec{}
	}
	return Template{
		pod: pod, Replicas: int(value(replicas, 1)), Scaled: replicas != nil, ReplicasField: "spec.replicas",
		PodField: "spec.template",
	}
}

// deploymentTemplate returns the template of a Deployment. Its pod-template-hash is unknown, because the
// ReplicaSet computes it.
func deploymentTemplate(d *appsv1.Deployment) Template {
	t := templateOf(&d.Spec.Template, d.Spec.Replicas)
	t.given = map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: Unknown}
	return t
}

func replicaSetTemplate(s *appsv1.ReplicaSet) Template {
	return templateOf(&s.Spec.Template, s.Spec.Replicas)
}

func replicationControllerTemplate(c *corev1.ReplicationController) Template {
	return templateOf(c.Spec.Template, c.Spec.Replicas)
}

// daemonSetTemplate returns a template of one Pod, whatever the number of Nodes: no policy distinguishes its
// Pods.
func daemonSetTemplate(s *appsv1.DaemonSet) Template {
	t := templateOf(&s.Spec.Template, nil)
	generation, ok := s.Annotations[appsv1.DeprecatedTemplateGeneration]
	if !ok {
		generation = Unknown
	}
	t.given = map[string]string{
		appsv1.ControllerRevisionHashLabelKey: Unknown,
		"pod-template-generation":             generation,
	}
	return t
}

func statefulSetTemplate(s *appsv1.StatefulSet) Template {
	t := templateOf(&s.Spec.Template, s.Spec.Replicas)
	if s.Spec.Ordinals != nil {
		t.Start = int(s.Spec.Ordinals.Start)
	}
	t.FixedNames = true
	t.given = map[string]string{appsv1.ControllerRevisionHashLabelKey: Unknown}
	if r := s.Status.CurrentRevision; r != "" && r == s.Status.UpdateRevision { // no rollout is in progress
		t.given[appsv1.ControllerRevisionHashLabelKey] = r
	}
	t.nameLabel, t.numberLabel = appsv1.StatefulSetPodNameLabel, appsv1.PodIndexLabel
	return t
}

// jobTemplate returns the template of the Pods that a Job runs at a time. A Job that is finished or suspended
// runs none.
func jobTemplate(j *batchv1.Job) Template {
	uid := string(j.UID)
	if uid == "" {
		uid = Unknown
	}
	t := jobSpecTemplate(&j.Spec, j.Name, uid)
	for _, c := range j.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			t.Replicas = 0
		}
	}
	return t
}

// cronJobTemplate returns the template of the Pods of one Job. The Job's name ends in a time and is unknown.
func cronJobTemplate(j *batchv1.CronJob) Template {
	t := jobSpecTemplate(&j.Spec.JobTemplate.Spec, Unknown, Unknown)
	t.ReplicasField = "spec.jobTemplate." + t.ReplicasField
	t.PodField = "spec.jobTemplate.spec.template"
	return t
}

// mostIndexes is the largest number of completions of an indexed Job that has a Pod for each index. Larger
// Jobs have as many Pods as they run at a time.
const mostIndexes = 1000

// jobSpecTemplate returns the template of a Job of that name and UID. Pods of an indexed Job differ in their
// index, and a policy may select one by it. So the template has a Pod for each index, even for those that
// start later.
func jobSpecTemplate(s *batchv1.JobSpec, name, uid string) Template {
	n := value(s.Parallelism, 1)
	if s.Completions != nil {
		n = min(n, *s.Completions)
	}
	t := templateOf(&s.Template, &n)
	t.Scaled, t.ReplicasField = false, "spec.parallelism"
	if value(s.CompletionMode, batchv1.NonIndexedCompletion) == batchv1.IndexedCompletion {
		t.numberLabel = batchv1.JobCompletionIndexAnnotation
		if all := value(s.Completions, n); n > 0 && all <= mostIndexes {
			t.Replicas, t.ReplicasField = int(all), "spec.completions"
		}
	}
	if value(s.Suspend, false) {
		t.Replicas = 0
	}
	if !value(s.ManualSelector, false) {
		t.given = map[string]string{
			batchv1.JobNameLabel: name, "job-name": name,
			batchv1.ControllerUidLabel: uid, "controller-uid": uid,
		}
	}
	return t
}
