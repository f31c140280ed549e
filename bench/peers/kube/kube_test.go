// Package kube_test compares kube-network-policies with netpold on clusters with cluster-wide policies. It is
// a module of its own, because netpol-analyzer needs an older version of their API.
package kube_test

import (
	"context"
	"net"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/kube-network-policies/pkg/api"
	"sigs.k8s.io/kube-network-policies/pkg/network"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
	"sigs.k8s.io/kube-network-policies/pkg/podinfo"
	pluginv1alpha1 "sigs.k8s.io/kube-network-policies/plugins/npa-v1alpha1"
	pluginv1alpha2 "sigs.k8s.io/kube-network-policies/plugins/npa-v1alpha2"
	"sigs.k8s.io/network-policy-api/apis/v1alpha1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"
	policyinformers "sigs.k8s.io/network-policy-api/pkg/client/informers/externalversions"

	"github.com/netpold/netpold/bench/peers/tiers"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
)

// TestAdminNetworkPolicy compares the command for the two older kinds.
func TestAdminNetworkPolicy(t *testing.T) {
	tiers.Compare(t, tiers.Peer{
		Name:  "kube-network-policies (v1alpha1)",
		Kinds: []engine.ClusterPolicyKind{engine.AdminNetworkPolicy, engine.BaselineAdminNetworkPolicy},
		Load: func(objects []convert.Object) (func(tiers.Question) (bool, error), error) {
			s := newStores()
			policies := s.policies.Policy().V1alpha1()
			admin := pluginv1alpha1.NewAdminNetworkPolicy(policies.AdminNetworkPolicies(), noNames{})
			baseline := pluginv1alpha1.NewBaselineAdminNetworkPolicy(policies.BaselineAdminNetworkPolicies())
			s.policyStores = map[string]policyStore{
				"AdminNetworkPolicy": {
					policies.AdminNetworkPolicies().Informer(), func() any { return &v1alpha1.AdminNetworkPolicy{} },
				},
				"BaselineAdminNetworkPolicy": {
					policies.BaselineAdminNetworkPolicies().Informer(),
					func() any { return &v1alpha1.BaselineAdminNetworkPolicy{} },
				},
			}
			return s.load(objects, admin, baseline)
		},
	})
}

// TestClusterNetworkPolicy compares the command for ClusterNetworkPolicies.
func TestClusterNetworkPolicy(t *testing.T) {
	tiers.Compare(t, tiers.Peer{
		Name:  "kube-network-policies (v1alpha2)",
		Kinds: []engine.ClusterPolicyKind{engine.ClusterNetworkPolicy},
		Load: func(objects []convert.Object) (func(tiers.Question) (bool, error), error) {
			s := newStores()
			policies := s.policies.Policy().V1alpha2().ClusterNetworkPolicies()
			nodes := s.core.Core().V1().Nodes().Lister()
			admin := pluginv1alpha2.NewClusterNetworkPolicy(v1alpha2.AdminTier, policies, noNames{}, nodes)
			baseline := pluginv1alpha2.NewClusterNetworkPolicy(v1alpha2.BaselineTier, policies, noNames{}, nodes)
			s.policyStores = map[string]policyStore{
				"ClusterNetworkPolicy": {policies.Informer(), func() any { return &v1alpha2.ClusterNetworkPolicy{} }},
			}
			return s.load(objects, admin, baseline)
		},
	})
}

// stores are the informers of its commands, filled here without an API server.
type stores struct {
	core     informers.SharedInformerFactory
	policies policyinformers.SharedInformerFactory
	// policyStores are those of cluster-wide policies, by kind.
	policyStores map[string]policyStore
}

type policyStore struct {
	informer cache.SharedIndexInformer
	object   func() any
}

func newStores() *stores {
	return &stores{
		core: informers.NewSharedInformerFactory(nil, 0), policies: policyinformers.NewSharedInformerFactory(nil, 0),
	}
}

// load puts the engine together as the commands do, with the evaluators of the Admin and the Baseline tier.
func (s *stores) load(
	objects []convert.Object, admin, baseline api.PolicyEvaluator,
) (func(tiers.Question) (bool, error), error) {
	core := s.core.Core().V1()
	networkPolicies := s.core.Networking().V1().NetworkPolicies()
	resolver, err := podinfo.NewInformerResolver(core.Pods().Informer())
	if err != nil {
		return nil, err
	}
	provider := podinfo.NewInformerProvider(
		core.Pods(), core.Namespaces(), core.Nodes(), []podinfo.IPResolver{resolver})
	standard := networkpolicy.NewStandardNetworkPolicy("", core.Namespaces(), core.Pods(), networkPolicies)
	e := networkpolicy.NewPolicyEngine(provider, []api.PolicyEvaluator{admin, standard, baseline})
	for _, o := range objects {
		var err error
		switch o := o.(type) {
		case *corev1.Namespace:
			err = core.Namespaces().Informer().GetIndexer().Add(o)
		case *corev1.Node:
			err = core.Nodes().Informer().GetIndexer().Add(o)
		case *corev1.Pod:
			err = core.Pods().Informer().GetIndexer().Add(o)
		case *networkingv1.NetworkPolicy:
			err = networkPolicies.Informer().GetIndexer().Add(o)
		case *unstructured.Unstructured:
			to := s.policyStores[o.GetKind()]
			policy := to.object()
			if err = runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, policy); err == nil {
				err = to.informer.GetIndexer().Add(policy)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return func(q tiers.Question) (bool, error) {
		return e.EvaluatePacket(context.Background(), &network.Packet{
			Family: corev1.IPv4Protocol, SrcIP: q.Src.AsSlice(), DstIP: q.Dst.AsSlice(),
			Proto: corev1.Protocol(q.Protocol.String()), SrcPort: 40000, DstPort: int(q.Port),
		})
	}, nil
}

// noNames knows no host name.
type noNames struct{}

func (noNames) ContainsIP(string, net.IP) bool { return false }
