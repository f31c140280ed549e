package scenario_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/scenario"
)

func ip(addr string) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: addr}}
}

func pod(namespace, name string) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Pod{Pod: &netpoldv1.PodRef{Namespace: namespace,
		Name: name}}}
}

func service(namespace, name string) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Service{Service: &netpoldv1.ServiceRef{Namespace: namespace, Name: name}}}
}

func workload(namespace, kind, name string) *netpoldv1.Endpoint {
	ref := &netpoldv1.WorkloadRef{Namespace: namespace, Kind: kind, Name: name}
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Workload{Workload: ref}}
}

func TestParseEndpoint(t *testing.T) {
	for word, want := range map[string]*netpoldv1.Endpoint{
		"10.0.3.7":         ip("10.0.3.7"),
		"::ffff:10.0.3.7":  ip("::ffff:10.0.3.7"),
		"shop/web-0":       pod("shop", "web-0"),
		"svc/shop/cart":    service("shop", "cart"),
		"deploy/shop/web":  workload("shop", "Deployment", "web"),
		"sts/shop/web":     workload("shop", "StatefulSet", "web"),
		"ds/shop/web":      workload("shop", "DaemonSet", "web"),
		"rs/shop/web":      workload("shop", "ReplicaSet", "web"),
		"job/shop/web":     workload("shop", "Job", "web"),
		"cronjob/shop/web": workload("shop", "CronJob", "web"),
		"shop?":            {Endpoint: &netpoldv1.Endpoint_Labels{Labels: &netpoldv1.LabelledPod{Namespace: "shop"}}},
		"shop?app=web,a.b/tier=;ip=10.0.0.9;port=http:8080;port=dns:53/UDP": {Endpoint: &netpoldv1.Endpoint_Labels{Labels: &netpoldv1.LabelledPod{
			Namespace: "shop", Labels: map[string]string{"app": "web", "a.b/tier": ""}, Ip: "10.0.0.9",
			NamedPorts: []*netpoldv1.NamedPort{{Name: "http", Port: 8080},
				{Name: "dns", Port: 53, Protocol: netpoldv1.Protocol_PROTOCOL_UDP}},
		}}},
	} {
		got, err := scenario.ParseEndpoint(word)
		if err != nil {
			t.Errorf("%q: %v", word, err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", word, diff)
		}
	}
}
