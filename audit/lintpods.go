package audit

import (
	"fmt"
	"slices"

	"github.com/netpold/netpold/engine"
)

// A lintWorkload is a workload, or a Pod of none.
type lintWorkload struct {
	namespace string
	workload  engine.Workload
	pod       string
}

// lintPods finds Pods that nothing isolates, and Pods that cannot reach the DNS.
func (l *linter) lintPods() {
	found := map[Code]map[Direction]map[lintWorkload][]string{
		NotIsolated: {Egress: {}, Ingress: {}}, EgressForgetsDNS: {Egress: {}},
	}
	add := func(c Code, d Direction, e *lintEnd) {
		for i := range e.pods {
			p := &e.pods[i]
			w := lintWorkload{p.Namespace, p.Workload, ""}
			if w.workload == (engine.Workload{}) {
				w.pod = p.Name
			}
			found[c][d][w] = append(found[c][d][w], p.Name)
		}
	}
	var dns []dnsEnd
	isService := false
	if l.wants(EgressForgetsDNS) {
		dns, isService = l.dnsEnds()
	}
	for _, c := range l.classes {
		if l.step() {
			return
		}
		if !l.wantsNamespace(c.Namespace) {
			continue
		}
		for _, e := range c.ends {
			for _, d := range []Direction{Egress, Ingress} {
				if len(c.stacks[side(d)].policies) == 0 || l.options.IgnorePolicies {
					add(NotIsolated, d, e)
				}
			}
			if l.wants(EgressForgetsDNS) && l.forgetsDNS(c, e, dns, isService) {
				add(EgressForgetsDNS, Egress, e)
			}
		}
	}
	for code, byDirection := range found {
		for d, workloads := range byDirection {
			for w, pods := range workloads {
				l.addPods(code, d, w, pods)
			}
		}
	}
}

// addPods adds a finding about Pods of a workload.
func (l *linter) addPods(code Code, d Direction, w lintWorkload, pods []string) {
	slices.Sort(pods)
	f := Finding{
		Code: code, Direction: d, Rule: none, Peer: none, Port: none, Pods: pods,
		Workload: w.workload, WorkloadNamespace: w.namespace,
	}
	if w.pod != "" {
		f.WorkloadNamespace, f.Policy = "", engine.ObjectKey{Kind: engine.KindPolicy, Namespace: w.namespace}
	}
	if code == NotIsolated {
		f.Message = fmt.Sprintf("%s not isolated for %s: no NetworkPolicy isolates %s", are(len(pods)), d,
			them(len(pods)))
	} else {
		f.Message = fmt.Sprintf("%s isolated for egress, and no rule allows UDP 53 to the cluster's DNS",
			are(len(pods)))
	}
	l.add(f, w.pod)
}

// are begins a sentence about a number of Pods.
func are(n int) string {
	if n == 1 {
		return "1 Pod is"
	}
	return fmt.Sprint(n, " Pods are")
}

// them stands for a number of Pods.
func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}
