package convert

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// checkClosed fails the test if an invalid entry left its list, or if a policy without problems has one.
func checkClosed(t *testing.T, np *networkingv1.NetworkPolicy, p *engine.Policy, problems []mirror.Problem) {
	t.Helper()
	bad, ofSubject := 0, false
	for _, x := range problems {
		if !x.Warning {
			bad++
			ofSubject = ofSubject || strings.HasPrefix(x.Field, "spec.podSelector")
		}
	}
	if !p.IsolatesIngress && !p.IsolatesEgress {
		t.Error("isolates no direction")
	}
	if ofSubject {
		if p.Subject != nil || p.Ingress != nil || p.Egress != nil {
			t.Errorf("bad podSelector, but %+v", p)
		}
		return
	}
	if len(p.Ingress) != len(np.Spec.Ingress) || len(p.Egress) != len(np.Spec.Egress) {
		t.Errorf("%d and %d rules, want %d and %d", len(p.Ingress), len(p.Egress), len(np.Spec.Ingress),
			len(np.Spec.Egress))
		return
	}
	nothing := 0
	for i, r := range p.Ingress {
		nothing += entriesOfNothing(t, r, len(np.Spec.Ingress[i].From), len(np.Spec.Ingress[i].Ports))
	}
	for i, r := range p.Egress {
		nothing += entriesOfNothing(t, r, len(np.Spec.Egress[i].To), len(np.Spec.Egress[i].Ports))
	}
	if bad == 0 && nothing > 0 {
		t.Errorf("%d entries match nothing, and no problem is reported", nothing)
	}
}

func entriesOfNothing(t *testing.T, r engine.Rule, peers, ports int) int {
	t.Helper()
	if len(r.Peers) != peers || len(r.Ports) != ports {
		t.Errorf("%d peers and %d ports, want %d and %d", len(r.Peers), len(r.Ports), peers, ports)
	}
	n := 0
	for _, p := range r.Peers {
		selects := p.Pods != nil || p.Namespaces != nil
		if selects == (p.Block != nil) {
			n++
		}
		if p.Block != nil && p.Block.CIDR != p.Block.CIDR.Masked() {
			t.Errorf("host bits in %v", p.Block.CIDR)
		}
	}
	for _, p := range r.Ports {
		if p.Name == "" && (p.First == 0 || p.Last < p.First) {
			n++
		}
	}
	return n
}

// FuzzPolicy converts whatever decodes. The result stays closed and, without problems, has no entry that
// matches nothing.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		`{"podSelector":{"matchLabels":{"a":"b"}},"ingress":[{"from":[{"podSelector":{}}],"ports":[{"port":80,"endPort":90}]}]}`,
		`{"policyTypes":["Egress","x"],"egress":[{"to":[{"ipBlock":{"cidr":"010.1.0.0/8","except":["10.1.0.0/16"]}}]}]}`,
		`{"ingress":[{"from":[{}],"ports":[{"port":"http"},{"port":0},{"protocol":"UDP"},{"endPort":1}]}]}`,
		`{"podSelector":{"matchExpressions":[{"key":"a","operator":"NotIn","values":["b"]},{"key":"c","operator":"Exists"}]}}`,
		`{"ingress":[{"from":[{"ipBlock":{"cidr":"::ffff:10.0.0.0/104","except":["fd00::1/8","::/0"]}}]}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, spec []byte) {
		np := &networkingv1.NetworkPolicy{}
		np.Namespace, np.Name = "shop", "web"
		if yaml.Unmarshal(spec, &np.Spec) != nil {
			return // no NetworkPolicy at all
		}
		p, problems := Policy(np)
		checkClosed(t, np, p, problems)
	})
}
