package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/cmd/render"
	"github.com/netpold/netpold/cmd/render/html"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// The forms of a list.
const (
	tableOutput = "table"
	wideOutput  = "wide"
	csvOutput   = "csv"
	dotOutput   = "dot"
	svgOutput   = "svg"
	htmlOutput  = "html"
)

// A listVerb is one run of the verb list.
type listVerb struct {
	inv *invocation
	cmd *cobra.Command
	filters
	exposure bool
	only     string
	output   string
	with     []string
	overlay  *overlay
}

func (inv *invocation) listVerb() *cobra.Command {
	l := &listVerb{inv: inv}
	l.cmd = &cobra.Command{
		Use: "list [--src WORD]... [--dst WORD]... [-p PORT[-PORT]]... " +
			"[--manifests PATH | --server HOST:PORT | --kubeconfig FILE] [flags]",
		Short: "List who may reach whom on what",
		Long: "list prints who may open connections to whom on which ports: all of the cluster, or what --src and\n" +
			"--dst name. \"Who can reach X\" is --dst X alone, \"what can X reach\" --src X alone.\n\n" +
			"WORD is a word of check, or\n" +
			"  ns/shop                         every Pod of a namespace\n" +
			"  'pods/shop?app=web,tier!=old'   the Pods of a namespace that a selector matches, as kubectl's -l;\n" +
			"                                  pods/*?SELECTOR for every namespace\n" +
			"  external                        what is outside the cluster\n" +
			"  cluster                         what is in the cluster\n" +
			"Repeated words add up. What names nothing is an error.\n\n" +
			"What is listed is what the policies say, without the exceptions for a Pod to itself and to its own\n" +
			"Node. Rows of -o table have workloads; PODS says of how many Pods a row speaks if not of all.\n\n" +
			"-o json prints one message of ListConnections a line, the summary last: output without it is\n" +
			"incomplete. -o csv is for spreadsheets, -o dot for Graphviz, -o svg for people. -o html is a report in one\n" +
			"file, with policies and exposure: a matrix, graphs and a list, to be filtered; it needs no network.\n\n" +
			"With --with the list is that of the state with the changes made; see 'netpold check --help'.\n\n" +
			"Exit code: 0 listed; 2 error.",
		Example: "  netpold list --manifests examples/shop --dst sts/shop/redis\n" +
			"  netpold list --manifests examples/shop --src ns/payments --dst external\n" +
			"  netpold list --server 127.0.0.1:9480 --only exposed -p 22 -p 3389 --protocol tcp\n" +
			"  netpold list --context staging --dst ns/payments --with new-policies/\n" +
			"  netpold list --context staging -o html > staging.html",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := l.cmd.Flags()
	l.add(l.cmd, "list", "also list addresses of Nodes, Services as destinations, the rules that allow", "nodes", "services",
		"policies")
	f.BoolVar(&l.exposure, "exposure", false, "also list what Pods that do not exist yet could do")
	f.Var(config.NewChoice(&l.only, "any", "isolated", "open", "exposed"), "only",
		"list only connections with an end that is isolated, that is not, or that anybody can reach")
	addWith(l.cmd, &l.with)
	f.VarP(config.NewChoice(&l.output, tableOutput, wideOutput, jsonOutput, csvOutput, dotOutput, svgOutput, htmlOutput),
		"output", "o", "form of the list")
	inv.addAllNamespaces(l.cmd)
	inv.addQuiet(l.cmd)
	inv.errorResults["list"] = inv.printErrorLine
	cmd := inv.verb(l.cmd, l.run, inv.config.StateFlags(), inv.config.ClientFlags(), inv.config.FileFlags())
	l.complete(inv, cmd)
	return cmd
}

// printErrorLine prints an error as a line of JSON, where the results are lines of JSON.
func (inv *invocation) printErrorLine(output string, failure error) {
	if output != jsonOutput {
		return
	}
	if text, err := errorLine(errorAnswer(failure)); err == nil {
		fmt.Fprintf(inv.stdout, "%s\n", text)
	}
}

func (l *listVerb) run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return usageError(l.cmd, "%q: list takes words by --src and --dst", args[0])
	}
	if l.exposure && slices.Contains([]string{csvOutput, dotOutput, svgOutput}, l.output) {
		return usageError(l.cmd, "--exposure does not go with -o %s, which has no place for it: give -o table, wide, json "+
			"or html", l.output)
	}
	request, err := l.request()
	if err != nil {
		return err
	}
	if l.overlay, err = l.inv.readOverlay(ctx, withFlag, l.with); err != nil {
		return err
	}
	request.Overlay = l.overlay.message()
	auditor, closeAuditor, err := l.inv.openAuditor(ctx)
	if err != nil {
		return err
	}
	defer closeAuditor()
	l.inv.printServerNotes(ctx)
	out := l.printer(request)
	if err := listWhole(ctx, auditor, request, func(m *netpoldv1.ListConnectionsResponse) error {
		l.inv.printHeader(l.overlay, m.GetHeader())
		return out.take(m)
	}); err != nil {
		return l.inv.auditError(l.overlay, err, request)
	}
	return out.end()
}

// request returns what words and flags ask for.
func (l *listVerb) request() (*netpoldv1.ListConnectionsRequest, error) {
	src, dst, err := l.ends()
	if err != nil {
		return nil, err
	}
	// The report shows what decides, and whom anybody can reach.
	report := l.output == htmlOutput
	request := &netpoldv1.ListConnectionsRequest{Src: src, Dst: dst, Include: l.included(l.output == wideOutput || report)}
	request.Protocol, request.Ports = l.protocolAndPorts()
	if l.exposure || report {
		request.Include = append(request.Include, netpoldv1.Include_INCLUDE_EXPOSURE)
	}
	request.Only = map[string]netpoldv1.Only{
		"isolated": netpoldv1.Only_ONLY_ISOLATED, "open": netpoldv1.Only_ONLY_OPEN, "exposed": netpoldv1.Only_ONLY_EXPOSED,
	}[l.only]
	return request, nil
}

// printer returns what prints the list in the form -o.
func (l *listVerb) printer(request *netpoldv1.ListConnectionsRequest) printer[netpoldv1.ListConnectionsResponse] {
	out := l.inv.stdout
	switch l.output {
	case jsonOutput:
		return jsonPrinter[netpoldv1.ListConnectionsResponse](out)
	case htmlOutput:
		// The report says what was asked. It is passed on, so it has nothing of the files of --with.
		asked := proto.CloneOf(request)
		asked.Overlay = nil
		page := html.NewList(out, html.Options{Request: asked, Command: l.inv.command()})
		return printer[netpoldv1.ListConnectionsResponse]{add: page.Write, end: page.Close}
	}
	collected := render.NewList(request)
	return printer[netpoldv1.ListConnectionsResponse]{add: collected.Add, end: func() error {
		if !collected.Complete() {
			return errors.New("the list ended without its summary: it is incomplete; ask again")
		}
		wide := l.output == wideOutput || slices.Contains(l.include, "policies")
		return map[string]func(io.Writer, *render.List) error{
			csvOutput: render.CSV, dotOutput: render.DOT, svgOutput: render.SVG,
			tableOutput: func(w io.Writer, c *render.List) error { return render.Table(w, c, wide) },
			wideOutput:  func(w io.Writer, c *render.List) error { return render.Table(w, c, true) },
		}[l.output](out, collected)
	}}
}

// command returns the call as people would type it, for the head of a report.
func (inv *invocation) command() string {
	words := []string{inv.program}
	for _, arg := range inv.args {
		if strings.ContainsAny(arg, " ?*&'\"\\$`!(){}<>|;#~\t\n") {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
