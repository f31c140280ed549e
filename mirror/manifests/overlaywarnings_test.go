package manifests

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/mirror"
)

// TestOverlayWarns proves that what an overlay leaves out or takes for granted is told, once for each object,
// and that what it does not is not.
func TestOverlayWarns(t *testing.T) {
	const cluster = `
{apiVersion: apps/v1, kind: Deployment, metadata: {name: zero, namespace: shop}, spec: {replicas: 0, selector: {matchLabels: {app: zero}}, template: {metadata: {labels: {app: zero}}, spec: {containers: [{name: c}]}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: shop, labels: {app: db, injected: a, manual: b, controller-revision-hash: x, statefulset.kubernetes.io/pod-name: db-0},
 ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: u, controller: true}]},
 spec: {containers: [{name: c, ports: [{name: sql, containerPort: 5432}]}, {name: proxy, ports: [{name: admin, containerPort: 15000}]}]}, status: {podIPs: [{ip: 10.0.0.1}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db-1, namespace: shop, labels: {app: db, injected: a, statefulset.kubernetes.io/pod-name: db-1},
 ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: u, controller: true}]},
 spec: {containers: [{name: c, ports: [{name: sql, containerPort: 5432}]}]}, status: {podIPs: [{ip: 10.0.0.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: plain-0, namespace: shop, labels: {app: plain},
 ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: plain, uid: u, controller: true}]}, spec: {containers: [{name: c}]}, status: {podIPs: [{ip: 10.0.0.3}]}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: old, namespace: lonely}, spec: {podSelector: {}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: bare}}
`
	set := func(name, spec, labels, pod string) string {
		return "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: " + name + ", namespace: shop}, spec: {" + spec +
			"template: {metadata: {labels: {" + labels + "}}, spec: {" + pod + "}}}}"
	}
	const same = "containers: [{name: c, ports: [{name: sql, containerPort: 5432}, {name: admin, containerPort: 15000}]}]"
	policy := func(namespace string) string {
		return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: " + namespace + "}, spec: {podSelector: {}}}"
	}
	const only = `StatefulSet "shop/plain": `
	tests := map[string]struct {
		changes []mirror.OverlayChange
		want    []string
	}{
		"replicas 0, labelled": {[]mirror.OverlayChange{labelled("Deployment", "shop", "zero", map[string]string{"a": "b"})},
			[]string{`changes[0].labels: warning: Deployment "shop/zero": has no Pods whose labels could be changed: its replicas are 0`}},
		"nothing":         {applied(set("plain", "replicas: 1, ", "app: new", "containers: [{name: c}]")), nil},
		"no replicas":     {applied(set("db", "", "app: db, injected: a, manual: c", same)), nil},
		"other replicas":  {applied(set("plain", "replicas: 3, ", "app: plain", "containers: [{name: c}]")), []string{"changes[0].apply: warning: " + only + "spec.replicas: 3 are asked for, and it has 1 Pod: only labels and ports of its Pods are changed, and none is added or removed"}},
		"none any more":   {applied(set("db", "replicas: 0, ", "app: db, injected: a, manual: b", same)), []string{`changes[0].apply: warning: StatefulSet "shop/db": spec.replicas: 0 are asked for, and it has 2 Pods: only labels and ports of its Pods are changed, and none is added or removed`}},
		"to the host":     {applied(set("plain", "", "app: plain", "hostNetwork: true, containers: [{name: c}]")), []string{"changes[0].apply: warning: " + only + "spec.template.spec.hostNetwork: true differs from its Pods: only their labels and ports are changed, and they stay off the host network"}},
		"what others add": {applied(set("db", "replicas: 2, ", "app: db", "containers: [{name: c}]")), []string{`changes[0].apply: warning: StatefulSet "shop/db": spec.template: its Pods have what it lacks, and lose it here: labels injected, manual; ports admin, sql; in a cluster they may keep what a webhook or a hand added`}},
		"its Pods too":    {applied(set("db", "", "app: db", "containers: [{name: c}]") + "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: shop, labels: {app: db}, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: u, controller: true}]}, spec: {containers: [{name: c}]}}"), nil},

		"a namespace of nothing":       {applied(policy("shpo")), []string{`changes[0].apply: warning: NetworkPolicy "shpo/p": metadata.namespace: nothing else is in the namespace "shpo", so that the policy selects nothing: check the name`}},
		"a namespace of policies":      {applied(policy("lonely")), []string{`changes[0].apply: warning: NetworkPolicy "lonely/p": metadata.namespace: nothing else is in the namespace "lonely", so that the policy selects nothing: check the name`}},
		"a namespace of its own":       {applied(policy("bare"), policy("shop")), nil},
		"a namespace that comes later": {applied(policy("fresh"), "{apiVersion: v1, kind: Namespace, metadata: {name: fresh}}"), nil},
		"a Pod that comes later":       {applied(policy("fresh"), "{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: fresh}}"), nil},
		"a policy that goes again":     {append(applied(policy("shpo")), deleted("NetworkPolicy", "shpo", "p")), nil},
		"a namespace that goes":        {append(applied(policy("shop")), deleted("Namespace", "", "shop")), nil},
	}
	base := baseOf(t, cluster)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := ReadOverlay(base, &mirror.Overlay{Changes: test.changes}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range warnings {
				got = append(got, w.Path+": "+w.String())
			}
			slices.Sort(got)
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}
