package convert

import (
	"reflect"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// TestEveryKindIsWhole proves that a row of the table is all that a kind needs.
func TestEveryKindIsWhole(t *testing.T) {
	for i, k := range Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			namespace := ""
			if k.Namespaced {
				namespace = "ns"
			}
			for _, v := range k.Versions {
				if k.Optional != (v.AddToScheme == nil) || k.Optional != (i >= RequiredCount) {
					t.Errorf("optional %v, types %v, row %d", k.Optional, v.AddToScheme != nil, i)
				}
				if v.AddToScheme != nil {
					scheme := runtime.NewScheme()
					if err := v.AddToScheme(scheme); err != nil {
						t.Fatal(err)
					}
					if known, err := scheme.New(v.WithKind(k.Name)); err != nil ||
						reflect.TypeOf(known) != reflect.TypeOf(v.New()) {
						t.Errorf("the scheme decodes %v into a %T, error %v", v, known, err)
					}
				}
				o := v.New()
				o.SetName("x")
				o.SetNamespace(namespace)
				got, _, err := k.Convert(o)
				if err != nil || engine.KeyOf(got) != engine.KeyOf(k.Empty(namespace, "x")) {
					t.Errorf("converted to %+v, error %v; its deletion names %+v", got, err, k.Empty(namespace, "x"))
				}
			}
			if of := KindOf(k.Empty(namespace, "x")); of != &Kinds()[i] {
				t.Errorf("its objects are taken for those of %s", of.Name)
			}
			if k.Resource == "" || k.ValidateName == nil || k.Template != nil {
				t.Errorf("%+v", k)
			}
			if got, _, err := k.Convert(nil); err == nil {
				t.Errorf("nil is converted to %v", got)
			}
		})
	}
}

// TestEveryObjectHasAKind proves that no object of the engine is without a kind.
func TestEveryObjectHasAKind(t *testing.T) {
	var resources []string
	for seed := range uint64(20) {
		for _, o := range enginetest.NewRandom(seed).WithTiers().Cluster() {
			resources = append(resources, KindOf(o).Resource)
		}
	}
	slices.Sort(resources)
	if n := len(slices.Compact(resources)); n != KindCount {
		t.Errorf("random clusters have objects of %d kinds, of %d", n, KindCount)
	}
}

func TestWorkloadKindsAreWhole(t *testing.T) {
	for _, k := range WorkloadKinds() {
		o := k.Versions[0].New()
		if template := k.Template(o); template.pod == nil || template.PodField == "" ||
			template.ReplicasField == "" {
			t.Errorf("%s: %+v", k.Name, template)
		}
		if k.Empty != nil {
			t.Errorf("%s is mirrored and makes Pods", k.Name)
		}
	}
}

func TestKindNamed(t *testing.T) {
	for name, want := range map[string]string{
		"NetworkPolicy": "networkpolicies.networking.k8s.io", "Pod": "pods", "CronJob": "cronjobs.batch",
	} {
		if k, ok := KindNamed(name); !ok || k.Qualified() != want {
			t.Errorf("%s: %v", name, k)
		}
	}
	if k, ok := KindNamed("networkpolicies"); ok {
		t.Errorf("%v", k)
	}
}
