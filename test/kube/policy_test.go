package kube_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/kubernetes/pkg/apis/networking"
	kubev1 "k8s.io/kubernetes/pkg/apis/networking/v1"
	"k8s.io/kubernetes/pkg/apis/networking/validation"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/test/kube/random"
)

// readAs is what is added to a warning about what the API server refuses in new policies only.
var readAs = regexp.MustCompile(`; it is read as \S+$`)

// mapped is the message about an IPv4-mapped CIDR. Where it has leading zeros or host bits too, Kubernetes speaks of these first
// and netpold of the mapping, which cannot be read around.
var mapped = regexp.MustCompile(`^(Invalid value: "::ffff:[^"]*"): must not .*`)

// finding is one thing wrong in a policy.
type finding struct{ Field, Message string }

func found(field, message string) finding {
	return finding{field, mapped.ReplaceAllString(message, "$1: is refused")}
}

func ours(problems []mirror.Problem) []finding {
	var list []finding
	for _, p := range problems {
		message := p.Message
		if p.Warning {
			message = readAs.ReplaceAllString(message, "")
		}
		list = append(list, found(p.Field, message))
	}
	return sorted(list)
}

// theirs is what the API server's own code finds, in the order that it works in: defaults, conversion, validation.
func theirs(tb testing.TB, policy *networkingv1.NetworkPolicy) []finding {
	tb.Helper()
	policy = policy.DeepCopy()
	kubev1.SetObjectDefaults_NetworkPolicy(policy)
	var internal networking.NetworkPolicy
	if err := kubev1.Convert_v1_NetworkPolicy_To_networking_NetworkPolicy(policy, &internal, nil); err != nil {
		tb.Fatal(err)
	}
	var list []finding
	for _, err := range validation.ValidateNetworkPolicy(&internal, validation.ValidationOptionsForNetworking(&internal, nil)) {
		list = append(list, found(err.Field, err.ErrorBody()))
	}
	return sorted(list)
}

func sorted(list []finding) []finding {
	slices.SortFunc(list, func(a, b finding) int {
		return strings.Compare(a.Field+"\x00"+a.Message, b.Field+"\x00"+b.Message)
	})
	return list
}

// index is the number in a path; paths that differ in it alone are one kind of finding.
var index = regexp.MustCompile(`\[\d+\]`)

// TestS23ValidationIsKubernetes compares what is reported of random policies, most of them wrong, with what Kubernetes' own
// validation says: the same fields, in the same words.
func TestS23ValidationIsKubernetes(t *testing.T) {
	kinds := map[string]int{}
	right := 0
	for seed := range uint64(60_000) {
		r := random.New(seed)
		r.Wrong = int(seed % 25)
		policy := r.Policy()
		_, problems := convert.Policy(policy)
		want := theirs(t, policy)
		if diff := cmp.Diff(want, ours(problems)); diff != "" {
			t.Fatalf("seed %d: (-kubernetes +netpold)\n%s\n%s", seed, diff, text(policy))
		}
		for _, f := range want {
			kinds[index.ReplaceAllString(f.Field, "[]")]++
		}
		if len(want) == 0 {
			right++
		}
	}
	// Paths of every field that can be wrong; without them the generator has lost its edge.
	for _, field := range wrongFields() {
		if kinds[field] < 20 {
			t.Errorf("%s was wrong %d times only", field, kinds[field])
		}
	}
	if right < 2000 {
		t.Errorf("only %d policies were right", right)
	}
	t.Logf("%d right policies; fields found wrong: %v", right, slices.Sorted(maps.Keys(kinds)))
}

func wrongFields() []string {
	fields := []string{
		"metadata.name", "metadata.namespace", "metadata.generateName", "metadata.labels", "metadata.annotations", "metadata.finalizers[]",
		"metadata.ownerReferences[].apiVersion", "metadata.ownerReferences[].kind", "metadata.ownerReferences[].name", "metadata.ownerReferences",
		"spec.policyTypes", "spec.policyTypes[]",
	}
	selectors := []string{"spec.podSelector"}
	for _, rule := range []string{"spec.ingress[].from[]", "spec.egress[].to[]"} {
		fields = append(fields, rule, rule+".ipBlock.cidr", rule+".ipBlock.except[]")
		selectors = append(selectors, rule+".podSelector", rule+".namespaceSelector")
	}
	for _, rule := range []string{"spec.ingress[]", "spec.egress[]"} {
		fields = append(fields, rule+".ports[].port", rule+".ports[].endPort", rule+".ports[].protocol")
	}
	for _, s := range selectors {
		fields = append(fields, s+".matchLabels", s+".matchExpressions[].key", s+".matchExpressions[].operator",
			s+".matchExpressions[].values", s+".matchExpressions[].values[]")
	}
	return fields
}

// TestS11S20DefaultsAreKubernetes: a policy and its defaulted form are read alike, and as the defaulted form says.
func TestS11S20DefaultsAreKubernetes(t *testing.T) {
	defaulted := 0
	for seed := range uint64(8_000) {
		r := random.New(seed)
		r.Wrong = int(seed%3) * 5
		written := r.Policy()
		full := written.DeepCopy()
		kubev1.SetObjectDefaults_NetworkPolicy(full)
		fromWritten, problems := convert.Policy(written)
		fromFull, fullProblems := convert.Policy(full)
		if fromFull.TypesOmitted || fromWritten.TypesOmitted != (len(written.Spec.PolicyTypes) == 0) {
			t.Fatalf("seed %d: types omitted: defaulted %t, written %t\n%s",
				seed, fromFull.TypesOmitted, fromWritten.TypesOmitted, text(written))
		}
		fromWritten.TypesOmitted = false // all else is the same
		if diff := cmp.Diff(fromFull, fromWritten, sameValues...); diff != "" {
			t.Fatalf("seed %d: (-defaulted +written)\n%s\n%s", seed, diff, text(written))
		}
		if diff := cmp.Diff(fullProblems, problems); diff != "" {
			t.Fatalf("seed %d: problems (-defaulted +written)\n%s\n%s", seed, diff, text(written))
		}
		if len(written.Spec.PolicyTypes) == 0 {
			defaulted++
		}
		if len(problems) > 0 {
			continue
		}
		if got, want := fromWritten.IsolatesIngress, slices.Contains(full.Spec.PolicyTypes, networkingv1.PolicyTypeIngress); got != want {
			t.Fatalf("seed %d: isolates ingress %t, want %t\n%s", seed, got, want, text(written))
		}
		if got, want := fromWritten.IsolatesEgress, slices.Contains(full.Spec.PolicyTypes, networkingv1.PolicyTypeEgress); got != want {
			t.Fatalf("seed %d: isolates egress %t, want %t\n%s", seed, got, want, text(written))
		}
		for i, rule := range full.Spec.Ingress {
			for j, port := range rule.Ports {
				if got := fromWritten.Ingress[i].Ports[j].Protocol; fmt.Sprint(got) != string(*port.Protocol) {
					t.Fatalf("seed %d: ingress %d, port %d: protocol %v, want %v\n%s", seed, i, j, got, *port.Protocol, text(written))
				}
			}
		}
	}
	if defaulted < 1500 {
		t.Errorf("only %d policies left policyTypes out", defaulted)
	}
}
