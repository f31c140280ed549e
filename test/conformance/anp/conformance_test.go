// Package anp_test runs the conformance suite of AdminNetworkPolicy and BaselineAdminNetworkPolicy, which
// ends with v0.1.7 of sigs.k8s.io/network-policy-api.
package anp_test

import (
	"testing"

	"sigs.k8s.io/network-policy-api/apis/v1alpha1"
	upstream "sigs.k8s.io/network-policy-api/conformance"
	"sigs.k8s.io/network-policy-api/conformance/tests"
	"sigs.k8s.io/network-policy-api/conformance/utils/suite"

	"github.com/netpold/netpold/test/conformance"
)

// TestAdminNetworkPolicy runs the whole suite of the two kinds.
func TestAdminNetworkPolicy(t *testing.T) {
	allowed, denied, err := conformance.Assertions(upstream.Manifests)
	if err != nil {
		t.Fatal(err)
	}
	for name, layout := range conformance.Layouts {
		t.Run(name, func(t *testing.T) {
			c := conformance.NewCluster(t, layout, v1alpha1.Install, "v1alpha1",
				"AdminNetworkPolicy", "BaselineAdminNetworkPolicy")
			s := suite.New(suite.Options{
				Client: c.Client, ClientSet: c.ClientSet, KubeConfig: *c.Config,
				EnableAllSupportedFeatures: true,
			})
			s.Setup(t)
			s.Run(t, tests.ConformanceTests)
			c.MustHaveAnswered(allowed, denied)
		})
	}
}
