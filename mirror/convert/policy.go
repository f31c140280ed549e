package convert

import (
	"cmp"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// Policy converts a NetworkPolicy, with the API server's defaults (S11, S20), and reports what the API server of Kubernetes
// 1.37 refuses in it, in its words and with its field paths (S23). Host bits and leading zeros in CIDRs are warnings.
//
// The policy is closed, whatever is wrong with it: a bad peer or port matches nothing, and stays in its list, as an empty list
// would match everything; a bad podSelector selects every Pod of the namespace and leaves no rule; a bad policy type isolates
// both directions. Whether a policy with problems is used at all is the caller's to decide.
func Policy(np *networkingv1.NetworkPolicy) (*engine.Policy, []mirror.Problem) {
	c := policyCheck{findings: findings{kind: "NetworkPolicy", namespace: np.Namespace, name: np.Name}}
	p := &engine.Policy{Namespace: intern(np.Namespace), Name: np.Name}
	c.refuse(checkMetadata(&np.ObjectMeta))

	spec := field.NewPath("spec")
	subject := c.refuse(checkSelector(&np.Spec.PodSelector, spec.Child("podSelector")))
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

// policyCheck converts the parts of a policy and collects what is wrong in them.
type policyCheck struct{ findings }

// refuse collects what the API server refuses, and tells whether that is nothing.
func (c *policyCheck) refuse(errs field.ErrorList) bool {
	inOrder(errs)
	for _, e := range errs {
		c.add(e.Field, e.ErrorBody())
	}
	return len(errs) == 0
}

// inOrder sorts what is wrong with one field: labels are checked in the random order of their map.
func inOrder(errs field.ErrorList) {
	for from := 0; from < len(errs); {
		to := from + 1
		for to < len(errs) && errs[to].Field == errs[from].Field {
			to++
		}
		slices.SortStableFunc(errs[from:to], func(a, b *field.Error) int { return cmp.Compare(a.ErrorBody(), b.ErrorBody()) })
		from = to
	}
}

func (c *policyCheck) rule(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort, path *field.Path, peersField string) engine.Rule {
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
	if !c.refuse(checkPort(p, path)) {
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
		b, refused, warnings := block(p.IPBlock, path.Child("ipBlock"))
		to.Block, errs = b, append(errs, refused...)
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
	if !c.refuse(errs) {
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

// directions are those that the policy isolates (S11, S12).
func (c *policyCheck) directions(spec *networkingv1.NetworkPolicySpec, path *field.Path) (ingress, egress bool) {
	types := spec.PolicyTypes
	if len(types) == 0 {
		return true, len(spec.Egress) > 0
	}
	if !c.refuse(checkPolicyTypes(types, path)) {
		return true, true
	}
	return slices.Contains(types, networkingv1.PolicyTypeIngress), slices.Contains(types, networkingv1.PolicyTypeEgress)
}
