// Package cnp_test runs the conformance suite of ClusterNetworkPolicy.
package cnp_test

import (
	"testing"
	"time"

	"sigs.k8s.io/network-policy-api/apis/v1beta1"
	upstream "sigs.k8s.io/network-policy-api/conformance"
	"sigs.k8s.io/network-policy-api/conformance/tests"
	"sigs.k8s.io/network-policy-api/conformance/utils/config"
	"sigs.k8s.io/network-policy-api/conformance/utils/suite"

	"github.com/netpold/netpold/test/conformance"
)

// TestClusterNetworkPolicy runs the whole suite of ClusterNetworkPolicy.
func TestClusterNetworkPolicy(t *testing.T) {
	allowed, denied, err := conformance.Assertions(upstream.Manifests)
	if err != nil {
		t.Fatal(err)
	}
	for name, layout := range conformance.Layouts {
		t.Run(name, func(t *testing.T) {
			c := conformance.NewCluster(t, layout, v1beta1.Install, "v1beta1", "ClusterNetworkPolicy")
			s := suite.New(suite.Options{
				Client: c.Client, ClientSet: c.ClientSet, KubeConfig: *c.Config,
				EnableAllSupportedFeatures: true,
				// The answer is there at once.
				TimeoutConfig: config.TimeoutConfig{PokeInterval: time.Millisecond},
			})
			s.Setup(t)
			s.Run(t, tests.ConformanceTests)
			// The suite asks each question once more after it was answered as expected.
			c.MustHaveAnswered(2*allowed, 2*denied)
		})
	}
}
