package kube_test

import (
	"net/netip"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/yaml"
)

// sameValues compares addresses and prefixes as values, and nil as empty.
var sameValues = []cmp.Option{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

// text is an object as YAML, for failures.
func text(object any) string {
	b, err := yaml.Marshal(object)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
