package convert

import (
	"slices"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// ClusterPolicyGroup is the API group of the cluster-wide policies.
const ClusterPolicyGroup = "policy.networking.k8s.io"

// A dialect holds what differs between the kinds of cluster-wide policy.
type dialect struct {
	// allow is the name of the action that allows. pass means that rules may have the action Pass.
	allow string
	pass  bool
	// ports is the name of the field with a rule's ports.
	ports string
	// domainNames means that an egress peer may have domainNames.
	domainNames bool
	// namespaceSelector means that `pods` must have a namespaceSelector (S36).
	namespaceSelector bool
	// most limits the rules of a direction, and the peers and the ports of a rule.
	most int
}

func dialectOf(kind engine.ClusterPolicyKind) dialect {
	switch kind {
	case engine.AdminNetworkPolicy:
		return dialect{allow: "Allow", pass: true, ports: "ports", domainNames: true, namespaceSelector: true,
			most: 100}
	case engine.BaselineAdminNetworkPolicy:
		return dialect{allow: "Allow", ports: "ports", namespaceSelector: true, most: 100}
	case engine.ClusterNetworkPolicy:
	}
	return dialect{allow: "Accept", pass: true, ports: "protocols", domainNames: true, most: 25}
}

// ClusterPolicy converts a ClusterNetworkPolicy, an AdminNetworkPolicy or a BaselineAdminNetworkPolicy (S30),
// in any version with the schema of network-policy-api v0.3.0. It reports what that schema rejects and what
// netpold does not understand (S45, S47). Host bits in a CIDR (S48) and domain names (S40) are warnings.
//
// Invariant: whatever is wrong with it, the policy allows no more than was meant, as the table of S45 says.
// The caller decides whether to use a policy with problems.
func ClusterPolicy(kind engine.ClusterPolicyKind,
	object *unstructured.Unstructured) (*engine.ClusterPolicy, []mirror.Problem) {
	c := clusterCheck{dialect: dialectOf(kind),
		problemList: problemList{kind: kind.String(), name: object.GetName()}}
	p := &engine.ClusterPolicy{
		Kind: kind, Name: object.GetName(), Created: unixSeconds(object.GetCreationTimestamp()),
		LintIgnore: object.GetAnnotations()[lintIgnore],
	}
	c.metadata(kind, object.GetName())
	top := fieldsOf(object.Object, nil)
	top.known = []string{"apiVersion", "kind", "metadata", "status"}
	if !top.has("spec") {
		top.errs = append(top.errs, field.Required(field.NewPath("spec"), ""))
	}
	spec := fieldsOf(top.values["spec"], field.NewPath("spec"))
	if top.values["spec"] == nil {
		spec.errs = nil // The missing field was reported above.
	}
	// Each part is checked by itself, because errors in each have other consequences (S45).
	tierErrs := c.tier(p, spec)
	priorityErrs := c.priority(p, spec)
	subjectErrs := c.subject(p, spec)
	p.Ingress = c.rules(spec, "ingress", "from")
	p.Egress = c.rules(spec, "egress", "to")
	unknown := append(top.end(), spec.end()...)
	if spec.values == nil { // it may have been meant to deny anything
		p.Ingress, p.Egress = denyAll(), denyAll()
		c.reject(unknown) // the other errors follow from it
	} else {
		c.reject(slices.Concat(tierErrs, priorityErrs, subjectErrs, unknown))
	}
	if len(tierErrs) > 0 {
		p.Tier = engine.Admin
	}
	p.Urgent = len(tierErrs) > 0 || len(priorityErrs) > 0
	if len(tierErrs) > 0 || len(subjectErrs) > 0 || len(unknown) > 0 {
		p.Subject = engine.ClusterSubject{}
		denyOnly(p.Ingress)
		denyOnly(p.Egress)
	}
	if len(priorityErrs) > 0 {
		denyOnly(p.Ingress)
		denyOnly(p.Egress)
	}
	return p, c.list
}

// A clusterCheck converts the parts of a cluster-wide policy and collects their problems.
type clusterCheck struct {
	problemList
	dialect dialect
}

// reject adds what is not understood to the problems (S45).
func (c *clusterCheck) reject(errs field.ErrorList) {
	inOrder(errs)
	for _, e := range errs {
		c.add(e.Field, e.ErrorBody())
		c.list[len(c.list)-1].Closed = true
	}
}

// report adds an error in what is evaluated as it stands to the problems (S46).
func (c *clusterCheck) report(e *field.Error) { c.add(e.Field, e.ErrorBody()) }

func (c *clusterCheck) metadata(kind engine.ClusterPolicyKind, name string) {
	path := field.NewPath("metadata", "name")
	switch {
	case name == "":
		c.report(field.Required(path, ""))
	case kind == engine.BaselineAdminNetworkPolicy && name != "default":
		c.report(field.Invalid(path, name, `must be "default": there is one BaselineAdminNetworkPolicy`)) // S46
	default:
		for _, m := range apivalidation.NameIsDNSSubdomain(name, false) {
			c.report(field.Invalid(path, name, m))
		}
	}
}

// tier sets the tier of p. It returns what is not understood in it.
func (c *clusterCheck) tier(p *engine.ClusterPolicy, spec *fields) field.ErrorList {
	before := len(spec.errs)
	switch p.Kind {
	case engine.AdminNetworkPolicy:
		p.Tier = engine.Admin
	case engine.BaselineAdminNetworkPolicy:
		p.Tier = engine.Baseline
	case engine.ClusterNetworkPolicy:
		switch text, ok := spec.text("tier"); {
		case ok && text == "Admin":
			p.Tier = engine.Admin
		case ok && text == "Baseline":
			p.Tier = engine.Baseline
		case ok:
			spec.errs = append(spec.errs, field.NotSupported(spec.path.Child("tier"), text,
				[]string{"Admin", "Baseline"}))
		case spec.values["tier"] == nil:
			spec.errs = append(spec.errs, field.Required(spec.path.Child("tier"), `must be "Admin" or "Baseline"`))
		}
	}
	return spec.cutErrors(before)
}

// priority sets the priority of p, which a BaselineAdminNetworkPolicy does not have. It returns what is not
// understood in it. Any whole number of 32 bits is understood (S46).
func (c *clusterCheck) priority(p *engine.ClusterPolicy, spec *fields) field.ErrorList {
	if p.Kind == engine.BaselineAdminNetworkPolicy {
		return nil
	}
	before := len(spec.errs)
	path := spec.path.Child("priority")
	switch n, ok := spec.number("priority"); {
	case ok:
		p.Priority = n
		if n < 0 || n > 1000 { // S46
			c.report(field.Invalid(path, n, "must be between 0 and 1000, inclusive"))
		}
	case spec.values["priority"] == nil:
		spec.errs = append(spec.errs, field.Required(path, "must be between 0 and 1000, inclusive"))
	}
	return spec.cutErrors(before)
}

// cutErrors removes the errors with index from and later, and returns them.
func (f *fields) cutErrors(from int) field.ErrorList {
	errs := slices.Clone(f.errs[from:])
	f.errs = f.errs[:from]
	return errs
}

// subject sets the subject of p (S36). It returns what is not understood in it.
func (c *clusterCheck) subject(p *engine.ClusterPolicy, spec *fields) field.ErrorList {
	if !spec.has("subject") {
		return field.ErrorList{field.Required(spec.path.Child("subject"), `must have one of "namespaces", "pods"`)}
	}
	subject := spec.mapping("subject")
	switch subject.oneOf("namespaces", "pods") {
	case "namespaces":
		if s, ok := subject.selector("namespaces"); ok {
			p.Subject.Namespaces = selector(s)
		}
	case "pods":
		p.Subject.Namespaces, p.Subject.Pods = c.namespacedPods(subject)
	}
	return subject.end()
}

// namespacedPods returns the selectors of the field `pods` of a subject or a peer.
func (c *clusterCheck) namespacedPods(of *fields) (namespaces, pods engine.Selector) {
	f := of.mapping("pods")
	if f.has("podSelector") {
		if s, ok := f.selector("podSelector"); ok {
			pods = selector(s)
		}
	} else if f.values != nil {
		f.errs = append(f.errs, field.Required(f.path.Child("podSelector"), "{} selects every Pod"))
	}
	if f.has("namespaceSelector") {
		if s, ok := f.selector("namespaceSelector"); ok {
			namespaces = selector(s)
		}
	} else if f.values != nil && c.dialect.namespaceSelector {
		f.errs = append(f.errs, field.Required(f.path.Child("namespaceSelector"), "{} selects every namespace"))
	}
	of.merge(f)
	return namespaces, pods
}

// denyOnly changes the rules of a policy that is not understood: none allows any more, and Pass becomes Deny
// (S45).
func denyOnly(rules []engine.ClusterRule) {
	for i := range rules {
		if rules[i].Action == engine.Allow {
			matchNothing(&rules[i])
		} else {
			rules[i].Action = engine.Deny
		}
	}
}

// denyAll returns rules in place of those of a direction that cannot be read.
func denyAll() []engine.ClusterRule {
	return []engine.ClusterRule{{Action: engine.Deny, NotUnderstood: true}}
}

// matchNothing makes r a rule that is not understood and matches nothing (S45).
func matchNothing(r *engine.ClusterRule) {
	r.NotUnderstood, r.Origins = true, nil
	r.Rule = engine.Rule{Peers: []engine.Peer{{}}}
}
