package peers

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/np-guard/netpol-analyzer/pkg/logger"
	"github.com/np-guard/netpol-analyzer/pkg/manifests/parser"
	"github.com/np-guard/netpol-analyzer/pkg/netpol/eval"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/network-policy-api/apis/v1alpha1"

	"github.com/netpold/netpold/bench/peers/tiers"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
)

// TestTiers compares netpol-analyzer with netpold on clusters with cluster-wide policies. The other peer that
// knows them is in the module kube.
func TestTiers(t *testing.T) {
	t.Chdir(t.TempDir())
	tiers.Compare(t, tiers.Peer{
		Name:  "netpol-analyzer",
		Kinds: []engine.ClusterPolicyKind{engine.AdminNetworkPolicy, engine.BaselineAdminNetworkPolicy},
		Load:  loadAnalyzerTiers,
	})
}

// TestTiersInDocs proves that the documentation lists every difference.
func TestTiersInDocs(t *testing.T) {
	docs, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range tiers.Differences() {
		row := fmt.Sprintf("| %s | %s | %s | %s |\n", d.Rule, d.What, strings.Join(d.Peers, ", "), d.Why)
		if !strings.Contains(string(docs), row) {
			t.Errorf("docs/benchmarks.md has no line\n%s", row)
		}
	}
}

// loadAnalyzerTiers gives all objects at once, since AdminNetworkPolicies are sorted then alone.
func loadAnalyzerTiers(objects []convert.Object) (func(tiers.Question) (bool, error), error) {
	var list []parser.K8sObject
	names := map[netip.Addr]string{}
	for _, o := range objects {
		to := parser.K8sObject{Kind: o.GetObjectKind().GroupVersionKind().Kind}
		var err error
		switch o := o.(type) {
		case *corev1.Namespace:
			to.Namespace = o
		case *corev1.Pod:
			to.Pod = o
			names[netip.MustParseAddr(o.Status.PodIP)] = o.Namespace + "/" + o.Name
		case *networkingv1.NetworkPolicy:
			to.NetworkPolicy = o
		case *unstructured.Unstructured:
			if to.Kind == parser.AdminNetworkPolicy {
				to.AdminNetworkPolicy = &v1alpha1.AdminNetworkPolicy{}
				err = runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, to.AdminNetworkPolicy)
			} else {
				to.BaselineAdminNetworkPolicy = &v1alpha1.BaselineAdminNetworkPolicy{}
				err = runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, to.BaselineAdminNetworkPolicy)
			}
		default:
			continue // it has no use for Nodes
		}
		if err != nil {
			return nil, err
		}
		list = append(list, to)
	}
	engine, err := eval.NewPolicyEngineWithOptionsList(
		eval.WithLogger(logger.NewDefaultLoggerWithVerbosity(logger.LowVerbosity)), eval.WithObjectsList(list))
	if err != nil {
		return nil, err
	}
	a := &analyzer{engine, names}
	return func(q tiers.Question) (bool, error) {
		return a.Allowed(Question{Src: q.Src, Dst: q.Dst, Port: q.Port, Protocol: corev1.Protocol(q.Protocol.String())})
	}, nil
}
