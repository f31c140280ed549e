package convert

import (
	"cmp"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// Policy converts a NetworkPolicy, with the API server's defaults (S11, S20). It reports what the API server
// of Kubernetes 1.37 rejects, in its words and with its field paths (S23). Host bits and leading zeros in
// CIDRs are warnings.
//
// Invariant: whatever is wrong with it, the policy allows no more than was meant. An invalid peer or port
// matches nothing but stays in its list, because an empty list would match everything. An invalid podSelector
// selects every Pod of the namespace, and no rule is left. An invalid policy type isolates both directions.
// The caller decides whether to use a policy with problems.
func Policy(np *networkingv1.NetworkPolicy) (*engine.Policy, []mirror.Problem) {
	c := policyCheck{problemList: problemList{kind: "NetworkPolicy", namespace: np.Namespace, name: np.Name}}
	p := &engine.Policy{
		Namespace: intern(np.Namespace), Name: np.Name, TypesOmitted: len(np.Spec.PolicyTypes) == 0,
		Created: unixSeconds(np.CreationTimestamp), LintIgnore: np.Annotations[lintIgnore],
	}
	c.accept(checkMetadata(&np.ObjectMeta))

	spec := field.NewPath("spec")
	subject := c.accept(checkSelector(&np.Spec.PodSelector, spec.Child("podSelector")))
	for i, r := range np.Spec.Ingress {
		p.Ingress = append(p.Ingress, c.rule(r.From, r.Ports, spec.Child("ingress").Index(i), "from"))
	}
	for i, r := range np.Spec.Egress {
		p.Egress = append(p.Egress, c.rule(r.To, r.Ports, spec.Child("egress").Index(i), "to"))
	}
	p.IsolatesIngress, p.IsolatesEgress = c.directions(&np.Spec, spec.Child("policyTypes"))
	if subject {
		p.Subject = selector(&np.Spec.PodSelector)
	} else {
		p.Ingress, p.Egress = nil, nil
	}
	return p, c.list
}

// A policyCheck converts the parts of a policy and collects their problems.
type policyCheck struct{ problemList }

// accept adds errs to the problems. It reports whether there are none.
func (c *policyCheck) accept(errs field.ErrorList) bool {
	inOrder(errs)
	for _, e := range errs {
		c.add(e.Field, e.ErrorBody())
	}
	return len(errs) == 0
}

// inOrder sorts the errors of each field. Kubernetes checks labels in the random order of their map.
func inOrder(errs field.ErrorList) {
	for from := 0; from < len(errs); {
		to := from + 1
		for to < len(errs) && errs[to].Field == errs[from].Field {
			to++
		}
		slices.SortStableFunc(errs[from:to], func(a, b *field.Error) int {
			return cmp.Compare(a.ErrorBody(), b.ErrorBody())
		})
		from = to
	}
}

func (c *policyCheck) rule(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort,
	path *field.Path, peersField string) engine.Rule {
	var r engine.Rule
	for i := range ports {
		r.Ports = append(r.Ports, c.port(&ports[i], path.Child("ports").Index(i)))
	}
	for i := range peers {
		r.Peers = append(r.Peers, c.peer(&peers[i], path.Child(peersField).Index(i)))
	}
	return r
}

func (c *policyCheck) port(p *networkingv1.NetworkPolicyPort, path *field.Path) engine.Port {
	if !c.accept(checkPort(p, path)) {
		return engine.Port{}
	}
	return policyPort(p)
}

func (c *policyCheck) peer(p *networkingv1.NetworkPolicyPeer, path *field.Path) engine.Peer {
	var errs field.ErrorList
	if p.PodSelector != nil {
		errs = append(errs, checkSelector(p.PodSelector, path.Child("podSelector"))...)
	}
	if p.NamespaceSelector != nil {
		errs = append(errs, checkSelector(p.NamespaceSelector, path.Child("namespaceSelector"))...)
	}
	var to engine.Peer
	if p.IPBlock != nil {
		b, invalid, warnings := block(p.IPBlock, path.Child("ipBlock"))
		to.Block, errs = b, append(errs, invalid...)
		for _, w := range warnings {
			c.warn(w.Field, w.ErrorBody())
		}
	}
	switch selects := p.PodSelector != nil || p.NamespaceSelector != nil; {
	case !selects && p.IPBlock == nil:
		errs = append(errs, field.Required(path, "must specify a peer"))
	case selects && p.IPBlock != nil:
		errs = append(errs, field.Forbidden(path, "may not specify both ipBlock and another peer"))
	}
	if !c.accept(errs) {
		return engine.Peer{}
	}
	if p.PodSelector != nil {
		s := selector(p.PodSelector)
		to.Pods = &s
	}
	if p.NamespaceSelector != nil {
		s := selector(p.NamespaceSelector)
		to.Namespaces = &s
	}
	return to
}

// directions reports which directions the policy isolates (S11, S12).
func (c *policyCheck) directions(spec *networkingv1.NetworkPolicySpec,
	path *field.Path) (ingress, egress bool) {
	types := spec.PolicyTypes
	if len(types) == 0 {
		return true, len(spec.Egress) > 0
	}
	if !c.accept(checkPolicyTypes(types, path)) {
		return true, true
	}
	return slices.Contains(types, networkingv1.PolicyTypeIngress),
		slices.Contains(types, networkingv1.PolicyTypeEgress)
}
