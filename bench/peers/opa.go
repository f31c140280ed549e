package peers

import (
	"context"
	_ "embed"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

//go:embed netpol.rego
var netpolRego string

// opa is a prepared query over data that lies ready as OPA's own values, which is its fastest store; questions are made of such
// values too.
type opa struct {
	query rego.PreparedEvalQuery
	store storage.Store
}

func loadOPA(o *Objects) (Engine, error) {
	namespaces, policies, pods := map[string]any{}, map[string]any{}, make(map[string]any, len(o.Pods))
	for _, n := range o.Namespaces {
		namespaces[n.Name] = labels(n.Labels)
		policies[n.Name] = map[string]any{"ingress": []any{}, "egress": []any{}}
	}
	for _, p := range o.Policies {
		addPolicy(policies[p.Namespace].(map[string]any), &p.Spec)
	}
	for _, p := range o.Pods {
		pods[p.Status.PodIP] = regoPod(p)
	}
	data := map[string]any{"namespaces": namespaces, "policies": policies, "pods": pods}
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	query, err := rego.New(
		rego.Query("data.netpol.allow"), rego.Module("netpol.rego", netpolRego), rego.Store(store),
	).PrepareForEval(context.Background())
	return &opa{query, store}, err
}

func labels(from map[string]string) map[string]any {
	to := make(map[string]any, len(from))
	for k, v := range from {
		to[k] = v
	}
	return to
}

func regoPod(p *corev1.Pod) map[string]any {
	ports := map[string]any{}
	for _, port := range servingPorts(p) {
		names, ok := ports[string(port.Protocol)].(map[string]any)
		if !ok {
			names = map[string]any{}
			ports[string(port.Protocol)] = names
		}
		numbers, _ := names[port.Name].([]any)
		names[port.Name] = append(numbers, int(port.ContainerPort))
	}
	return map[string]any{"namespace": p.Namespace, "labels": labels(p.Labels), "ports": ports}
}

func addPolicy(to map[string]any, spec *networkingv1.NetworkPolicySpec) {
	for _, direction := range spec.PolicyTypes {
		rules := []any{}
		key := "ingress"
		if direction == networkingv1.PolicyTypeIngress {
			for _, r := range spec.Ingress {
				rules = append(rules, map[string]any{"peers": regoPeers(r.From), "ports": regoPorts(r.Ports)})
			}
		} else {
			key = "egress"
			for _, r := range spec.Egress {
				rules = append(rules, map[string]any{"peers": regoPeers(r.To), "ports": regoPorts(r.Ports)})
			}
		}
		to[key] = append(to[key].([]any), map[string]any{"subject": regoSelector(&spec.PodSelector), "rules": rules})
	}
}

func regoPeers(list []networkingv1.NetworkPolicyPeer) []any {
	peers := []any{}
	for _, p := range list {
		switch {
		case p.IPBlock != nil:
			except := []any{}
			for _, e := range p.IPBlock.Except {
				except = append(except, e)
			}
			peers = append(peers, map[string]any{"cidr": p.IPBlock.CIDR, "except": except})
		case p.NamespaceSelector == nil:
			peers = append(peers, map[string]any{"own": regoSelector(p.PodSelector)})
		default:
			pods := p.PodSelector
			if pods == nil {
				pods = &metav1.LabelSelector{}
			}
			peers = append(peers, map[string]any{"namespaces": regoSelector(p.NamespaceSelector), "pods": regoSelector(pods)})
		}
	}
	return peers
}

func regoPorts(list []networkingv1.NetworkPolicyPort) []any {
	ports := []any{}
	for _, p := range list {
		to := map[string]any{"protocol": string(*p.Protocol)}
		switch {
		case p.Port == nil:
			to["first"], to["last"] = 1, 65535
		case p.Port.Type == intstr.String:
			to["name"] = p.Port.StrVal
		default:
			to["first"], to["last"] = int(p.Port.IntVal), int(p.Port.IntVal)
			if p.EndPort != nil {
				to["last"] = int(*p.EndPort)
			}
		}
		ports = append(ports, to)
	}
	return ports
}

func regoSelector(s *metav1.LabelSelector) map[string]any {
	to := map[string]any{"labels": labels(s.MatchLabels)}
	var expressions []any
	for _, e := range s.MatchExpressions {
		values := []any{}
		for _, v := range e.Values {
			values = append(values, v)
		}
		expressions = append(expressions, map[string]any{"key": e.Key, "operator": string(e.Operator), "values": values})
	}
	if len(expressions) > 0 {
		to["expressions"] = expressions
	}
	return to
}

func (o *opa) Allowed(q Question) (bool, error) {
	input := ast.NewObject(
		[2]*ast.Term{ast.InternedTerm("src"), ast.StringTerm(q.Src.String())},
		[2]*ast.Term{ast.InternedTerm("dst"), ast.StringTerm(q.Dst.String())},
		[2]*ast.Term{ast.InternedTerm("port"), ast.InternedTerm(int(q.Port))},
		[2]*ast.Term{ast.InternedTerm("protocol"), ast.InternedTerm(string(q.Protocol))},
	)
	results, err := o.query.Eval(context.Background(), rego.EvalParsedInput(input))
	return results.Allowed(), err
}

func (o *opa) SetPod(p *corev1.Pod) error {
	return storage.WriteOne(context.Background(), o.store, storage.ReplaceOp, storage.Path{"pods", p.Status.PodIP}, regoPod(p))
}
