package convert

import (
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// Unknown is the value of a label that a Pod has in a cluster, when the value is not known from files. It is no valid label
// value, so that it never equals one in a policy.
const Unknown = "?"

// Template is what a workload makes its Pods of. It refers to the workload's object.
type Template struct {
	pod *corev1.PodTemplateSpec
	// Replicas is how many Pods there are. If nobody wrote it, it is 1.
	Replicas int
	// ReplicasField and PodField are where the two are written. Example: "spec.replicas".
	ReplicasField, PodField string
	// Start is the number of the first Pod. It is 0 for all but StatefulSets.
	Start int
	// FixedNames reports whether a Pod's number is part of its identity, as in a StatefulSet.
	FixedNames bool
	// given are labels that the controller gives to every Pod.
	given map[string]string
	// nameLabel and numberLabel are labels that have the Pod's name and number as their value; empty for none.
	nameLabel, numberLabel string
}

// Pod returns a Pod as the template describes it, without a name. Fields of problems are those of a Pod.
func (t *Template) Pod(namespace string) (*engine.Pod, []mirror.Problem) {
	p, problems := Pod(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: t.pod.Labels},
		Spec:       t.pod.Spec,
	})
	// What the template says is what a dump has, and is right.
	labels := maps.Clone(t.given)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, p.Labels)
	p.Labels = labels
	return p, problems
}

// Number gives a copy of the template's Pod its name and number.
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

// Labels returns the labels that the template itself has. They must not be modified.
func (t *Template) Labels() map[string]string { return t.pod.Labels }

// templateOf returns the template that stands at spec.template, with the replicas that stand at spec.replicas.
func templateOf(pod *corev1.PodTemplateSpec, replicas *int32) Template {
	if pod == nil {
		pod = &corev1.PodTemplateSpec{}
	}
	return Template{
		pod: pod, Replicas: int(value(replicas, 1)), ReplicasField: "spec.replicas", PodField: "spec.template",
	}
}

// deploymentTemplate knows no pod-template-hash: it is that of the ReplicaSet.
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

// daemonSetTemplate stands for one Pod, whatever the number of Nodes: no policy tells its Pods apart.
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
	if r := s.Status.CurrentRevision; r != "" && r == s.Status.UpdateRevision { // no rollout goes on
		t.given[appsv1.ControllerRevisionHashLabelKey] = r
	}
	t.nameLabel, t.numberLabel = appsv1.StatefulSetPodNameLabel, appsv1.PodIndexLabel
	return t
}

// jobTemplate stands for the Pods that a Job runs at a time. A Job that has finished or is suspended runs none.
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

// cronJobTemplate stands for the Pods of one Job. Its name, which ends in a time, is not known.
func cronJobTemplate(j *batchv1.CronJob) Template {
	t := jobSpecTemplate(&j.Spec.JobTemplate.Spec, Unknown, Unknown)
	t.ReplicasField = "spec.jobTemplate." + t.ReplicasField
	t.PodField = "spec.jobTemplate.spec.template"
	return t
}

// mostIndexes is how many Pods of an indexed Job are told apart. Larger Jobs stand for as many as they run at a time.
const mostIndexes = 1000

// jobSpecTemplate returns the template of a Job of that name and UID. The Pods of an indexed Job differ in their index, which a
// policy may select: it stands for all of them, also for those that wait for others to end.
func jobSpecTemplate(s *batchv1.JobSpec, name, uid string) Template {
	n := value(s.Parallelism, 1)
	if s.Completions != nil {
		n = min(n, *s.Completions)
	}
	t := templateOf(&s.Template, &n)
	t.ReplicasField = "spec.parallelism"
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
