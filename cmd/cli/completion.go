package cli

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
)

// completeEnds completes SRC and DST from the manifests, a part at a time: a kind or a namespace, then a
// name. It offers nothing for a server, which does not list its objects, or for a cluster, which takes too
// long to read.
func (inv *invocation) completeEnds(cmd *cobra.Command, args []string,
	begun string) ([]string, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	snapshot := inv.completionState(cmd.Context())
	if len(args) > 1 || snapshot == nil {
		return nil, none
	}
	words := nextParts(endWords(snapshot, len(args) == 1), begun)
	if slices.ContainsFunc(words, func(word string) bool { return strings.HasSuffix(word, "/") }) {
		return words, none | cobra.ShellCompDirectiveNoSpace
	}
	return words, none
}

// completionState returns the state of the manifests; nil if the state comes from elsewhere, or they have
// problems.
func (inv *invocation) completionState(ctx context.Context) *engine.Snapshot {
	inv.quiet = true // a shell must show only completions
	if _, err := inv.config.Load(inv.environ); err != nil {
		return nil
	}
	if from, err := inv.stateFrom(fromManifests, fromServer, fromCluster); err != nil || from != fromManifests {
		return nil
	}
	if slices.Contains(inv.config.State.Manifests, "-") { // nobody can type into it now
		return nil
	}
	files, err := inv.openManifests(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil
	}
	state, _ := files.State()
	return state.Snapshot
}

// endWords returns the words of all endpoints, sorted. Services are only destinations.
func endWords(snapshot *engine.Snapshot, destination bool) []string {
	var words []string
	for _, pod := range snapshot.PodNames() {
		words = append(words, pod.Namespace+"/"+pod.Name)
	}
	for _, group := range snapshot.PodGroups() {
		words = append(words, netpold.FormatEndpoint(groupEndpoint(&group)))
	}
	if destination {
		for _, s := range snapshot.AllServices() {
			words = append(words, netpold.FormatEndpoint(netpold.Service(s.Namespace, s.Name)))
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// nextParts returns the words that begin with begun, each up to the next slash.
func nextParts(words []string, begun string) []string {
	var parts []string
	for _, word := range words {
		rest, ok := strings.CutPrefix(word, begun)
		if !ok {
			continue
		}
		if slash := strings.IndexByte(rest, '/'); slash >= 0 {
			word = begun + rest[:slash+1]
		}
		if len(parts) == 0 || parts[len(parts)-1] != word {
			parts = append(parts, word)
		}
	}
	return parts
}

// completeListed completes --src and --dst of list, as completeEnds does. list also takes words for many.
func (inv *invocation) completeListed(cmd *cobra.Command, _ []string,
	begun string) ([]string, cobra.ShellCompDirective) {
	return inv.completeEnds(cmd, []string{"src"}, begun)
}
