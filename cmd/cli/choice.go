package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netpold/netpold/cmd/config"
)

// A place is where the state comes from.
type place int

const (
	fromCluster place = iota
	fromManifests
	fromServer
)

// stateFrom returns the place that is set closest to the command line; the cluster if none is set.
func (inv *invocation) stateFrom(places ...place) (place, error) {
	chosen, closest, flags := fromCluster, config.FromDefault, []string(nil)
	for _, p := range places {
		switch flag, origin := inv.chooses(p); {
		case origin > closest:
			chosen, closest, flags = p, origin, []string{"--" + flag}
		case origin == closest && origin != config.FromDefault:
			flags = append(flags, "--"+flag)
		}
	}
	if len(flags) > 1 {
		return 0, fmt.Errorf("%s exclude each other: leave all but one out", strings.Join(flags, " and "))
	}
	by := ""
	if len(flags) == 1 {
		by = strings.TrimPrefix(flags[0], "--")
	}
	return chosen, inv.misplaced(chosen, closest, by)
}

// chooses returns the setting that chooses a place, and how close to the command line it is set. An empty
// setting chooses nothing.
func (inv *invocation) chooses(p place) (flag string, origin config.Origin) {
	for name, isSet := range inv.choosing(p) {
		if set := inv.config.Origin(name); isSet && (set > origin || set == origin && name > flag) {
			flag, origin = name, set
		}
	}
	return flag, origin
}

// choosing returns the settings that choose a place, with whether each has a value.
func (inv *invocation) choosing(p place) map[string]bool {
	c := inv.config
	switch p {
	case fromManifests:
		return map[string]bool{"manifests": len(c.State.Manifests) > 0}
	case fromServer:
		return map[string]bool{"server": c.Client.Server != ""}
	default:
		return map[string]bool{"kubeconfig": c.State.Kubeconfig != "", "context": c.State.Context != ""}
	}
}

// choicesText returns the ways to say where the state comes from, in words.
func choicesText(places ...place) string {
	words := []string{"--manifests PATH (what 'kubectl get " +
		"pods,namespaces,networkpolicies,nodes,services,endpointslices -A -o yaml' prints)"}
	if slices.Contains(places, fromServer) {
		words = append(words, "--server HOST:PORT (a running netpold)")
	}
	return "give " + strings.Join(words, ", ") +
		", --kubeconfig FILE (and --context NAME), or run it in a Pod of the cluster with a ServiceAccount"
}
