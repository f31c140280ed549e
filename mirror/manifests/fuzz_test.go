package manifests

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/netpold/netpold/engine"
)

// FuzzManifests: reading never panics, an error comes with no object, and what is accepted can be served.
func FuzzManifests(f *testing.F) {
	for _, seed := range []string{
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\nspec: {replicas: 2, template: {spec: {containers: [{name: c, ports: [{name: h, containerPort: 1}]}]}}}\n",
		`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"selector":{"a":"b"},"ports":[{"port":80,"targetPort":"h"}]}}]}`,
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 1, endPort: 2}]}]}",
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, labels: {kubernetes.io/service-name: a}}\naddressType: IPv4\nports: [{port: 1}]\nendpoints: [{addresses: [10.0.0.1]}]",
		"%YAML 1.1\n--- # x\na: &a [*a]\n...\n---\n{{ x }}\n--- |\n  text\n", "\xff\xfex\x00", "a: [\n---\nb: {", `{"kind":"PodList","apiVersion":"v1","items":[null,{}]}`,
		"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec: {ordinals: {start: -3}}\n---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Read(context.Background(), Options{Path: "-", Stdin: strings.NewReader(text)})
		if err != nil {
			invalid, ok := errors.AsType[*ProblemsError](err)
			if got.Objects != nil || !ok && !errors.Is(err, ErrNoObjects) {
				t.Fatalf("%d objects, error %v", len(got.Objects), err)
			}
			if ok && (len(invalid.Problems) == 0 || invalid.Error() == "") {
				t.Fatal("an error without a problem")
			}
			return
		}
		seen := map[key]bool{}
		for _, o := range got.Objects {
			k := keyOf(o)
			if seen[k] || k.name == "" {
				t.Fatalf("%v is there twice or has no name", k)
			}
			seen[k] = true
		}
		changes, _ := changesTo(nil, got.Objects)
		if n := engine.NewCluster(engine.Options{}).Apply(changes...).Revision(); n != 1 {
			t.Fatalf("revision %d", n)
		}
	})
}
