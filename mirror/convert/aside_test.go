package convert

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/netpold/netpold/engine"
)

func read[T any](t *testing.T, text string) *T {
	t.Helper()
	object := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestHostPorts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spec string
		want []engine.HostPort
	}{
		"none": {spec: `{containers: [{name: c, ports: [{containerPort: 80}]}]}`},
		"on every address": {
			`{containers: [{name: c, ports: [{containerPort: 80, hostPort: 8080}, {containerPort: 53, hostPort: 53, protocol: UDP, hostIP: 0.0.0.0}]}]}`,
			[]engine.HostPort{{Port: 8080, ContainerPort: 80}, {Port: 53, ContainerPort: 53, Protocol: engine.UDP}},
		},
		"on one address": {
			`{containers: [{name: c, ports: [{containerPort: 80, hostPort: 80, hostIP: 192.168.0.1}]}]}`,
			[]engine.HostPort{{Port: 80, ContainerPort: 80, IP: netip.MustParseAddr("192.168.0.1")}},
		},
		"of a sidecar": {
			`{initContainers: [{name: c, restartPolicy: Always, ports: [{containerPort: 80, hostPort: 80}]}, {name: d, ports: [{containerPort: 81, hostPort: 81}]}]}`,
			[]engine.HostPort{{Port: 80, ContainerPort: 80}},
		},
		"on the host network the port is the Node's": {
			spec: `{hostNetwork: true, containers: [{name: c, ports: [{containerPort: 80, hostPort: 80}]}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod, problems := Pod(&corev1.Pod{Spec: *read[corev1.PodSpec](t, test.spec)})
			if diff := cmp.Diff(test.want, pod.HostPorts, sameAddresses); diff != "" || len(problems) > 0 {
				t.Errorf("problems %v, -want +got:\n%s", problems, diff)
			}
		})
	}
}

func TestSecondaryIPs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		annotation string
		want       []netip.Addr
	}{
		"the default network is the cluster's": {annotation: `[{"name":"cbr0","ips":["10.24.0.1"],"default":true}]`},
		"others": {
			`[{"name":"cbr0","ips":["10.24.0.1"],"default":true},{"name":"mu/vlan","ips":["192.168.50.5","fd00::5","x"]},{"name":"mu/none"}]`,
			[]netip.Addr{netip.MustParseAddr("192.168.50.5"), netip.MustParseAddr("fd00::5")},
		},
		"not JSON": {annotation: `x`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := &corev1.Pod{}
			pod.Annotations = map[string]string{networkStatus: test.annotation}
			got, problems := Pod(pod)
			if diff := cmp.Diff(test.want, got.SecondaryIPs, sameAddresses); diff != "" || len(problems) > 0 {
				t.Errorf("problems %v, -want +got:\n%s", problems, diff)
			}
		})
	}
}

func TestPodCIDRs(t *testing.T) {
	t.Parallel()
	node, _ := Node(&corev1.Node{Spec: corev1.NodeSpec{PodCIDR: "10.42.1.0/24",
		PodCIDRs: []string{"10.42.1.0/24", "fd00::1/64", "x"}}})
	want := []netip.Prefix{netip.MustParsePrefix("10.42.1.0/24"), netip.MustParsePrefix("fd00::/64")}
	if diff := cmp.Diff(want, node.PodCIDRs,
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if node, _ = Node(&corev1.Node{Spec: corev1.NodeSpec{PodCIDR: "10.42.1.0/24"}}); len(node.PodCIDRs) != 1 {
		t.Errorf("podCIDR alone: %v", node.PodCIDRs)
	}
}

func TestServiceAside(t *testing.T) {
	t.Parallel()
	service, problems := Service(&corev1.Service{Spec: *read[corev1.ServiceSpec](t,
		`{selector: {app: w}, ports: [{name: a, port: 80, targetPort: http, nodePort: 30080}, {name: b, port: 81, targetPort: 8081}, {name: c, port: 82, targetPort: 82}, {name: d, port: 83}]}`)})
	want := []engine.ServicePortDetail{{Port: 80, NodePort: 30080, Target: "http"}, {Port: 81, TargetPort: 8081}}
	if diff := cmp.Diff(want, service.PortDetails); diff != "" || service.Selector["app"] != "w" ||
		len(problems) > 0 {
		t.Errorf("selector %v, problems %v, -want +got:\n%s", service.Selector, problems, diff)
	}
}

// S24: an endpoint keeps the name of the Pod in its targetRef, and no other reference.
func TestS24EndpointNamesItsPod(t *testing.T) {
	t.Parallel()
	slice := read[discoveryv1.EndpointSlice](t, `
metadata: {namespace: shop, name: s}
addressType: IPv4
endpoints:
- {addresses: [10.0.0.1], targetRef: {kind: Pod, namespace: shop, name: a}}
- {addresses: [10.0.0.2], targetRef: {kind: Pod, name: b}}
- {addresses: [10.0.0.3], targetRef: {kind: Pod, namespace: other, name: c}}
- {addresses: [10.0.0.4], targetRef: {kind: Node, name: n}}
- {addresses: [10.0.0.5]}
`)
	got, _ := EndpointSlice(slice)
	for i, want := range []string{"a", "b", "other/c", "", ""} {
		if got.Endpoints[i].Pod != want {
			t.Errorf("endpoint %d: Pod %q, want %q", i, got.Endpoints[i].Pod, want)
		}
	}
}

// TestLintIgnore proves that the one annotation about findings is kept, and the creation time of policies.
func TestLintIgnore(t *testing.T) {
	t.Parallel()
	meta := metav1.ObjectMeta{Name: "x", Annotations: map[string]string{
		"netpold.dev/lint-ignore": "selects-nothing", "other": "y",
	}, CreationTimestamp: metav1.Unix(1700000000, 0)}
	namespace, _ := Namespace(&corev1.Namespace{ObjectMeta: meta})
	policy, _ := Policy(&networkingv1.NetworkPolicy{ObjectMeta: meta})
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetAnnotations(meta.Annotations)
	object.SetCreationTimestamp(meta.CreationTimestamp)
	cluster, _ := ClusterPolicy(engine.AdminNetworkPolicy, object)
	for kind, got := range map[string]string{
		"Namespace": namespace.LintIgnore, "NetworkPolicy": policy.LintIgnore, "AdminNetworkPolicy": cluster.LintIgnore,
	} {
		if got != "selects-nothing" {
			t.Errorf("%s: %q", kind, got)
		}
	}
	if policy.Created != 1700000000 || cluster.Created != 1700000000 {
		t.Errorf("created %d, %d", policy.Created, cluster.Created)
	}
}
