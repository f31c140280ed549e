package mirror

import "strings"

// InvalidPolicies counts the cluster-wide policies in which something is not understood (S45, S46), by kind.
func InvalidPolicies(problems []Problem) map[string]int {
	type policy struct{ kind, name string }
	byKind := map[string]int{}
	seen := map[policy]bool{}
	for i := range problems {
		p := &problems[i]
		if key := (policy{p.Kind, p.Name}); p.Closed && !seen[key] {
			seen[key] = true
			byKind[p.Kind]++
		}
	}
	return byKind
}

// DomainNameRules counts the rules with domain names, which match nothing (S40), by kind of policy. Each has a
// warning for each such peer. Example of its field: spec.egress[0].to[1].domainNames.
func DomainNameRules(problems []Problem) map[string]int {
	type rule struct{ kind, name, path string }
	byKind := map[string]int{}
	seen := map[rule]bool{}
	for i := range problems {
		p := &problems[i]
		path, peer, ok := strings.Cut(p.Field, ".to[")
		if !ok || !p.Warning || !strings.HasSuffix(peer, "].domainNames") {
			continue
		}
		if key := (rule{p.Kind, p.Name, path}); !seen[key] {
			seen[key] = true
			byKind[p.Kind]++
		}
	}
	return byKind
}
