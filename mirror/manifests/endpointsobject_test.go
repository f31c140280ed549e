package manifests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/engine"
)

// TestS24EndpointsObjects proves that a Service without selector and slices has the endpoints of its
// Endpoints object, as in a cluster.
func TestS24EndpointsObjects(t *testing.T) {
	service := func(spec string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: kubernetes, namespace: default}\nspec: {" + spec +
			"ports: [{name: https, port: 443, targetPort: 6443}]}\n"
	}
	const object = `
apiVersion: v1
kind: Endpoints
metadata: {name: kubernetes, namespace: default}
subsets:
- addresses: [{ip: 192.0.2.1}, {ip: "2001:db8::1"}, {ip: 10.0.0.1, targetRef: {kind: Pod, name: api, namespace: kube-system}}]
  notReadyAddresses: [{ip: 192.0.2.2}]
  ports: [{name: https, port: 6443}, {name: dns, port: 53, protocol: UDP}]
- addresses: [{ip: 192.0.2.3}]
  ports: [{name: https, port: 7443}]
`
	const slice = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kubernetes, namespace: default, labels: {kubernetes.io/service-name: kubernetes}}
addressType: IPv4
endpoints: [{addresses: [192.0.2.9]}]
ports: [{name: https, port: 6443}]
`
	all := []string{
		"https 6443/TCP, dns 53/UDP: 192.0.2.1 ready, 10.0.0.1 kube-system/api ready, 192.0.2.2",
		"https 6443/TCP, dns 53/UDP: 2001:db8::1 ready",
		"https 7443/TCP: 192.0.2.3 ready",
	}
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"mirrored":           {service("") + "---" + object, all},
		"before its Service": {object + "---\n" + service(""), all},
		"of a selector":      {service("selector: {app: api}, ") + "---" + object, nil},
		"beside a slice": {service("") + "---" + object + "---" + slice,
			[]string{"https 6443/TCP: 192.0.2.9 ready"}},
		"not to be mirrored": {service("") + "---" +
			strings.Replace(object, "default}", `default, labels: {endpointslice.kubernetes.io/skip-mirror: "true"}}`,
				1), nil},
		"of an external name": {service("type: ExternalName, externalName: a.example, ") + "---" + object, nil},
		"of no Service":       {"apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---" + object, nil},
	} {
		t.Run(name, func(t *testing.T) {
			read := mustRead(t, test.text)
			var got []string
			for _, o := range read.Objects {
				s, ok := o.(*engine.EndpointSlice)
				if !ok {
					continue
				}
				var ports, endpoints []string
				for _, p := range s.Ports {
					ports = append(ports, fmt.Sprintf("%s %d/%s", p.Name, p.Port, p.Protocol))
				}
				slices.Reverse(ports)
				for _, e := range s.Endpoints {
					words := []string{e.Addr.String()}
					if e.Pod != "" {
						words = append(words, e.Pod)
					}
					if e.Ready && e.Serving {
						words = append(words, "ready")
					}
					endpoints = append(endpoints, strings.Join(words, " "))
				}
				got = append(got, strings.Join(ports, ", ")+": "+strings.Join(endpoints, ", "))
			}
			slices.Sort(got)
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if len(read.Report.Problems) > 0 || len(read.Report.Ignored) > 0 {
				t.Errorf("problems %v, ignored %v", read.Report.Problems, read.Report.Ignored)
			}
		})
	}
	wrong := strings.NewReplacer("192.0.2.1", "here", "port: 7443", "port: 0").Replace(object)
	got := problemsOf(t, map[string]string{"a.yaml": service("") + "---" + wrong})
	for _, want := range []string{`subsets[0].addresses[0].ip: Invalid value: "here"`,
		"subsets[1].ports[0].port: Invalid value: 0"} {
		if !strings.Contains(got, want) {
			t.Errorf("problems\n%swant in them %q", got, want)
		}
	}
}
