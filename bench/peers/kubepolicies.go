package peers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/kube-network-policies/pkg/api"
	"sigs.k8s.io/kube-network-policies/pkg/network"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
	"sigs.k8s.io/kube-network-policies/pkg/podinfo"
)

// kubePolicies is kube-network-policies as its standard command puts it together: informers' stores, filled here without an
// API server, and its own index of Pods by IP.
type kubePolicies struct {
	engine *networkpolicy.PolicyEngine
	pods   cache.Indexer
}

func loadKubePolicies(o *Objects) (Engine, error) {
	factory := informers.NewSharedInformerFactory(nil, 0)
	namespaces, pods := factory.Core().V1().Namespaces(), factory.Core().V1().Pods()
	policies := factory.Networking().V1().NetworkPolicies()
	resolver, err := podinfo.NewInformerResolver(pods.Informer())
	if err != nil {
		return nil, err
	}
	provider := podinfo.NewInformerProvider(pods, namespaces, nil, []podinfo.IPResolver{resolver})
	standard := networkpolicy.NewStandardNetworkPolicy("", namespaces, pods, policies)
	k := &kubePolicies{
		engine: networkpolicy.NewPolicyEngine(provider, []api.PolicyEvaluator{standard}),
		pods:   pods.Informer().GetIndexer(),
	}
	for _, n := range o.Namespaces {
		err = first(err, namespaces.Informer().GetIndexer().Add(n))
	}
	for _, p := range o.Policies {
		err = first(err, policies.Informer().GetIndexer().Add(p))
	}
	for _, p := range o.Pods {
		err = first(err, k.pods.Add(p))
	}
	return k, err
}

func first(err, next error) error {
	if err != nil {
		return err
	}
	return next
}

func (k *kubePolicies) Allowed(q Question) (bool, error) {
	return k.engine.EvaluatePacket(context.Background(), &network.Packet{
		Family: corev1.IPv4Protocol, SrcIP: q.Src.AsSlice(), DstIP: q.Dst.AsSlice(), Proto: q.Protocol, SrcPort: 40000, DstPort: int(q.Port),
	})
}

func (k *kubePolicies) SetPod(p *corev1.Pod) error { return k.pods.Update(p) }
