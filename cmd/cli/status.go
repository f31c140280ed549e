package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

func (inv *invocation) statusVerb() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:               "status --server HOST:PORT [flags]",
		Short:             "Print what a running netpold knows, and how fresh it is",
		Example:           "  netpold status --server 127.0.0.1:9480",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	addOutput(cmd.Flags(), &output)
	inv.addQuiet(cmd)
	return inv.verb(cmd, func(ctx context.Context, _ []string) error {
		if inv.config.Client.Server == "" {
			return errors.New("no server to ask: give --server HOST:PORT, for example --server 127.0.0.1:9480")
		}
		client, err := inv.dial()
		if err != nil {
			return err
		}
		defer client.Close() //nolint:errcheck // nothing is lost
		ctx, cancel := context.WithTimeout(ctx, inv.config.Client.Timeout)
		defer cancel()
		st, err := client.Status(ctx)
		if err != nil {
			return inv.callError(err)
		}
		if output != textOutput {
			return inv.printMessage(st, output)
		}
		text, err := statusText(st, time.Now())
		if err != nil {
			return err
		}
		return printText(inv.stdout, text)
	}, inv.config.ClientFlags(), inv.config.FileFlags())
}

// statusText returns a status for people, with ages at the time now.
func statusText(st *netpoldv1.GetStatusResponse, now time.Time) (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	row := func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	ready := "yes"
	if !st.GetReady() {
		ready = "no: the first full sync is not complete, and no question is answered"
	}
	row("VERSION", st.GetVersion())
	row("SOURCE", st.GetSource())
	row("READY", ready)
	row("STARTED", ago(st.GetStarted(), now))
	if meaning := meaningText(st.GetLike(), st.GetSwitches()); meaning != "" {
		row("MEANING", meaning)
	}
	if st.GetReady() {
		row("REVISION", st.GetRevision())
		row("PUBLISHED", ago(st.GetPublished(), now))
		row("OBJECTS", objectsText(st.GetObjects()))
	}
	if log := st.GetDecisionLog(); log != nil {
		row("DECISION LOG", decisionLogText(log))
	}
	if kinds := st.GetIgnoredKinds(); len(kinds) > 0 {
		row("IGNORED", kindsText(kinds))
	}
	if resources := st.GetResources(); len(resources) > 0 {
		row()
		row("RESOURCE", "OBJECTS", "SYNCED", "AGE", "ERROR")
		for _, r := range resources {
			row(resourceText(r), r.GetObjects(), syncedText(r), ageText(r), r.GetError())
		}
	}
	if err := w.Flush(); err != nil {
		return "", fmt.Errorf("writing the table: %w", err)
	}
	if notes := st.GetNotes(); len(notes) > 0 {
		b.WriteString("\nNOTES\n")
		for _, note := range notes {
			fmt.Fprintf(&b, "  %s\n", note.GetMessage())
		}
	}
	if problems := st.GetProblems(); len(problems) > 0 {
		fmt.Fprintf(&b, "\nPROBLEMS %d\n", len(problems))
		list := make([]mirror.Problem, len(problems))
		for i, p := range problems {
			list[i] = problemFromProto(p)
		}
		for _, p := range mirror.FoldProblems(list) {
			fmt.Fprintf(&b, "  %s\n", &p)
		}
	}
	return trimLines(b.String()), nil
}

// decisionLogText returns how the decision log fares.
func decisionLogText(l *netpoldv1.DecisionLogStatus) string {
	text := fmt.Sprintf("%s: %d written, %d dropped, %d queued", l.GetTarget(), l.GetWritten(), l.GetDropped(),
		l.GetQueued())
	if l.GetError() != "" {
		text += "; FAILING: " + l.GetError()
	}
	return text
}

// trimLines removes the spaces that empty cells leave at the ends of lines.
func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

func ago(at *timestamppb.Timestamp, now time.Time) string {
	if at == nil {
		return "unknown"
	}
	t := at.AsTime()
	return fmt.Sprintf("%s (%s ago)", t.UTC().Format(time.RFC3339), max(now.Sub(t), 0).Round(time.Second))
}

func ageText(r *netpoldv1.ResourceStatus) string {
	age := r.GetAge().AsDuration().Round(time.Second).String()
	if r.GetStale() {
		age += " (stale)"
	}
	return age
}

// resourceText returns a resource, with the version that is read if the cluster need not serve it (S31).
func resourceText(r *netpoldv1.ResourceStatus) string {
	if r.GetVersion() == "" {
		return r.GetResource()
	}
	return r.GetResource() + " " + r.GetVersion()
}

// syncedText returns whether a resource is synced, or that the cluster does not serve it, or not in a version
// that is read (S31).
func syncedText(r *netpoldv1.ResourceStatus) string {
	if state := r.GetState(); state == mirror.StateAbsent || state == mirror.StateUnsupported {
		return state
	}
	return yesNo(r.GetSynced())
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func objectsText(n *netpoldv1.ObjectCounts) string {
	text := fmt.Sprintf("%d Pods (%d classes), %d Namespaces, %d NetworkPolicies (%d selectors), %d Nodes, "+
		"%d Services, %d EndpointSlices",
		n.GetPods(), n.GetClasses(), n.GetNamespaces(), n.GetNetworkPolicies(), n.GetSelectors(), n.GetNodes(),
		n.GetServices(),
		n.GetEndpointSlices())
	for _, tier := range []struct {
		count uint32
		kind  string
	}{
		{n.GetClusterNetworkPolicies(), "ClusterNetworkPolicies"},
		{n.GetAdminNetworkPolicies(), "AdminNetworkPolicies"},
		{n.GetBaselineAdminNetworkPolicies(), "BaselineAdminNetworkPolicies"},
	} {
		if tier.count > 0 {
			text += fmt.Sprintf(", %d %s", tier.count, tier.kind)
		}
	}
	return text
}

func kindsText[N int | uint32](kinds map[string]N) string {
	words := make([]string, 0, len(kinds))
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		words = append(words, fmt.Sprintf("%d %s", kinds[kind], kind))
	}
	return strings.Join(words, ", ")
}

// problemFromProto returns a problem that prints as the server prints it.
func problemFromProto(p *netpoldv1.Problem) mirror.Problem {
	return mirror.Problem{
		File: p.GetFile(), Document: int(p.GetDocument()), Kind: p.GetKind(), Namespace: p.GetNamespace(),
		Name:  p.GetName(),
		Field: p.GetField(), Message: p.GetMessage(), Warning: p.GetWarning(),
	}
}
