package convert

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// templateOf returns the template that stands at spec.template, with the replicas that stand at spec.replicas.
func templateOf(pod *corev1.PodTemplateSpec, replicas *int32) Template {
	return Template{
		Pod: pod, Replicas: int(value(replicas, 1)), ReplicasField: "spec.replicas", PodField: "spec.template",
	}
}

func deploymentTemplate(d *appsv1.Deployment) Template {
	return templateOf(&d.Spec.Template, d.Spec.Replicas)
}

func replicaSetTemplate(s *appsv1.ReplicaSet) Template {
	return templateOf(&s.Spec.Template, s.Spec.Replicas)
}

// daemonSetTemplate stands for one Pod, whatever the number of Nodes: they differ in nothing that a policy selects.
func daemonSetTemplate(s *appsv1.DaemonSet) Template { return templateOf(&s.Spec.Template, nil) }

func statefulSetTemplate(s *appsv1.StatefulSet) Template {
	t := templateOf(&s.Spec.Template, s.Spec.Replicas)
	if s.Spec.Ordinals != nil {
		t.Start = &s.Spec.Ordinals.Start
	}
	return t
}

// jobTemplate stands for the Pods that a Job runs at a time. A Job that has finished or is suspended runs none.
func jobTemplate(j *batchv1.Job) Template {
	n := value(j.Spec.Parallelism, 1)
	if j.Spec.Completions != nil {
		n = min(n, *j.Spec.Completions)
	}
	if value(j.Spec.Suspend, false) {
		n = 0
	}
	for _, c := range j.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			n = 0
		}
	}
	t := templateOf(&j.Spec.Template, &n)
	t.ReplicasField = "spec.parallelism"
	return t
}

func cronJobTemplate(j *batchv1.CronJob) Template {
	t := templateOf(&j.Spec.JobTemplate.Spec.Template, nil)
	t.PodField = "spec.jobTemplate.spec.template"
	return t
}
