package cli

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// completeEnds completes SRC and DST from the manifests or a server, a part at a time: a kind or a namespace,
// then a name. It offers nothing for a cluster, which takes too long to read.
func (inv *invocation) completeEnds(cmd *cobra.Command, args []string,
	begun string) ([]string, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 1 {
		return nil, none
	}
	return completed(inv.completionWords(cmd.Context(), len(args) == 1), begun)
}

// completed returns the next part of each word that begins with begun. words are sorted.
func completed(words []string, begun string) ([]string, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	words = nextParts(words, begun)
	if slices.ContainsFunc(words, func(word string) bool { return strings.HasSuffix(word, "/") }) {
		return words, none | cobra.ShellCompDirectiveNoSpace
	}
	return words, none
}

// completionWords returns the words of all endpoints, sorted; nil if they cannot be had at once. A server lists
// no Services.
func (inv *invocation) completionWords(ctx context.Context, destination bool) []string {
	switch inv.completionPlace() {
	case fromManifests:
		if snapshot := inv.manifestsAtOnce(ctx); snapshot != nil {
			return endWords(snapshot, destination)
		}
	case fromServer:
		var words []string
		inv.eachGroup(ctx, func(g *netpoldv1.Group) { words = append(words, groupWords(g)...) })
		slices.Sort(words)
		return slices.Compact(words)
	case fromCluster:
	}
	return nil
}

// completionNamespaces returns the namespaces that have Pods, sorted; nil if they cannot be had at once.
func (inv *invocation) completionNamespaces(ctx context.Context) []string {
	var found []string
	switch inv.completionPlace() {
	case fromManifests:
		if snapshot := inv.manifestsAtOnce(ctx); snapshot != nil {
			for _, pod := range snapshot.PodNames() {
				found = append(found, pod.Namespace)
			}
		}
	case fromServer:
		inv.eachGroup(ctx, func(g *netpoldv1.Group) { found = append(found, g.GetNamespace()) })
	case fromCluster:
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// completionPlace returns where the state comes from; the cluster if the settings are wrong.
func (inv *invocation) completionPlace() place {
	inv.quiet = true // a shell must show only completions
	if _, err := inv.config.Load(inv.environ); err != nil {
		return fromCluster
	}
	from, err := inv.stateFrom(fromManifests, fromServer, fromCluster)
	if err != nil {
		return fromCluster
	}
	return from
}

const (
	// completionPatience is how long a completion waits for a server. Who presses a key waits no longer.
	completionPatience = 2 * time.Second
	// maxCompletions limits the Pods of a completion: nobody reads more, and they take memory.
	maxCompletions = 50_000
)

// eachGroup visits the Pods of a server by workload, silently as many as come in time.
func (inv *invocation) eachGroup(ctx context.Context, visit func(*netpoldv1.Group)) {
	client, err := inv.dial()
	if err != nil {
		return
	}
	defer client.Close() //nolint:errcheck // nothing is lost
	ctx, cancel := context.WithTimeout(ctx, min(completionPatience, inv.config.Client.Timeout))
	defer cancel()
	// Groups come first, and the connections after them are not wanted.
	request := &netpoldv1.ListConnectionsRequest{
		Src: &netpoldv1.Ends{Scope: netpoldv1.Scope_SCOPE_CLUSTER},
		Dst: &netpoldv1.Ends{Scope: netpoldv1.Scope_SCOPE_EXTERNAL}, MaxConnections: 1,
	}
	pods := 0
	for m, err := range client.Connections(ctx, request) {
		g := m.GetGroup()
		switch {
		case err != nil, pods > maxCompletions, m.GetConnection() != nil, m.GetSummary() != nil:
			return
		case g != nil:
			pods += len(g.GetMembers())
			visit(g)
		}
	}
}

// groupWords returns the words of the workload and the Pods of a group.
func groupWords(g *netpoldv1.Group) []string {
	var words []string
	if w := g.GetWorkload(); w != nil {
		words = append(words, netpold.FormatEndpoint(netpold.Workload(w.GetNamespace(), w.GetKind(), w.GetName())))
	}
	for _, pod := range g.GetMembers() {
		words = append(words, g.GetNamespace()+"/"+pod.GetName())
	}
	return words
}

// manifestsAtOnce returns the state of the manifests; nil if they have problems.
func (inv *invocation) manifestsAtOnce(ctx context.Context) *engine.Snapshot {
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

// completeListed completes --src and --dst of list, as completeEnds does, and with the words for many Pods.
func (inv *invocation) completeListed(cmd *cobra.Command, _ []string,
	begun string) ([]string, cobra.ShellCompDirective) {
	words := []string{"cluster", "external"}
	for _, namespace := range inv.completionNamespaces(cmd.Context()) {
		words = append(words, "ns/"+namespace)
	}
	words = append(words, inv.completionWords(cmd.Context(), false)...)
	slices.Sort(words)
	return completed(words, begun)
}
