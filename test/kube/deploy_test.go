package kube_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/test/kube/kubetest"
	"github.com/netpold/netpold/test/kube/render"
)

const namespace = "netpold"

func chart() string { return filepath.Join(kubetest.Deploy(), "helm", "netpold") }

func kustomized(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	list, err := render.Kustomize(filepath.Join(kubetest.Deploy(), "kustomize", folder))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func charted(t *testing.T, values map[string]any) []*unstructured.Unstructured {
	t.Helper()
	list, _, err := render.Helm(chart(), namespace, open(values))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// kustomizedWith renders a folder with a component that says who may ask.
func kustomizedWith(t *testing.T, folder, component string) []*unstructured.Unstructured {
	t.Helper()
	list, err := render.KustomizeWith(filepath.Join(kubetest.Deploy(), "kustomize"), folder, component)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// open are values that let everybody ask.
func open(values map[string]any) map[string]any {
	opened := maps.Clone(values)
	if opened == nil {
		opened = map[string]any{}
	}
	if _, chosen := opened["tls"]; !chosen {
		opened["insecure"] = true
	}
	return opened
}

// monitored are the values that add all that is optional.
func monitored() map[string]any {
	on := map[string]any{"enabled": true}
	return map[string]any{"monitoring": map[string]any{"serviceMonitor": on, "rules": on, "dashboard": on}}
}

// byKey are the objects without the labels that tell which of the two made them.
func byKey(t *testing.T, list []*unstructured.Unstructured) map[string]any {
	t.Helper()
	objects := map[string]any{}
	for _, object := range list {
		object = object.DeepCopy()
		labels := object.GetLabels()
		delete(labels, "helm.sh/chart")
		delete(labels, "app.kubernetes.io/managed-by")
		object.SetLabels(labels)
		key := render.Key(object)
		if objects[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		objects[key] = plain(object.Object)
	}
	return objects
}

// plain makes every number of one type: the two renderers decode them differently.
func plain(value any) any {
	switch value := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(value))
		for k, v := range value {
			out[k] = plain(v)
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, v := range value {
			out[i] = plain(v)
		}
		return out
	case int64, float64, int:
		return fmt.Sprint(value)
	default:
		return value
	}
}

// TestRenderingsAgree: kustomize and Helm make the same objects.
func TestRenderingsAgree(t *testing.T) {
	for name, test := range map[string]struct {
		folder, component string
		values            map[string]any
		kinds             int
	}{
		"base":       {"base", "insecure", nil, 9},
		"monitoring": {"monitoring", "insecure", monitored(), 12},
		"tls": {"base", "tls", map[string]any{
			"tls": map[string]any{"secretName": "netpold-tls", "requireClientCertificate": true}}, 9},
		"kube-authz": {"base", "kube-authz", map[string]any{
			"tls": map[string]any{"secretName": "netpold-tls"}, "kubeAuthz": true}, 9},
	} {
		t.Run(name, func(t *testing.T) {
			kustomize := byKey(t, kustomizedWith(t, test.folder, test.component))
			helm := byKey(t, charted(t, test.values))
			if diff := cmp.Diff(kustomize, helm); diff != "" {
				t.Errorf("(-kustomize +helm)\n%s", diff)
			}
			if len(kustomize) != test.kinds {
				t.Errorf("%d objects, want %d: %q", len(kustomize), test.kinds, slices.Sorted(maps.Keys(kustomize)))
			}
		})
	}
}

// variants are values that reach every branch of the chart.
func variants() map[string]map[string]any {
	return map[string]map[string]any{
		"default":   nil,
		"monitored": monitored(),
		"tls":       {"tls": map[string]any{"secretName": "cert", "requireClientCertificate": true}},
		"tokens":    {"tls": map[string]any{"secretName": "cert"}, "kubeAuthz": true},
		"fixed": {
			"autoscaling": map[string]any{"enabled": false}, "replicas": 3,
			"image":             map[string]any{"digest": "sha256:" + strings.Repeat("0", 64), "pullSecrets": []any{map[string]any{"name": "pull"}}},
			"priorityClassName": "system-cluster-critical", "serviceAccount": map[string]any{"create": false, "name": "theirs"},
			"resources": map[string]any{"limits": map[string]any{"memory": "1536Mi", "cpu": "2"}},
		},
		"everything else": {
			"nameOverride": "policy", "fullnameOverride": "policy-decisions", "podLabels": map[string]any{"a": "b"}, "podAnnotations": map[string]any{"a": "b"},
			"serviceAccount": map[string]any{"name": "own", "annotations": map[string]any{"a": "b"}},
			"service":        map[string]any{"annotations": map[string]any{"a": "b"}},
			"nodeSelector":   map[string]any{"kubernetes.io/os": "linux"}, "tolerations": []any{map[string]any{"operator": "Exists"}},
			"affinity":      map[string]any{"podAntiAffinity": map[string]any{"requiredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{"topologyKey": "kubernetes.io/hostname", "labelSelector": map[string]any{}}}}},
			"networkPolicy": map[string]any{"clients": []any{map[string]any{"podSelector": map[string]any{"matchLabels": map[string]any{"role": "proxy"}}}}, "monitoring": []any{}},
			// As a number comes out of YAML.
			"settings": map[string]any{"log-level": "debug", "max-message-bytes": float64(32 << 20), "ipblock-matches-pods": false, "drain-delay": "20s"},
		},
	}
}

// TestDeployIsAccepted: the real API server takes every object that is shipped, with strict validation.
func TestDeployIsAccepted(t *testing.T) {
	cluster := kubetest.Start(t)
	ctx := t.Context()
	cluster.CreateNamespace(ctx, namespace)
	cluster.DefineMonitoring(ctx)
	applier := cluster.Applier()
	accept := func(t *testing.T, list []*unstructured.Unstructured) {
		t.Helper()
		for _, object := range list {
			if err := applier.Apply(ctx, object, true); err != nil {
				t.Errorf("%v\n%s", err, text(object))
			}
		}
	}
	for _, folder := range []string{"base", "monitoring"} {
		t.Run("kustomize "+folder, func(t *testing.T) { accept(t, kustomized(t, folder)) })
	}
	for name, values := range variants() {
		t.Run("helm "+name, func(t *testing.T) { accept(t, charted(t, values)) })
	}
	t.Run("strict validation is on", func(t *testing.T) {
		wrong := deployment(t, kustomized(t, "base")).DeepCopy()
		if err := unstructured.SetNestedField(wrong.Object, "x", "spec", "template", "spec", "enableServiceLink"); err != nil {
			t.Fatal(err)
		}
		if err := applier.Apply(ctx, wrong, true); err == nil || !strings.Contains(err.Error(), "enableServiceLink") {
			t.Errorf("a Deployment with an unknown field is taken: %v", err)
		}
	})
	t.Run("Pods are restricted ones", func(t *testing.T) { podsAreRestricted(t, cluster) })
}

// TestValuesAreChecked: what the chart does not know, and what makes no sense, is refused before it is installed.
func TestValuesAreChecked(t *testing.T) {
	for name, test := range map[string]struct {
		values map[string]any
		want   string
	}{
		"unknown":                 {map[string]any{"replicaCount": 3}, "replicaCount"},
		"unknown, deep":           {map[string]any{"image": map[string]any{"name": "x"}}, "name"},
		"memory in bytes":         {map[string]any{"resources": map[string]any{"limits": map[string]any{"memory": "1000000000"}}}, "memory"},
		"the chart's own":         {map[string]any{"settings": map[string]any{"listen": ":1"}}, "listen"},
		"tag and no number":       {map[string]any{"replicas": "two"}, "replicas"},
		"digest of no kind":       {map[string]any{"image": map[string]any{"digest": "latest"}}, "digest"},
		"no API server port":      {map[string]any{"networkPolicy": map[string]any{"apiServerPorts": []any{}}}, "apiServerPorts"},
		"setting of no such name": {map[string]any{"settings": map[string]any{"max-stalness": "5m"}}, "max-stalness"},
		"a file of the machine's": {map[string]any{"settings": map[string]any{"kubeconfig": "/root/.kube/config"}}, "kubeconfig"},
		"time without a unit":     {map[string]any{"settings": map[string]any{"max-staleness": 180}}, "max-staleness"},
		"drain of unknown length": {map[string]any{"settings": map[string]any{"drain-timeout": "1m"}}, "drain-timeout"},
		"stale, but how":          {map[string]any{"settings": map[string]any{"when-stale": "allow"}}, "when-stale"},
		"tag in the repository":   {map[string]any{"image": map[string]any{"repository": "example.com/netpold:v1"}}, "repository"},
		"nobody may go":           {map[string]any{"podDisruptionBudget": map[string]any{"maxUnavailable": 0}}, "maxUnavailable"},
		"more least than most":    {map[string]any{"autoscaling": map[string]any{"minReplicas": 7}}, "raise maxReplicas"},
		"clients' certificates without TLS": {
			map[string]any{"tls": map[string]any{"requireClientCertificate": true}}, "give tls.secretName",
		},
		"no collector's port": {map[string]any{"networkPolicy": map[string]any{"collectorPorts": []any{}}}, "collectorPorts"},
		"a variable without a name": {
			map[string]any{"extraEnv": []any{map[string]any{"value": "http://otel.example:4318"}}}, "name",
		},
		"tokens without TLS": {map[string]any{"kubeAuthz": true}, "kubeAuthz needs TLS"},
		"the chart's own, by HTTP": {
			map[string]any{"settings": map[string]any{"forward-auth-listen": ":1"}}, "forward-auth-listen",
		},
		"everybody's ServiceAccount": {map[string]any{"serviceAccount": map[string]any{"create": false}}, "give serviceAccount.name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := render.Helm(chart(), namespace, open(test.values))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one about %s", err, test.want)
			}
		})
	}
}

// TestP32ChartAsksWhoMayAsk: without a choice of who may ask, nothing is installed.
func TestP32ChartAsksWhoMayAsk(t *testing.T) {
	for name, tls := range map[string]map[string]any{
		"nothing is said": {}, "TLS that asks no certificate": {"secretName": "cert"},
	} {
		_, _, err := render.Helm(chart(), namespace, map[string]any{"tls": tls})
		if err == nil || !strings.Contains(err.Error(), "nothing says who may ask: give tls.secretName") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	var d appsv1.Deployment
	as(t, deployment(t, kustomized(t, "base")), &d)
	for _, arg := range d.Spec.Template.Spec.Containers[0].Args {
		if arg == "--insecure" || strings.HasPrefix(arg, "--tls") {
			t.Errorf("the base has made a choice: %s", arg)
		}
	}
}

// TestP32ChartWithForwardAuth: the port of forward-auth is there only where it is switched on: in the flags, the Pod, the
// Services and the NetworkPolicy. Tokens alone do not say who may ask there.
func TestP32ChartWithForwardAuth(t *testing.T) {
	on, cert := map[string]any{"enabled": true}, map[string]any{"secretName": "cert", "requireClientCertificate": true}
	_, _, err := render.Helm(chart(), namespace, map[string]any{
		"forwardAuth": on, "kubeAuthz": true, "tls": map[string]any{"secretName": "cert"},
	})
	if err == nil || !strings.Contains(err.Error(), "forwardAuth asks for no token: give tls.requireClientCertificate=true") {
		t.Errorf("with tokens alone: %v", err)
	}
	for name, test := range map[string]struct {
		values map[string]any
		on     bool
	}{
		"off":                 {nil, false},
		"on, everybody":       {map[string]any{"forwardAuth": on}, true},
		"on, certificates":    {map[string]any{"forwardAuth": on, "tls": cert}, true},
		"on, and tokens, too": {map[string]any{"forwardAuth": on, "tls": cert, "kubeAuthz": true}, true},
	} {
		list := charted(t, test.values)
		var d appsv1.Deployment
		as(t, deployment(t, list), &d)
		main := d.Spec.Template.Spec.Containers[0]
		if got := slices.Contains(main.Args, "--forward-auth-listen=:9482"); got != test.on {
			t.Errorf("%s: the flags are %q", name, main.Args)
		}
		if got := slices.ContainsFunc(main.Ports, func(p corev1.ContainerPort) bool {
			return p.Name == "forward-auth" && p.ContainerPort == 9482
		}); got != test.on {
			t.Errorf("%s: the ports are %v", name, main.Ports)
		}
		for _, object := range list {
			if kind := object.GetKind(); kind != "Service" && kind != "NetworkPolicy" {
				continue
			}
			if got := strings.Contains(text(object), "forward-auth"); got != test.on {
				t.Errorf("%s: %s:\n%s", name, render.Key(object), text(object))
			}
		}
	}
}

// TestP36RightsOnlyWhereTokensAreReviewed: netpold may ask who callers are only where that is switched on, and then no more
// than the two rights that it takes.
func TestP36RightsOnlyWhereTokensAreReviewed(t *testing.T) {
	tls := map[string]any{"secretName": "cert", "requireClientCertificate": true}
	for name, test := range map[string]struct {
		list     []*unstructured.Unstructured
		reviewed bool
	}{
		"chart":                 {charted(t, nil), false},
		"chart, certificates":   {charted(t, map[string]any{"tls": tls}), false},
		"chart, tokens":         {charted(t, map[string]any{"tls": tls, "kubeAuthz": true}), true},
		"kustomize":             {kustomizedWith(t, "base", "insecure"), false},
		"kustomize, tls":        {kustomizedWith(t, "base", "tls"), false},
		"kustomize, kube-authz": {kustomizedWith(t, "base", "kube-authz"), true},
	} {
		var role rbacv1.ClusterRole
		as(t, only(t, test.list, "ClusterRole"), &role)
		var reviews []rbacv1.PolicyRule
		for _, rule := range role.Rules {
			if slices.Contains(rule.Verbs, "create") || slices.Contains(rule.Verbs, "*") {
				reviews = append(reviews, rule)
			}
		}
		var want []rbacv1.PolicyRule
		if test.reviewed {
			want = []rbacv1.PolicyRule{
				{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
				{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
			}
		}
		if diff := cmp.Diff(want, reviews); diff != "" {
			t.Errorf("%s: what netpold may create (-want +got)\n%s", name, diff)
		}
	}
}

// P46: what OpenTelemetry reads in the environment can be set, and its collector can be reached, but only if something is
// sent there.
func TestP46TelemetryReachesItsCollector(t *testing.T) {
	env := []any{map[string]any{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel.example:4318"}}
	peer := map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"name": "otel"}}}
	for _, test := range []struct {
		name              string
		values            map[string]any
		egress, variables int
	}{
		{"nothing is sent", nil, 2, 1},
		{"traces", map[string]any{"settings": map[string]any{"tracing": "otlp"}, "extraEnv": env,
			"networkPolicy": map[string]any{"collectors": []any{peer}, "collectorPorts": []any{4318}}}, 3, 2},
		{"decisions", map[string]any{"settings": map[string]any{"decision-log": "otlp"},
			"networkPolicy": map[string]any{"collectors": []any{peer}, "collectorPorts": []any{4318}}}, 3, 1},
	} {
		list := charted(t, test.values)
		var d appsv1.Deployment
		as(t, deployment(t, list), &d)
		if got := d.Spec.Template.Spec.Containers[0].Env; len(got) != test.variables ||
			test.variables > 1 && got[1].Name != "OTEL_EXPORTER_OTLP_ENDPOINT" {
			t.Errorf("%s: the environment is %v", test.name, got)
		}
		for _, object := range list {
			if object.GetKind() != "NetworkPolicy" {
				continue
			}
			rules, _, err := unstructured.NestedSlice(object.Object, "spec", "egress")
			if err != nil || len(rules) != test.egress {
				t.Fatalf("%s: egress is %v, %v", test.name, rules, err)
			}
			want := map[string]any{"ports": []any{map[string]any{"protocol": "TCP", "port": "4318"}}, "to": []any{peer}}
			if diff := cmp.Diff(want, plain(rules[len(rules)-1])); test.egress > 2 && diff != "" {
				t.Errorf("%s: (-want +got)\n%s", test.name, diff)
			}
		}
	}
}

// TestNotesTellTheRisk: an installation says how to reach it, and what is not secured.
func TestNotesTellTheRisk(t *testing.T) {
	for name, test := range map[string]struct {
		values        map[string]any
		says, saysNot []string
	}{
		"default": {nil, []string{"dns:///netpold-headless.netpold.svc:9480\n", "in plaintext", "Every Pod of the cluster may ask"}, []string{"--tls"}},
		"tls": {
			variants()["tls"],
			[]string{
				"9480   (TLS)",
				"netpold status --server 127.0.0.1:9480 --tls-ca ca.crt --tls-server-name netpold.netpold.svc " +
					"--tls-client-cert client.crt --tls-client-key client.key\n",
				"signed by ca.crt of the Secret cert.",
			},
			[]string{"in plaintext", "Every Pod", "--bearer-token-file"},
		},
		"tokens": {
			variants()["tokens"],
			[]string{
				"create token SERVICEACCOUNT --audience netpold > token\n", "--tls-server-name netpold.netpold.svc --bearer-token-file token\n",
				"get status.netpold.io",
			},
			[]string{"in plaintext", "Every Pod", "--tls-client"},
		},
		"tokens of another audience": {
			map[string]any{
				"tls": map[string]any{"secretName": "cert"}, "kubeAuthz": true,
				"settings": map[string]any{"kube-authz-audience": "ours"},
			},
			[]string{"--audience ours > token\n"}, nil,
		},
		"open": {
			map[string]any{"networkPolicy": map[string]any{"enabled": false, "clients": []any{map[string]any{"podSelector": map[string]any{}}}}},
			[]string{"Every Pod of the cluster may ask"}, nil,
		},
		"clients": {variants()["everything else"], []string{"policy-decisions-headless"}, []string{"Every Pod"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, notes, err := render.Helm(chart(), namespace, open(test.values))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.says {
				if !strings.Contains(notes, want) {
					t.Errorf("the notes do not say %q:\n%s", want, notes)
				}
			}
			for _, not := range test.saysNot {
				if strings.Contains(notes, not) {
					t.Errorf("the notes say %q:\n%s", not, notes)
				}
			}
		})
	}
}

// TestRoleReadsWhatIsMirrored: netpold may read every kind that is mirrored, and list what it counts: every kind of the table. Without
// rbac.countUnmodelled it counts nothing.
func TestRoleReadsWhatIsMirrored(t *testing.T) {
	read := []string{"get", "list", "watch"}
	want := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods", "namespaces", "nodes", "services"}, Verbs: read},
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: read},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: read},
		{APIGroups: []string{"policy.networking.k8s.io"}, Verbs: read, Resources: []string{
			"clusternetworkpolicies", "adminnetworkpolicies", "baselineadminnetworkpolicies"}},
	}
	count := rbacv1.PolicyRule{Verbs: []string{"list"}}
	for _, r := range mirror.UnmodelledResources() {
		count.APIGroups, count.Resources = append(count.APIGroups, r.Group), append(count.Resources, r.Resource)
	}
	for _, list := range []*[]string{&count.APIGroups, &count.Resources} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for name, test := range map[string]struct {
		objects []*unstructured.Unstructured
		want    []rbacv1.PolicyRule
	}{
		"kustomize": {kustomized(t, "base"), append(slices.Clone(want), count)},
		"without":   {charted(t, map[string]any{"rbac": map[string]any{"countUnmodelled": false}}), want},
	} {
		var role rbacv1.ClusterRole
		as(t, only(t, test.objects, "ClusterRole"), &role)
		if diff := cmp.Diff(test.want, role.Rules); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestNumbersFit: what must be in proportion is, in every variant.
func TestNumbersFit(t *testing.T) {
	for name, values := range variants() {
		t.Run(name, func(t *testing.T) {
			var d appsv1.Deployment
			as(t, deployment(t, charted(t, values)), &d)
			pod := d.Spec.Template.Spec
			container := pod.Containers[0]
			if drain := flag(t, container.Args, "drain-delay") + flag(t, container.Args, "drain-timeout"); time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second != drain+10*time.Second {
				t.Errorf("terminationGracePeriodSeconds is %d, want 10 s more than the drain's %v", *pod.TerminationGracePeriodSeconds, drain)
			}
			limit := container.Resources.Limits.Memory().Value()
			var soft resource.Quantity
			for _, e := range container.Env {
				if e.Name == "GOMEMLIMIT" {
					soft = resource.MustParse(strings.TrimSuffix(e.Value, "B")) // Go's MiB are Kubernetes' Mi
				}
			}
			if share := float64(soft.Value()) / float64(limit); share < 0.89 || share > 0.9 {
				t.Errorf("GOMEMLIMIT %v is %.3f of the limit %d, want 0.9", &soft, share, limit)
			}
		})
	}
}

// TestProbes: a Pod is ready while its questions are answered, from a stale state too; it starts when gRPC serves, where a kubelet can
// ask; and only a process that hangs is restarted.
func TestProbes(t *testing.T) {
	for name, values := range variants() {
		t.Run(name, func(t *testing.T) {
			var d appsv1.Deployment
			as(t, deployment(t, charted(t, values)), &d)
			container := d.Spec.Template.Spec.Containers[0]
			_, secured := values["tls"]
			for _, probe := range []*corev1.Probe{container.StartupProbe, container.ReadinessProbe} {
				if (probe.GRPC != nil) == secured {
					t.Errorf("a probe asks gRPC %v, while TLS is %v", probe.GRPC, secured)
				}
				if secured && probe.HTTPGet.Path != "/readyz" {
					t.Errorf("a probe asks %s", probe.HTTPGet.Path)
				}
			}
			if ready := container.ReadinessProbe.GRPC; ready != nil && (ready.Service == nil || *ready.Service != "readiness") {
				t.Errorf("readiness asks %v, which is not SERVING on a stale replica", ready)
			}
			if alive := container.LivenessProbe.HTTPGet; alive == nil || alive.Path != "/healthz" {
				t.Errorf("liveness asks %v, want /healthz", alive)
			}
			for _, probe := range []*corev1.Probe{container.StartupProbe, container.ReadinessProbe, container.LivenessProbe} {
				port := probe.HTTPGet
				if port != nil && !slices.ContainsFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.Name == port.Port.StrVal }) {
					t.Errorf("a probe asks the port %v, which is none", port.Port)
				}
				if grpc := probe.GRPC; grpc != nil && !slices.ContainsFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.ContainerPort == grpc.Port }) {
					t.Errorf("a probe asks the port %d, which is none", grpc.Port)
				}
			}
		})
	}
}

// TestReplicasHaveOneMaster: the Deployment says how many replicas there are only where no HorizontalPodAutoscaler does.
func TestReplicasHaveOneMaster(t *testing.T) {
	for name, values := range variants() {
		t.Run(name, func(t *testing.T) {
			list := charted(t, values)
			_, says, err := unstructured.NestedFieldNoCopy(deployment(t, list).Object, "spec", "replicas")
			if err != nil {
				t.Fatal(err)
			}
			scaled := slices.ContainsFunc(list, func(o *unstructured.Unstructured) bool { return o.GetKind() == "HorizontalPodAutoscaler" })
			if says == scaled {
				t.Errorf("the Deployment says how many: %v; there is an autoscaler: %v", says, scaled)
			}
		})
	}
}

// TestArgumentsAreFlags: the netpold that is built takes what the container is started with.
func TestArgumentsAreFlags(t *testing.T) {
	for name, values := range variants() {
		t.Run(name, func(t *testing.T) {
			var d appsv1.Deployment
			as(t, deployment(t, charted(t, values)), &d)
			if output, err := kubetest.Run(t, append(d.Spec.Template.Spec.Containers[0].Args, "--help")...); err != nil {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
	if output, err := kubetest.Run(t, "serve", "--no-such-flag", "--help"); err == nil {
		t.Errorf("an unknown flag is taken: %s", output)
	}
}

// flag is the duration of a flag.
func flag(t *testing.T, args []string, name string) time.Duration {
	t.Helper()
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--"+name+"="); ok {
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	}
	t.Fatalf("%s is not set: %s", name, strconv.Quote(strings.Join(args, " ")))
	return 0
}

func deployment(t *testing.T, list []*unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	return only(t, list, "Deployment")
}

// only is the one object of a kind.
func only(t *testing.T, list []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	var found *unstructured.Unstructured
	for _, object := range list {
		if object.GetKind() == kind {
			if found != nil {
				t.Fatalf("more than one %s", kind)
			}
			found = object
		}
	}
	if found == nil {
		t.Fatalf("no %s", kind)
	}
	return found
}

func as(t *testing.T, object *unstructured.Unstructured, typed any) {
	t.Helper()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed); err != nil {
		t.Fatal(err)
	}
}
