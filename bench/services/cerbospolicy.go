package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	effectv1 "github.com/cerbos/cerbos/api/genpb/cerbos/effect/v1"
	policyv1 "github.com/cerbos/cerbos/api/genpb/cerbos/policy/v1"

	"github.com/netpold/netpold/engine"
)

// cerbosPolicies are the policies of a model in Cerbos' terms, by name. A request has all that is asked about. The
// labels of the source are the principal's. The labels, named ports and port of the destination are the resource's.
//
// A namespace is a principal, whose policy denies what is isolated at egress. It is a kind of resource too, whose
// policy allows what may come in.
func (m *model) cerbosPolicies() (map[string]*policyv1.Policy, error) {
	to := map[string]*policyv1.Policy{}
	for _, name := range slices.Sorted(maps.Keys(m.namespaces)) {
		var own []*engine.Policy
		for _, p := range m.policies {
			if p.Namespace == name {
				own = append(own, p)
			}
		}
		egress, err := m.cerbosEgress(name, own)
		if err != nil {
			return nil, err
		}
		ingress, err := m.cerbosIngress(name, own)
		if err != nil {
			return nil, err
		}
		if egress != nil {
			to["egress "+name] = egress
		}
		to["ingress "+name] = ingress
	}
	return to, nil
}

const (
	cerbosAPI     = "api.cerbos.dev/v1"
	cerbosVersion = "default"
)

// cerbosEgress denies what is isolated and allowed by no rule; nil if nothing is isolated.
func (m *model) cerbosEgress(namespace string, policies []*engine.Policy) (*policyv1.Policy, error) {
	isolated, allowed, err := m.cerbosRules(policies, "P", "R", func(p *engine.Policy) (bool, []engine.Rule) {
		return p.IsolatesEgress, p.Egress
	})
	if err != nil || len(isolated) == 0 {
		return nil, err
	}
	denied := []*policyv1.Match{anyOf(isolated)}
	if len(allowed) > 0 {
		denied = append(denied, noneOf(allowed))
	}
	deny := &policyv1.PrincipalRule_Action{
		Action: connect, Effect: effectv1.Effect_EFFECT_DENY, Condition: condition(allOf(denied)),
	}
	policy := &policyv1.PrincipalPolicy{
		Principal: namespace, Version: cerbosVersion,
		Rules: []*policyv1.PrincipalRule{{Resource: "*", Actions: []*policyv1.PrincipalRule_Action{deny}}},
	}
	typed := &policyv1.Policy_PrincipalPolicy{PrincipalPolicy: policy}
	return &policyv1.Policy{ApiVersion: cerbosAPI, PolicyType: typed}, nil
}

// cerbosIngress allows what is not isolated, and what a rule allows. All rules of a namespace are one expression: as
// rules of their own they take 1.4 times as long. A label that is missing makes it false, unless a part that is true
// decides.
func (m *model) cerbosIngress(namespace string, policies []*engine.Policy) (*policyv1.Policy, error) {
	isolated, allowed, err := m.cerbosRules(policies, "R", "P", func(p *engine.Policy) (bool, []engine.Rule) {
		return p.IsolatesIngress, p.Ingress
	})
	if err != nil {
		return nil, err
	}
	allow := allowing(nil)
	if len(isolated) > 0 {
		allow = allowing(condition(expression(inOne(anyOf(append(allowed, noneOf(isolated)))))))
	}
	return resourcePolicy(namespace, allow), nil
}

// allowing is a rule that allows everybody, under a condition unless it is nil.
func allowing(c *policyv1.Condition) *policyv1.ResourceRule {
	return &policyv1.ResourceRule{
		Actions: []string{connect}, Roles: []string{"*"}, Effect: effectv1.Effect_EFFECT_ALLOW, Condition: c,
	}
}

// resourcePolicy is the policy of a kind of resource, with one rule.
func resourcePolicy(kind string, r *policyv1.ResourceRule) *policyv1.Policy {
	policy := &policyv1.ResourcePolicy{Resource: kind, Version: cerbosVersion, Rules: []*policyv1.ResourceRule{r}}
	return &policyv1.Policy{ApiVersion: cerbosAPI, PolicyType: &policyv1.Policy_ResourcePolicy{ResourcePolicy: policy}}
}

// cerbosRules are the conditions under which policies isolate a subject, and under which their rules allow. direction
// says whether a policy isolates, and has the rules.
func (m *model) cerbosRules(policies []*engine.Policy, subject, other string,
	direction func(*engine.Policy) (bool, []engine.Rule)) (isolated, allowed []*policyv1.Match, err error) {
	for _, p := range policies {
		isolates, rules := direction(p)
		if !isolates {
			continue
		}
		isolated = append(isolated, labelled(subject, p.Subject))
		for _, r := range rules {
			match, err := m.cerbosRule(p, &r, subject, other)
			if err != nil {
				return nil, nil, err
			}
			if match != nil {
				allowed = append(allowed, match)
			}
		}
	}
	return isolated, allowed, nil
}

// cerbosRule is the condition under which a rule allows, for its subject and the other end, each P or R; nil for never.
func (m *model) cerbosRule(p *engine.Policy, r *engine.Rule, subject, other string) (*policyv1.Match, error) {
	all := []*policyv1.Match{labelled(subject, p.Subject)}
	var peers, admitted []*policyv1.Match
	for _, peer := range r.Peers {
		if peer.Block != nil {
			g, err := m.peer(nil, &peer)
			if err != nil {
				return nil, err
			}
			if len(g.members) > 0 {
				return nil, fmt.Errorf("policy %s/%s has the range %v, which has Pods", p.Namespace, p.Name, *peer.Block)
			}
			continue // no question has an address of it
		}
		peers = append(peers, expression(peerExpression(p, &peer, other)))
	}
	if len(r.Peers) > 0 {
		if len(peers) == 0 {
			return nil, nil
		}
		all = append(all, anyOf(peers))
	}
	for _, port := range r.Ports {
		switch {
		case port.Protocol != engine.TCP: // no question is about others
		case port.Name != "":
			admitted = append(admitted, expression(fmt.Sprintf("R.attr.ports[%q] == R.attr.port", port.Name)))
		case port.First == port.Last:
			admitted = append(admitted, expression(fmt.Sprintf("R.attr.port == %d", port.First)))
		default:
			admitted = append(admitted, expression(fmt.Sprintf("R.attr.port >= %d && R.attr.port <= %d", port.First, port.Last)))
		}
	}
	if len(r.Ports) > 0 {
		if len(admitted) == 0 {
			return nil, nil
		}
		all = append(all, anyOf(admitted))
	}
	return allOf(all), nil
}

func peerExpression(p *engine.Policy, peer *engine.Peer, end string) string {
	namespace := fmt.Sprintf("%s.attr.namespace == %q", end, p.Namespace)
	if peer.Namespaces != nil {
		namespace = labelExpression(end+".attr.namespaceLabels", *peer.Namespaces)
	}
	if peer.Pods == nil {
		return namespace
	}
	return namespace + " && " + labelExpression(end+".attr.labels", *peer.Pods)
}

// labelled is the condition that an end has the labels of a selector.
func labelled(end string, s engine.Selector) *policyv1.Match {
	return expression(labelExpression(end+".attr.labels", s))
}

// labelExpression is a selector in CEL. A label that is missing is an error there, which Cerbos takes for false.
func labelExpression(labels string, s engine.Selector) string {
	if len(s) == 0 {
		return "true"
	}
	var parts []string
	for _, r := range s { // all are of operator In, else there would be no model
		if len(r.Values) == 1 {
			parts = append(parts, fmt.Sprintf("%s[%q] == %q", labels, r.Key, r.Values[0]))
			continue
		}
		var values []string
		for _, v := range r.Values {
			values = append(values, strconv.Quote(v))
		}
		parts = append(parts, fmt.Sprintf("%s[%q] in [%s]", labels, r.Key, strings.Join(values, ", ")))
	}
	return strings.Join(parts, " && ")
}

func expression(text string) *policyv1.Match {
	return &policyv1.Match{Op: &policyv1.Match_Expr{Expr: text}}
}

func anyOf(list []*policyv1.Match) *policyv1.Match {
	if len(list) == 1 {
		return list[0]
	}
	return &policyv1.Match{Op: &policyv1.Match_Any{Any: &policyv1.Match_ExprList{Of: list}}}
}

func allOf(list []*policyv1.Match) *policyv1.Match {
	if len(list) == 1 {
		return list[0]
	}
	return &policyv1.Match{Op: &policyv1.Match_All{All: &policyv1.Match_ExprList{Of: list}}}
}

func noneOf(list []*policyv1.Match) *policyv1.Match {
	return &policyv1.Match{Op: &policyv1.Match_None{None: &policyv1.Match_ExprList{Of: list}}}
}

// inOne is a tree of conditions as one expression.
func inOne(m *policyv1.Match) string {
	join := func(list *policyv1.Match_ExprList, operator string) string {
		var parts []string
		for _, one := range list.GetOf() {
			parts = append(parts, inOne(one))
		}
		return "(" + strings.Join(parts, operator) + ")"
	}
	switch op := m.GetOp().(type) {
	case *policyv1.Match_All:
		return join(op.All, " && ")
	case *policyv1.Match_Any:
		return join(op.Any, " || ")
	case *policyv1.Match_None:
		return "!" + join(op.None, " || ")
	}
	return "(" + m.GetExpr() + ")"
}

func condition(m *policyv1.Match) *policyv1.Condition {
	return &policyv1.Condition{Condition: &policyv1.Condition_Match{Match: m}}
}
