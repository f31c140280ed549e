package manifests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/engine"
)

// podsOf are the Pods with their workloads, in order of name.
func podsOf(objects []engine.Object) []string {
	var list []string
	for _, o := range objects {
		if p, ok := o.(*engine.Pod); ok {
			list = append(list, fmt.Sprintf("%s %v", p.Name, p.Workloads))
		}
	}
	slices.Sort(list)
	return list
}

func workloadText(version, kind, name, spec string) string {
	return fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {name: %s}, spec: %s}", version, kind, name, spec)
}

func owned(kind, name, object string) string {
	return strings.Replace(object, "metadata: {", "metadata: {ownerReferences: [{apiVersion: apps/v1, kind: "+kind+", name: "+name+", uid: u, controller: true}], ", 1)
}

func docs(texts ...string) string { return strings.Join(texts, "\n---\n") }

// TestS27WorkloadsStandForTheirPods, unless Pods that they own are there.
func TestS27WorkloadsStandForTheirPods(t *testing.T) {
	const namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"
	const template = "template: {metadata: {labels: {app: web}}}"
	pod := func(name, labels string) string {
		return fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: %s, labels: {%s}}}", name, labels)
	}
	deployment := workloadText("apps/v1", "Deployment", "web", "{replicas: 2, "+template+"}")
	set := owned("Deployment", "web", workloadText("apps/v1", "ReplicaSet", "web-5d", "{replicas: 2, "+template+"}"))
	cron := workloadText("batch/v1", "CronJob", "tidy", "{jobTemplate: {spec: {"+template+"}}}")
	job := func(name, spec string) string { return workloadText("batch/v1", "Job", name, spec) }
	tests := map[string]struct {
		text string
		want []string
	}{
		"replicas":           {deployment, []string{"web-0 [{Deployment web}]", "web-1 [{Deployment web}]"}},
		"replicas left out":  {workloadText("apps/v1", "Deployment", "web", "{"+template+"}"), []string{"web-0 [{Deployment web}]"}},
		"replicas 0":         {docs(namespace, workloadText("apps/v1", "Deployment", "web", "{replicas: 0, "+template+"}")), nil},
		"DaemonSet":          {workloadText("apps/v1", "DaemonSet", "log", "{}"), []string{"log-0 [{DaemonSet log}]"}},
		"StatefulSet":        {workloadText("apps/v1", "StatefulSet", "db", "{replicas: 2}"), []string{"db-0 [{StatefulSet db}]", "db-1 [{StatefulSet db}]"}},
		"StatefulSet from 5": {workloadText("apps/v1", "StatefulSet", "db", "{replicas: 2, ordinals: {start: 5}}"), []string{"db-5 [{StatefulSet db}]", "db-6 [{StatefulSet db}]"}},
		"Job":                {job("a", "{}"), []string{"a-0 [{Job a}]"}},
		"Job, parallel":      {job("a", "{parallelism: 2}"), []string{"a-0 [{Job a}]", "a-1 [{Job a}]"}},
		"Job, one to do":     {job("a", "{parallelism: 5, completions: 1}"), []string{"a-0 [{Job a}]"}},
		"Job, suspended":     {docs(namespace, job("a", "{suspend: true}")), nil},
		"Job, complete":      {docs(namespace, strings.Replace(job("a", "{}"), "spec: {}", "status: {conditions: [{type: Complete, status: 'True'}]}", 1)), nil},
		"CronJob":            {cron, []string{"tidy-0 [{CronJob tidy}]"}},
		"ReplicaSet of a Deployment that is not there": {set, []string{"web-5d-0 [{ReplicaSet web-5d} {Deployment web}]", "web-5d-1 [{ReplicaSet web-5d} {Deployment web}]"}},
		"ReplicaSet of a Deployment that is":           {docs(set, deployment), []string{"web-0 [{Deployment web}]", "web-1 [{Deployment web}]"}},
		"Job of a CronJob that is there":               {docs(cron, owned("CronJob", "tidy", job("tidy-29384720", "{}"))), []string{"tidy-0 [{CronJob tidy}]"}},
		"Pods by hash":                                 {docs(deployment, owned("ReplicaSet", "web-5d", pod("web-5d-x", "pod-template-hash: 5d"))), []string{"web-5d-x [{ReplicaSet web-5d} {Deployment web}]"}},
		"Pods by their ReplicaSet":                     {docs(deployment, set, owned("ReplicaSet", "web-5d", pod("web-x", "a: b"))), []string{"web-x [{ReplicaSet web-5d} {Deployment web}]"}},
		"Pods of a StatefulSet":                        {docs(workloadText("apps/v1", "StatefulSet", "db", "{replicas: 3}"), owned("StatefulSet", "db", pod("db-0", ""))), []string{"db-0 [{StatefulSet db}]"}},
		"Pods of a CronJob":                            {docs(cron, strings.Replace(owned("Job", "tidy-29384720", pod("tidy-x", "")), "apps/v1", "batch/v1", 1)), []string{"tidy-x [{Job tidy-29384720} {CronJob tidy}]"}},
		"Job that is there and no CronJob's":           {docs(job("a-29384720", "{}"), strings.Replace(owned("Job", "a-29384720", pod("x", "")), "apps/v1", "batch/v1", 1)), []string{"x [{Job a-29384720}]"}},
		"Pods of others":                               {docs(workloadText("apps/v1", "Deployment", "web", "{}"), pod("web-0", "app: web")), []string{"web-0 []", "web-1 [{Deployment web}]"}},
		"names that meet":                              {docs(workloadText("apps/v1", "Deployment", "db", "{}"), workloadText("apps/v1", "StatefulSet", "db", "{}")), []string{"db-0 [{StatefulSet db}]", "db-1 [{Deployment db}]"}},
		"another namespace":                            {docs(deployment, strings.Replace(owned("ReplicaSet", "web-5d", pod("web-5d-x", "pod-template-hash: 5d")), "name: web-5d-x", "name: web-5d-x, namespace: other", 1)), []string{"web-0 [{Deployment web}]", "web-1 [{Deployment web}]", "web-5d-x [{ReplicaSet web-5d} {Deployment web}]"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, podsOf(mustRead(t, test.text).Objects)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPodsOfTemplates(t *testing.T) {
	const spec = "{template: {metadata: {labels: {app: x}}, spec: {hostNetwork: true, nodeName: n1, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}}}"
	tests := map[string]struct {
		text   string
		labels map[string]string
	}{
		"Deployment":  {workloadText("apps/v1", "Deployment", "x", spec), map[string]string{"app": "x"}},
		"StatefulSet": {workloadText("apps/v1", "StatefulSet", "x", spec), map[string]string{"app": "x", "statefulset.kubernetes.io/pod-name": "x-0", "apps.kubernetes.io/pod-index": "0"}},
		"Job":         {workloadText("batch/v1", "Job", "x", spec), map[string]string{"app": "x", "job-name": "x", "batch.kubernetes.io/job-name": "x"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := find[*engine.Pod](t, mustRead(t, test.text).Objects, "x-0")
			want := &engine.Pod{
				Namespace: "default", Name: "x-0", Labels: test.labels, HostNetwork: true, Node: "n1",
				Ports: []engine.NamedPort{{Name: "http", Port: 8080}}, Workloads: []engine.Workload{{Kind: name, Name: "x"}},
			}
			if diff := cmp.Diff(want, got, sameObjects); diff != "" {
				t.Error(diff)
			}
		})
	}
}
