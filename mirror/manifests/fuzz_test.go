package manifests

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/netpold/netpold/engine"
)

// FuzzManifests proves that reading never panics, that an error comes without objects, that accepted objects
// can be served, and that an appended document is read.
func FuzzManifests(f *testing.F) {
	for _, seed := range []string{
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\nspec: {replicas: 2, template: {spec: {containers: [{name: c, ports: [{name: h, containerPort: 1}]}]}}}\n",
		`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"selector":{"a":"b"},"ports":[{"port":80,"targetPort":"h"}]}}]}`,
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 1, endPort: 2}]}]}",
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, labels: {kubernetes.io/service-name: a}}\naddressType: IPv4\nports: [{port: 1}]\nendpoints: [{addresses: [10.0.0.1]}]",
		"%YAML 1.1\n--- # x\na: &a [*a]\n...\n---\n{{ x }}\n--- |\n  text\n", "\xff\xfex\x00", "a: [\n---\nb: {",
		`{"kind":"PodList","apiVersion":"v1","items":[null,{}]}`,
		"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec: {ordinals: {start: -3}}\n---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c}",
	} {
		f.Add(seed)
	}
	for _, u := range unmarked() {
		f.Add(u.text)
	}
	for _, end := range []string{"\r", "\u0085", "\u2028", "\u2029"} {
		f.Add(strings.ReplaceAll("kind: ConfigMap\napiVersion: v1\n---\n"+policyP, "\n", end))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, is16 := byteOrder([]byte(text)); !is16 { // what is appended would have to be UTF-16 too
			nothingIsLost(t, text)
		}
		got, err := Read(context.Background(), Options{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
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
		seen := map[engine.ObjectKey]bool{}
		for _, o := range got.Objects {
			k := engine.KeyOf(o)
			if seen[k] || k.Name == "" {
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

// nothingIsLost fails the test unless a valid document after the text adds an object and removes none, or is
// reported as a problem.
func nothingIsLost(t *testing.T, text string) {
	const policy = `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"appended","namespace":"appended"},"spec":{"podSelector":{}}}`
	before, errBefore := Read(context.Background(),
		Options{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
	after, errAfter := Read(context.Background(),
		Options{Paths: []string{"-"}, Stdin: strings.NewReader(text + "\n---\n" + policy)})
	if _, ok := errors.AsType[*ProblemsError](errAfter); ok {
		return
	}
	if errAfter != nil || errBefore != nil && !errors.Is(errBefore, ErrNoObjects) {
		t.Fatalf("error %v before and %v after", errBefore, errAfter)
	}
	if len(after.Objects) != len(before.Objects)+1 {
		t.Fatalf("%d objects before and %d after", len(before.Objects), len(after.Objects))
	}
}
