package convert

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/netpold/netpold/engine"
)

func decode[T any](t *testing.T, text string) *T {
	t.Helper()
	var x T
	if err := yaml.UnmarshalStrict([]byte(text), &x); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return &x
}

func addrsOf(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, s := range texts {
		list = append(list, netip.MustParseAddr(s))
	}
	return list
}

func TestPod(t *testing.T) {
	p := decode[corev1.Pod](t, `
metadata: {namespace: shop, name: web-7d9-x, uid: u1, creationTimestamp: "2026-11-22T10:00:00Z", labels: {app: web, pod-template-hash: 7d9},
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-7d9, uid: r, controller: true}]}
spec:
  nodeName: n1
  hostNetwork: true
  serviceAccountName: web
  containers:
  - {name: a, ports: [{name: http, containerPort: 8080}, {containerPort: 1}, {name: dns, containerPort: 53, protocol: UDP}]}
  - {name: b, ports: [{name: http, containerPort: 9090, protocol: SCTP}]}
  initContainers:
  - {name: c, ports: [{name: once, containerPort: 1}]}
  - {name: d, restartPolicy: Always, ports: [{name: admin, containerPort: 15000}]}
status: {phase: Running, podIP: 10.0.0.9, podIPs: [{ip: 10.0.0.9}, {ip: "fd00::9"}], hostIP: 192.168.0.1, hostIPs: [{ip: 192.168.0.1}]}`)
	got, problems := Pod(p)
	want := &engine.Pod{
		Namespace: "shop", Name: "web-7d9-x", UID: "u1", Created: 1795341600, Node: "n1", HostNetwork: true, ServiceAccount: "web",
		Labels: map[string]string{"app": "web", "pod-template-hash": "7d9"},
		IPs:    addrsOf("10.0.0.9", "fd00::9"), HostIPs: addrsOf("192.168.0.1"),
		Ports: []engine.NamedPort{
			{Name: "http", Port: 8080}, {Name: "dns", Port: 53, Protocol: engine.UDP},
			{Name: "http", Port: 9090, Protocol: engine.SCTP}, {Name: "admin", Port: 15000},
		},
		UnnamedPorts: []engine.UnnamedPort{{Port: 1}},
		Workloads:    []engine.Workload{{Kind: "ReplicaSet", Name: "web-7d9"}, {Kind: "Deployment", Name: "web"}},
	}
	if diff := cmp.Diff(want, got, sameAddresses); diff != "" || problems != nil {
		t.Error(diff, problems)
	}
	p.Labels["app"] = "changed"
	if got.Labels["app"] != "web" {
		t.Error("the labels are the decoded object's")
	}
}

func TestPodAddresses(t *testing.T) {
	tests := map[string]struct {
		status string
		want   []netip.Addr
		fields []string
	}{
		"S9 podIP where podIPs is empty": {`{podIP: 10.0.0.1}`, addrsOf("10.0.0.1"), nil},
		"S9 podIPs before podIP":         {`{podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.2}]}`, addrsOf("10.0.0.2"), nil},
		"S9 IPv4-mapped": {`{podIPs: [{ip: "::ffff:10.0.0.1"}, {ip: 10.0.0.1}]}`,
			addrsOf("10.0.0.1"), nil},
		"S8 none yet":          {`{phase: Pending}`, nil, nil},
		"leading zeros of old": {`{podIP: 010.0.0.1}`, addrsOf("10.0.0.1"), nil},
		"no address": {`{podIPs: [{ip: 10.0.0.1}, {ip: x}, {ip: "fe80::1%eth0"}]}`, addrsOf("10.0.0.1"),
			[]string{"status.podIPs[1].ip", "status.podIPs[2].ip"}},
		"no address alone": {`{podIP: x}`, nil, []string{"status.podIP"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, problems := Pod(decode[corev1.Pod](t, `{status: `+test.status+`}`))
			if diff := cmp.Diff(test.want, got.IPs, sameAddresses); diff != "" {
				t.Error(diff)
			}
			var fields []string
			for _, p := range problems {
				fields = append(fields, p.Field)
			}
			if diff := cmp.Diff(test.fields, fields); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestS6Finished(t *testing.T) {
	for phase, want := range map[corev1.PodPhase]bool{"": false, "Pending": false, "Running": false,
		"Unknown": false, "Succeeded": true, "Failed": true} {
		p := &corev1.Pod{Status: corev1.PodStatus{Phase: phase}}
		now := metav1.Now()
		p.DeletionTimestamp = &now
		if got, _ := Pod(p); got.Finished != want {
			t.Errorf("phase %q: finished %v", phase, got.Finished)
		}
	}
}

func TestPodPortsOutOfRange(t *testing.T) {
	got, problems := Pod(decode[corev1.Pod](t, `{spec: {containers: [{name: a, ports: [
		{name: zero, containerPort: 0}, {name: wraps, containerPort: 65616}, {name: icmp, containerPort: 1, protocol: ICMP}, {name: ok, containerPort: 65535}]}]}}`))
	if diff := cmp.Diff([]engine.NamedPort{{Name: "ok", Port: 65535}}, got.Ports); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 3 || problems[1].Field != "spec.containers[0].ports[1].containerPort" ||
		problems[2].Field != "spec.containers[0].ports[2].protocol" {
		t.Errorf("problems: %q", lines(problems))
	}
}

func TestWorkloads(t *testing.T) {
	w := func(pairs ...string) []engine.Workload {
		var list []engine.Workload
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, engine.Workload{Kind: pairs[i], Name: pairs[i+1]})
		}
		return list
	}
	tests := map[string]struct {
		version, kind, name, hash string
		want                      []engine.Workload
	}{
		"Deployment by hash": {"apps/v1", "ReplicaSet", "a-b-5d", "5d",
			w("ReplicaSet", "a-b-5d", "Deployment", "a-b")},
		"ReplicaSet of another name":  {"apps/v1", "ReplicaSet", "a-5d", "6e", w("ReplicaSet", "a-5d")},
		"ReplicaSet without hash":     {"apps/v1", "ReplicaSet", "a-5d", "", w("ReplicaSet", "a-5d")},
		"ReplicaSet that is the hash": {"apps/v1", "ReplicaSet", "-5d", "5d", w("ReplicaSet", "-5d")},
		"version left out": {"", "ReplicaSet", "a-5d", "5d",
			w("ReplicaSet", "a-5d", "Deployment", "a")},
		"StatefulSet":                  {"apps/v1", "StatefulSet", "a", "", w("StatefulSet", "a")},
		"DaemonSet":                    {"apps/v1", "DaemonSet", "a", "", w("DaemonSet", "a")},
		"StatefulSet of another group": {"apps.kruise.io/v1beta1", "StatefulSet", "a", "", nil},
		"ReplicationController":        {"v1", "ReplicationController", "a", "", w("ReplicationController", "a")},
		"of another group":             {"x.io/v1", "ReplicationController", "a", "", nil},
		"CronJob by minutes": {"batch/v1", "Job", "back-up-29384720", "",
			w("Job", "back-up-29384720", "CronJob", "back-up")},
		"CronJob by seconds":    {"batch/v1", "Job", "a-1612345600", "", w("Job", "a-1612345600", "CronJob", "a")},
		"Job of a short number": {"batch/v1", "Job", "backup-2", "", w("Job", "backup-2")},
		"Job of seven digits":   {"batch/v1", "Job", "a-2938472", "", w("Job", "a-2938472")},
		"Job of a date":         {"batch/v1", "Job", "a-20261122", "", w("Job", "a-20261122")},
		"Job of a long number":  {"batch/v1", "Job", "a-29384720123", "", w("Job", "a-29384720123")},
		"Job of letters":        {"batch/v1", "Job", "a-2938472x", "", w("Job", "a-2938472x")},
		"Job of a number":       {"batch/v1", "Job", "29384720", "", w("Job", "29384720")},
		"Node of a static Pod":  {"v1", "Node", "n1", "", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			yes, no := true, false
			owners := []metav1.OwnerReference{
				{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "not-the-controller", Controller: &no},
				{APIVersion: test.version, Kind: test.kind, Name: test.name, Controller: &yes},
			}
			got := Workloads(owners, map[string]string{"pod-template-hash": test.hash})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := Workloads(nil, nil); got != nil {
		t.Errorf("without owners: %v", got)
	}
}

func TestNamespaceAndNode(t *testing.T) {
	ns, _ := Namespace(decode[corev1.Namespace](t, `{metadata: {name: shop, labels: {team: a}}}`))
	if diff := cmp.Diff(&engine.Namespace{Name: "shop", Labels: map[string]string{"team": "a"}},
		ns); diff != "" {
		t.Error(diff)
	}
	node, problems := Node(decode[corev1.Node](t, `{metadata: {name: n1}, status: {addresses: [
		{type: Hostname, address: n1}, {type: InternalDNS, address: n1.x}, {type: InternalIP, address: 192.168.0.1},
		{type: InternalIP, address: "fd00::1"}, {type: ExternalIP, address: 203.0.113.1}, {type: InternalIP, address: bad},
		{type: Hostname, address: 192.168.0.2}, {type: InternalDNS, address: "fd00::1"}, {type: Other, address: 192.168.0.3}]}}`))
	if diff := cmp.Diff(&engine.Node{Name: "n1",
		IPs: addrsOf("192.168.0.1", "fd00::1", "203.0.113.1", "192.168.0.2", "192.168.0.3")}, node,
		sameAddresses); diff != "" {
		t.Error("S5", diff)
	}
	if len(problems) != 1 || problems[0].Field != "status.addresses[5].address" || problems[0].Kind != "Node" {
		t.Errorf("problems: %q", lines(problems))
	}
}
