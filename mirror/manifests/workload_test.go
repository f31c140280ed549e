package manifests

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
)

// podsOf returns the Pods with their workloads, in order of name.
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
	return strings.Replace(object, "metadata: {",
		"metadata: {ownerReferences: [{apiVersion: apps/v1, kind: "+kind+", name: "+name+
			", uid: u, controller: true}], ", 1)
}

func docs(texts ...string) string { return strings.Join(texts, "\n---\n") }

// TestS27WorkloadsStandForTheirPods proves that a workload stands for its Pods unless the files have some.
func TestS27WorkloadsStandForTheirPods(t *testing.T) {
	const namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"
	const template = "template: {metadata: {labels: {app: web}}}"
	pod := func(name, labels string) string {
		return fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: %s, labels: {%s}}}", name, labels)
	}
	deployment := workloadText("apps/v1", "Deployment", "web", "{replicas: 2, "+template+"}")
	set := owned("Deployment", "web",
		workloadText("apps/v1", "ReplicaSet", "web-5d", "{replicas: 2, "+template+"}"))
	cron := workloadText("batch/v1", "CronJob", "tidy", "{jobTemplate: {spec: {"+template+"}}}")
	job := func(name, spec string) string { return workloadText("batch/v1", "Job", name, spec) }
	tests := map[string]struct {
		text string
		want []string
	}{
		"replicas": {deployment, []string{"web-0 [{Deployment web}]", "web-1 [{Deployment web}]"}},
		"replicas left out": {workloadText("apps/v1", "Deployment", "web", "{"+template+"}"),
			[]string{"web-0 [{Deployment web}]"}},
		"replicas 0": {docs(namespace,
			workloadText("apps/v1", "Deployment", "web", "{replicas: 0, "+template+"}")),
			[]string{"web:Deployment [{Deployment web}]"}},
		"DaemonSet": {workloadText("apps/v1", "DaemonSet", "log", "{}"),
			[]string{"log-0 [{DaemonSet log}]"}},
		"StatefulSet": {workloadText("apps/v1", "StatefulSet", "db", "{replicas: 2}"),
			[]string{"db-0 [{StatefulSet db}]", "db-1 [{StatefulSet db}]"}},
		"StatefulSet from 5": {workloadText("apps/v1", "StatefulSet", "db", "{replicas: 2, ordinals: {start: 5}}"),
			[]string{"db-5 [{StatefulSet db}]", "db-6 [{StatefulSet db}]"}},
		"Job":            {job("a", "{}"), []string{"a-0 [{Job a}]"}},
		"Job, parallel":  {job("a", "{parallelism: 2}"), []string{"a-0 [{Job a}]", "a-1 [{Job a}]"}},
		"Job, one to do": {job("a", "{parallelism: 5, completions: 1}"), []string{"a-0 [{Job a}]"}},
		"Job, suspended": {docs(namespace, job("a", "{suspend: true}")), []string{"a:Job [{Job a}]"}},
		"Job, complete": {docs(namespace,
			strings.Replace(job("a", "{}"), "spec: {}", "status: {conditions: [{type: Complete, status: 'True'}]}",
				1)), []string{"a:Job [{Job a}]"}},
		"CronJob": {cron, []string{"tidy-0 [{CronJob tidy}]"}},
		"ReplicaSet of a Deployment that is not there": {set,
			[]string{"web-5d-0 [{ReplicaSet web-5d} {Deployment web}]",
				"web-5d-1 [{ReplicaSet web-5d} {Deployment web}]"}},
		"ReplicaSet of a Deployment that is": {docs(set, deployment),
			[]string{"web-0 [{Deployment web}]", "web-1 [{Deployment web}]"}},
		"old ReplicaSet of a Deployment that is": {docs(deployment,
			owned("Deployment", "web", workloadText("apps/v1", "ReplicaSet", "web-1a", "{replicas: 0}"))),
			[]string{"web-0 [{Deployment web}]", "web-1 [{Deployment web}]",
				"web-1a:ReplicaSet [{ReplicaSet web-1a} {Deployment web}]"}},
		"no Pods in two kinds": {docs(workloadText("apps/v1", "Deployment", "a", "{replicas: 0}"),
			job("a", "{suspend: true}")), []string{"a:Deployment [{Deployment a}]", "a:Job [{Job a}]"}},
		"no replicas and a Pod": {docs(workloadText("apps/v1", "StatefulSet", "db", "{replicas: 0}"),
			owned("StatefulSet", "db", pod("db-0", ""))), []string{"db-0 [{StatefulSet db}]"}},
		"Job of a CronJob that is there": {docs(cron, owned("CronJob", "tidy", job("tidy-29384720", "{}"))),
			[]string{"tidy-0 [{CronJob tidy}]"}},
		"Pods by hash": {docs(deployment,
			owned("ReplicaSet", "web-5d", pod("web-5d-x", "pod-template-hash: 5d"))),
			[]string{"web-5d-x [{ReplicaSet web-5d} {Deployment web}]"}},
		"Pods by their ReplicaSet": {docs(deployment, set,
			owned("ReplicaSet", "web-5d", pod("web-x", "a: b"))),
			[]string{"web-x [{ReplicaSet web-5d} {Deployment web}]"}},
		"Pods of a StatefulSet": {docs(workloadText("apps/v1", "StatefulSet", "db", "{replicas: 3}"),
			owned("StatefulSet", "db", pod("db-0", ""))), []string{"db-0 [{StatefulSet db}]"}},
		"Pods of a CronJob": {docs(cron,
			strings.Replace(owned("Job", "tidy-29384720", pod("tidy-x", "")), "apps/v1", "batch/v1", 1)),
			[]string{"tidy-x [{Job tidy-29384720} {CronJob tidy}]"}},
		"Job that is there and no CronJob's": {docs(job("a-29384720", "{}"),
			strings.Replace(owned("Job", "a-29384720", pod("x", "")), "apps/v1", "batch/v1", 1)),
			[]string{"x [{Job a-29384720}]"}},
		"Pods of others": {docs(workloadText("apps/v1", "Deployment", "web", "{}"), pod("web-0", "app: web")),
			[]string{"web-0 []", "web-1 [{Deployment web}]"}},
		"names that meet": {docs(workloadText("apps/v1", "Deployment", "db", "{}"),
			workloadText("apps/v1", "StatefulSet", "db", "{}")),
			[]string{"db-0 [{StatefulSet db}]", "db-1 [{Deployment db}]"}},
		"another namespace": {docs(deployment,
			strings.Replace(owned("ReplicaSet", "web-5d", pod("web-5d-x", "pod-template-hash: 5d")), "name: web-5d-x",
				"name: web-5d-x, namespace: other", 1)),
			[]string{"web-0 [{Deployment web}]", "web-1 [{Deployment web}]",
				"web-5d-x [{ReplicaSet web-5d} {Deployment web}]"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, podsOf(mustRead(t, test.text).Objects)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPodsOfTemplates proves that a Pod of a template has what the template says, and every label that its
// controller adds.
func TestPodsOfTemplates(t *testing.T) {
	const template = "template: {metadata: {labels: {app: x}}, spec: {hostNetwork: true, nodeName: n1, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}}"
	job := func(name, uid string) map[string]string {
		return map[string]string{
			"app": "x", "job-name": name, "batch.kubernetes.io/job-name": name, "controller-uid": uid,
			"batch.kubernetes.io/controller-uid": uid,
		}
	}
	revision := map[string]string{"app": "x", "controller-revision-hash": convert.Unknown,
		"pod-template-generation": convert.Unknown}
	tests := map[string]struct {
		version, kind, spec string
		labels              map[string]string
	}{
		"Deployment": {"apps/v1", "Deployment", "{" + template + "}",
			map[string]string{"app": "x", "pod-template-hash": convert.Unknown}},
		"ReplicaSet": {"apps/v1", "ReplicaSet", "{" + template + "}", map[string]string{"app": "x"}},
		"ReplicationController": {"v1", "ReplicationController", "{" + template + "}",
			map[string]string{"app": "x"}},
		"DaemonSet": {"apps/v1", "DaemonSet", "{" + template + "}", revision},
		"StatefulSet": {"apps/v1", "StatefulSet", "{" + template + "}", map[string]string{
			"app": "x", "statefulset.kubernetes.io/pod-name": "x-0", "apps.kubernetes.io/pod-index": "0",
			"controller-revision-hash": convert.Unknown,
		}},
		"Job": {"batch/v1", "Job", "{" + template + "}", job("x", convert.Unknown)},
		"Job with its own selector": {"batch/v1", "Job", "{manualSelector: true, " + template + "}",
			map[string]string{"app": "x"}},
		"CronJob": {"batch/v1", "CronJob", "{jobTemplate: {spec: {" + template + "}}}",
			job(convert.Unknown, convert.Unknown)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := find[*engine.Pod](t, mustRead(t,
				workloadText(test.version, test.kind, "x", test.spec)).Objects, "x-0")
			want := &engine.Pod{
				Namespace: "default", Name: "x-0", Labels: test.labels, HostNetwork: true, Node: "n1",
				Ports:     []engine.NamedPort{{Name: "http", Port: 8080}},
				Workloads: []engine.Workload{{Kind: test.kind, Name: "x"}},
			}
			if diff := cmp.Diff(want, got, sameObjects); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, kind := range convert.WorkloadKinds() {
		if _, ok := tests[kind.Name]; !ok {
			t.Errorf("no test of a %s", kind.Name)
		}
	}
}

// TestLabelsOfDumps proves that values in a dump are used: a UID, a revision, a generation.
func TestLabelsOfDumps(t *testing.T) {
	tests := map[string]struct{ text, label, want string }{
		"UID of a Job": {
			`{apiVersion: batch/v1, kind: Job, metadata: {name: x, uid: u7}, spec: {template: {}}}`,
			"controller-uid", "u7",
		},
		"UID in the template": {
			`{apiVersion: batch/v1, kind: Job, metadata: {name: x}, spec: {template: {metadata: {labels: {controller-uid: u8}}}}}`,
			"controller-uid", "u8",
		},
		"revision of a StatefulSet": {
			`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}, status: {currentRevision: x-7f, updateRevision: x-7f}}`,
			"controller-revision-hash", "x-7f",
		},
		"revision in a rollout": {
			`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}, status: {currentRevision: x-7f, updateRevision: x-8f}}`,
			"controller-revision-hash", convert.Unknown,
		},
		"generation of a DaemonSet": {
			`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: x, annotations: {deprecated.daemonset.template.generation: "3"}}}`,
			"pod-template-generation", "3",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := find[*engine.Pod](t, mustRead(t, test.text).Objects, "x-0").Labels[test.label]; got !=
				test.want {
				t.Errorf("%s=%s, want %s", test.label, got, test.want)
			}
		})
	}
}

// TestIndexedJobs proves that a Job has a Pod for each index, because policies may select one.
func TestIndexedJobs(t *testing.T) {
	tests := map[string]struct {
		spec string
		want []string
	}{
		"all at once": {"{completionMode: Indexed, completions: 2, parallelism: 2}",
			[]string{"x-0=0", "x-1=1"}},
		"one after another": {"{completionMode: Indexed, completions: 3}", []string{"x-0=0", "x-1=1", "x-2=2"}},
		"too many to tell": {"{completionMode: Indexed, completions: 100000, parallelism: 2}",
			[]string{"x-0=0", "x-1=1"}},
		"suspended":   {"{completionMode: Indexed, completions: 3, suspend: true}", []string{"x:Job="}},
		"not indexed": {"{completions: 3}", []string{"x-0="}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, o := range mustRead(t, workloadText("batch/v1", "Job", "x", test.spec)).Objects {
				p := o.(*engine.Pod)
				got = append(got, p.Name+"="+p.Labels["batch.kubernetes.io/job-completion-index"])
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestS27StandInsAreNoPods proves that a workload without Pods is known, is not counted, and is no backend of
// a Service.
func TestS27StandInsAreNoPods(t *testing.T) {
	const template = "template: {metadata: {labels: {app: web}}}"
	got := mustRead(t, docs(workloadText("apps/v1", "Deployment", "web", "{replicas: 0, "+template+"}"),
		"{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}"))
	if diff := cmp.Diff([]string{"pods default/web:Deployment", "services default/web"},
		names(got.Objects)); diff != "" {
		t.Error(diff)
	}
	if n := got.Report.Counts["pods"]; n != 0 {
		t.Errorf("%d Pods counted in the files", n)
	}
	changes, _ := changesTo(nil, got.Objects)
	s := engine.NewCluster(engine.Options{}).Apply(changes...)
	if n := s.Counts().Pods; n != 0 {
		t.Errorf("%d Pods counted by the engine", n)
	}
	_, err := s.Allowed(engine.Query{Src: engine.ByWorkload("default",
		engine.Workload{Kind: "Deployment", Name: "web"}), Dst: engine.ByIP(netip.MustParseAddr("10.0.0.1")),
		Port: 80})
	if q, ok := errors.AsType[*engine.QueryError](err); !ok || q.Code != engine.WorkloadFinished {
		t.Errorf("error %v", err)
	}
}

// TestTemplatePodsAreBoundTogether proves that twenty workloads of 10,000 Pods are read, and that one Pod
// more is a problem of its workload.
func TestTemplatePodsAreBoundTogether(t *testing.T) {
	var texts []string
	for i := range 20 {
		texts = append(texts, workloadText("apps/v1", "Deployment", fmt.Sprintf("d%02d", i), "{replicas: 10000}"))
	}
	got := mustRead(t, docs(texts...))
	if n := len(got.Objects); n != maxTemplatePods {
		t.Fatalf("%d Pods", n)
	}
	_, err := readText(t, docs(append(texts, workloadText("apps/v1", "StatefulSet", "one", "{}"))...))
	invalid, ok := errors.AsType[*ProblemsError](err)
	if !ok || len(invalid.Problems) != 1 {
		t.Fatalf("error %v", err)
	}
	if p := invalid.Problems[0]; p.Field != "spec.replicas" ||
		!strings.Contains(p.Message, "all workloads together") {
		t.Errorf("problem %v", p)
	}
}
