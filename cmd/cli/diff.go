package cli

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/cmd/render"
	"github.com/netpold/netpold/cmd/render/html"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// errChanged means that a difference has a change that --fail-on names. It is printed already.
var errChanged = errors.New("changed")

// The flags of the two states.
const (
	fromFlag = "from"
	toFlag   = "to"
)

// A diffVerb is one run of the verb diff.
type diffVerb struct {
	inv *invocation
	cmd *cobra.Command
	filters
	changes
	from, to              []string
	match, failOn, output string
	overlay               *overlay
	summary               *netpoldv1.SimulateSummary
	// met reports whether there is a change that --fail-on names.
	met bool
}

func (inv *invocation) diffVerb() *cobra.Command {
	d := &diffVerb{inv: inv}
	d.cmd = &cobra.Command{
		Use: "diff {--from PATH --to PATH | {-f PATH | --delete KIND/NS/NAME | --label KIND/NS/NAME=LABELS}... " +
			"[--manifests PATH | --server HOST:PORT | --kubeconfig FILE]} [flags]",
		Short: "Say which connections a change opens and closes",
		Long: "diff prints which connections are open in one state and not in another: of two dumps (--from, --to), or\n" +
			"of one state before and after changes that are not made:\n" +
			"  -f PATH       what 'kubectl apply -f PATH' would do, with --prune also delete the NetworkPolicies that PATH\n" +
			"                does not have, in the namespaces that it has objects of\n" +
			"  --delete ...  netpol/shop/redis, or deploy/shop/web for all its Pods, or ns/shop for all that is in it\n" +
			"  --label ...   deploy/shop/web=tier=front,old- sets and removes labels of all its Pods; also of one Pod\n" +
			"                (pod/shop/web-0=...), or of a Namespace (ns/shop=...)\n" +
			"All may be repeated. The files come first, then the others in their order. Kinds are those of kubectl, long\n" +
			"or short.\n\n" +
			"Rows of -o table are opened, closed or changed, which is open in other address families. What differs is\n" +
			"what the policies say, as in list. --match workloads compares workloads as wholes, for two dumps between\n" +
			"which Pods were replaced. --src, --dst, -p and --protocol are as for list.\n\n" +
			"-o markdown is for a comment of a pull request. -o json prints one message of Simulate a line, the summary\n" +
			"last: output without it is incomplete. -o html is a report in one file.\n\n" +
			"Exit code: 0 no change that --fail-on names; 1 changes; 2 error, or not all changes.",
		Example: "  netpold diff --manifests examples/shop --delete netpol/shop/redis\n" +
			"  netpold diff --context staging -f policies/ --prune --fail-on opened -o markdown\n" +
			"  netpold diff --from before.yaml --to after.yaml --match workloads\n" +
			"  netpold diff --server 127.0.0.1:9480 --label deploy/shop/frontend=tier=back --dst sts/shop/redis",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := d.cmd.Flags()
	f.Var(config.NewPaths(&d.from), fromFlag, "the state before: `PATH` as for --manifests; repeat it to read all as one")
	f.Var(config.NewPaths(&d.to), toFlag, "the state after: `PATH` as for --manifests")
	f.VarP(config.NewPaths(&d.files), filenameFlag, "f",
		"the state after is as if the manifests in `PATH` were applied, a file, a directory or -; repeat it for more")
	f.BoolVar(&d.prune, "prune", false,
		"and as if the NetworkPolicies that -f does not have were deleted, in the namespaces that it has objects of")
	f.Var(config.NewEntries(&d.edits, deleteFlag, "object"), deleteFlag,
		"and as if `KIND/NS/NAME` were deleted; repeat it for more")
	f.Var(config.NewEntries(&d.edits, labelFlag, "object"), labelFlag,
		"and as if labels were changed: `KIND/NS/NAME=KEY=VALUE,KEY-`; repeat it for more")
	f.Var(config.NewChoice(&d.failOn, "any", "opened", "closed", "none"), "fail-on",
		"exit with 1 for these changes; another address family is opened, one less closed")
	f.Var(config.NewChoice(&d.match, "pods", "workloads"), "match",
		"compare Pods of one name, or workloads, which are open if all their Pods are")
	d.add(d.cmd, "compare", "also compare addresses of Nodes; print the rules that allow, and part by them",
		"nodes", "policies")
	f.VarP(config.NewChoice(&d.output, tableOutput, wideOutput, jsonOutput, csvOutput, dotOutput, svgOutput,
		htmlOutput, markdownOutput), "output", "o", "form of the difference")
	inv.addAllNamespaces(d.cmd)
	inv.addQuiet(d.cmd)
	inv.errorResults["diff"] = func(output string, failure error) {
		if d.summary == nil { // which is the last line
			inv.printErrorLine(output, failure)
		}
	}
	cmd := inv.verb(d.cmd, d.run, inv.config.StateFlags(), inv.config.ClientFlags(), inv.config.FileFlags())
	d.complete(inv, cmd)
	for _, flag := range []string{deleteFlag, labelFlag} {
		// It fails only for unknown flags.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	return cmd
}

// markdownOutput is the form for comments of pull requests.
const markdownOutput = "markdown"

func (d *diffVerb) run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return usageError(d.cmd, "%q: diff takes words by --src and --dst, and paths by -f, --from and --to", args[0])
	}
	request, err := d.request()
	if err != nil {
		return err
	}
	from, closeFrom, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer closeFrom()
	request.Overlay = d.overlay.message()
	out := d.printer(request)
	err = from.simulate(ctx, request, func(m *netpoldv1.SimulateResponse) error {
		if m.GetProgress() != nil {
			return nil
		}
		d.inv.printHeader(d.overlay, m.GetHeader())
		d.look(m)
		return out.take(m)
	})
	if err != nil {
		return d.inv.auditError(d.overlay, err, request)
	}
	if err := out.end(); err != nil {
		return err
	}
	return d.outcome()
}

// open opens what compares: two states, or one with changes to it.
func (d *diffVerb) open(ctx context.Context) (simulator, func(), error) {
	switch {
	case len(d.from)+len(d.to) > 0:
		from, err := d.compareStates(ctx)
		return from, func() {}, err
	case !d.any():
		return nil, nil, usageError(d.cmd, "there is nothing to compare: give the changes by -f, --delete or --label, "+
			"or two states by --from and --to")
	case d.prune && len(d.files) == 0:
		return nil, nil, usageError(d.cmd, "--prune without -f would delete nothing: give -f PATH, or leave it out")
	}
	var err error
	if d.overlay, err = d.changes.overlay(ctx, d.inv); err != nil {
		return nil, nil, err
	}
	return d.inv.openAuditor(ctx)
}

// request returns what words and flags ask for.
func (d *diffVerb) request() (*netpoldv1.SimulateRequest, error) {
	src, dst, err := d.ends()
	if err != nil {
		return nil, err
	}
	request := &netpoldv1.SimulateRequest{
		Src: src, Dst: dst, Include: d.included(d.output == wideOutput || d.output == htmlOutput),
	}
	request.Protocol, request.Ports = d.protocolAndPorts()
	if d.match == "workloads" {
		request.Match = netpoldv1.Match_MATCH_WORKLOADS
	}
	return request, nil
}

// look takes from a message what decides the exit code.
func (d *diffVerb) look(m *netpoldv1.SimulateResponse) {
	if s := m.GetSummary(); s != nil {
		d.summary = s
	}
	c := m.GetChange()
	if c == nil {
		return
	}
	opens, closes := false, false
	switch c.GetKind() {
	case netpoldv1.ChangeKind_CHANGE_KIND_OPENED:
		opens = true
	case netpoldv1.ChangeKind_CHANGE_KIND_CLOSED:
		closes = true
	default:
		before, after := c.GetBefore().GetFamilies(), c.GetAfter().GetFamilies()
		opens, closes = lacksSome(before, after), lacksSome(after, before)
	}
	d.met = d.met || map[string]bool{"any": true, "opened": opens, "closed": closes}[d.failOn]
}

// lacksSome reports whether there is a family in others and not in families.
func lacksSome(families, others []netpoldv1.IpFamily) bool {
	return slices.ContainsFunc(others, func(f netpoldv1.IpFamily) bool { return !slices.Contains(families, f) })
}

// outcome returns the error that stands for the exit code of a difference that was printed.
func (d *diffVerb) outcome() error {
	switch {
	case d.summary == nil:
		return errors.New("the difference ended without its summary: it is incomplete; ask again")
	case d.summary.GetTruncated():
		return errors.New("not all changes are there: the server stopped at its --max-connections; ask for less by " +
			"--src, --dst or -p, or raise it")
	case d.met:
		return errChanged
	}
	return nil
}

// printer returns what prints the difference in the form -o.
func (d *diffVerb) printer(request *netpoldv1.SimulateRequest) printer[netpoldv1.SimulateResponse] {
	out := d.inv.stdout
	switch d.output {
	case jsonOutput:
		return jsonPrinter[netpoldv1.SimulateResponse](out)
	case htmlOutput:
		page := html.NewDiff(out, html.Options{Command: d.inv.command(), Request: &netpoldv1.ListConnectionsRequest{
			Src: request.GetSrc(), Dst: request.GetDst(), Protocol: request.GetProtocol(), Ports: request.GetPorts(),
			Include: request.GetInclude(),
		}})
		return printer[netpoldv1.SimulateResponse]{add: page.Write, end: page.Close}
	}
	collected := render.NewDiff(request)
	return printer[netpoldv1.SimulateResponse]{add: collected.Add, end: func() error {
		if !collected.Complete() {
			return nil // outcome says so
		}
		wide := d.output == wideOutput || slices.Contains(d.include, "policies")
		return map[string]func(io.Writer, *render.Diff) error{
			csvOutput: render.DiffCSV, dotOutput: render.DiffDOT, svgOutput: render.DiffSVG,
			markdownOutput: render.DiffMarkdown,
			tableOutput:    func(w io.Writer, c *render.Diff) error { return render.DiffTable(w, c, wide) },
			wideOutput:     func(w io.Writer, c *render.Diff) error { return render.DiffTable(w, c, true) },
		}[d.output](out, collected)
	}}
}
