package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/cmd/render"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// errDisagrees means that an audit has records that --fail-on names. They are printed already.
var errDisagrees = errors.New("disagrees")

// The words of --only and --fail-on.
const (
	allFlows        = "all"
	deniedFlows     = "denied"
	allowedFlows    = "allowed"
	disagreeFlows   = "disagree"
	unresolvedFlows = "unresolved"
	noFlows         = "none"
)

// A flowAudit is one run of the verb audit.
type flowAudit struct {
	inv                        *invocation
	cmd                        *cobra.Command
	format, columns, delimiter string
	since, until               string
	only, failOn, output       string
	skipMalformed, summaryOnly bool
	hubble                     hubbleFlags
	listenMetrics              string
	asPolicies, externalBits   string

	printer flowPrinter
	judge   flowJudge
	// malformed is the first malformed record, for people.
	malformed string
	// complete means that the summary is printed: it is the last line, whatever the exit code.
	complete bool
}

func (inv *invocation) auditVerb() *cobra.Command {
	a := &flowAudit{inv: inv, only: allFlows, failOn: disagreeFlows, output: tableOutput}
	a.cmd = &cobra.Command{
		Use: "audit [FILE...|- | --hubble HOST:PORT] " +
			"[--manifests PATH | --server HOST:PORT | --kubeconfig FILE] [flags]",
		Short: "Hold what the network did against what the policies say",
		Long: "audit reads records of connections, asks for each what the policies say, and compares: records of Hubble\n" +
			"('hubble observe -o json'), lines of JSON, CSV, or the decision log of netpold serve. It reads files in\n" +
			"order, gzipped or not, or standard input, as long as it lasts. With --hubble it follows Hubble Relay,\n" +
			"from now on or from --since, until --until or until it is interrupted; then the policies move on too,\n" +
			"with a server or a cluster, and the summary comes at the end. What happens on the way is told on standard\n" +
			"error.\n\n" +
			"Policies are those of now, whatever the time of the records. A record is not compared where the cluster\n" +
			"is known to have changed since: a Pod has another address now, a Pod or a policy is younger than the\n" +
			"record. docs/audit.md has every reason. The summary says how many records are older than the newest\n" +
			"policy.\n\n" +
			"JSON lines and CSV have the columns src, dst, port, protocol, verdict, direction, time and reply, or\n" +
			"usual names of these; --columns gives others: --columns src=client,dst=server. src and dst are\n" +
			"addresses, or words of check.\n\n" +
			"-o json prints one message a line, the summary last: output without it is incomplete. -o csv has a line\n" +
			"for each record or, with --summary-only, for each pair of workloads.\n\n" +
			"Exit code: 0 done; 1 done, and a record is as --fail-on says; 2 an error, a malformed record (unless\n" +
			"--skip-malformed), or an input that could not be read to its end. If it is interrupted there is no\n" +
			"summary, but with --hubble there is.\n\n" +
			"--as-policies prints NetworkPolicies instead, which admit the flows: see docs/audit.md.",
		Example: "  netpold audit flows.json --manifests examples/shop\n" +
			"  hubble observe --last 100000 -o json | netpold audit --server 127.0.0.1:9480 --only disagree\n" +
			"  netpold audit --context staging firewall.csv.gz --columns src=client,dst=server,verdict=action -o json\n" +
			"  netpold audit decisions.log --server 127.0.0.1:9480 --since 24h --summary-only",
		Args: cobra.ArbitraryArgs,
	}
	f := a.cmd.Flags()
	f.Var(config.NewChoice(&a.format, formatWords()...), "format", "how the records are written; auto looks at the first line")
	f.StringVar(&a.columns, "columns", "", "columns of JSON lines or CSV: `NAME=COLUMN,...`")
	f.StringVar(&a.delimiter, "delimiter", "", "`CHARACTER` between the cells of CSV, or tab [,]")
	f.StringVar(&a.since, "since", "", "only records from `TIME` on: RFC 3339, Unix seconds, or as 2h for so long ago")
	f.StringVar(&a.until, "until", "", "only records before `TIME`")
	f.Var(config.NewChoice(&a.only, allFlows, deniedFlows, allowedFlows, disagreeFlows, unresolvedFlows), "only",
		"print only these records; all are counted")
	f.Var(config.NewChoice(&a.failOn, disagreeFlows, deniedFlows, noFlows), "fail-on", "exit with 1 for such a record")
	f.BoolVar(&a.skipMalformed, "skip-malformed", false, "malformed records are counted, and no error")
	f.BoolVar(&a.summaryOnly, "summary-only", false, "print no records, only the summary")
	a.hubble.add(a.cmd)
	f.StringVar(&a.listenMetrics, "listen-metrics", "", "serve Prometheus metrics of this run on `HOST:PORT`")
	f.VarP(config.NewChoice(&a.output, tableOutput, jsonOutput, csvOutput), "output", "o", "form of the output")
	a.addPolicyFlags()
	inv.addQuiet(a.cmd)
	inv.errorResults["audit"] = func(output string, failure error) {
		if !a.complete {
			inv.printErrorLine(output, failure)
		}
	}
	return inv.verb(a.cmd, a.run, inv.config.StateFlags(), inv.config.ClientFlags(), inv.config.FileFlags())
}

func formatWords() []string {
	var words []string
	for _, f := range flows.Formats() {
		words = append(words, string(f))
	}
	return words
}

func (a *flowAudit) run(ctx context.Context, args []string) error {
	if err := a.hubble.usage(a.cmd, args); err != nil {
		return err
	}
	live := a.hubble.Server != ""
	if len(args) == 0 && !live {
		args = []string{"-"}
	}
	if err := a.usage(args); err != nil {
		return err
	}
	options, err := flows.ParseOptions(a.format, a.columns, a.delimiter)
	if err != nil {
		return usageError(a.cmd, "--%s", err)
	}
	if a.judge.window, err = a.window(time.Now()); err != nil {
		return err
	}
	proposal, err := a.policyOptions()
	if err != nil {
		return err
	}
	if proposal != nil && a.inv.config.Client.Server != "" {
		return usageError(a.cmd, "--%s takes the labels of all Pods, which --server does not tell: give --manifests, or "+
			"--kubeconfig for the cluster itself", asPoliciesFlag)
	}
	var source flowInput
	if !live {
		if source, err = a.inv.openFlows(args, options); err != nil {
			return err
		}
	}
	asker, closeAsker, err := a.inv.openAsker(ctx)
	if err != nil {
		return err
	}
	defer closeAsker()
	interrupted, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer release()
	a.inv.printServerNotes(interrupted)
	ends := interrupted
	if live {
		// There is no other end than an interrupt: it ends the input, and the summary comes then. A second signal
		// ends the process.
		defer context.AfterFunc(interrupted, release)()
		if source, err = a.inv.openHubble(interrupted, &a.hubble, a.judge.window); err != nil {
			return err
		}
		ends = ctx
	}
	// Policies move on while flows are followed, unless they are proposed.
	if near, ok := asker.(local); ok && (!live || proposal != nil) {
		frozen, state := near.frozen() // A1
		if proposal != nil {
			return a.proposePolicies(ends, source, frozen, state.Snapshot, *proposal)
		}
		asker = frozen
	}
	return a.audit(ends, source, asker)
}

// usage returns what is wrong with how the verb was called; nil if nothing is.
func (a *flowAudit) usage(args []string) error {
	stdin := 0
	for _, arg := range args {
		if arg == "-" {
			stdin++
		}
	}
	switch {
	case stdin > 1:
		return usageError(a.cmd, "- is given twice: standard input can be read once")
	case stdin == 1 && slices.Contains(a.inv.config.State.Manifests, "-"):
		return usageError(a.cmd, "--manifests - and the records exclude each other: standard input can be read once; give "+
			"the records as a file")
	case a.listenMetrics == "" && a.cmd.Flags().Changed("listen-metrics"):
		return usageError(a.cmd, "--listen-metrics: its value is empty: give HOST:PORT, or leave the flag out")
	case a.summaryOnly && a.cmd.Flags().Changed("only"):
		return usageError(a.cmd, "--only and --summary-only exclude each other: leave one of them out")
	}
	return nil
}

// window returns the window of --since and --until.
func (a *flowAudit) window(now time.Time) (w flows.Window, err error) {
	for _, bound := range []struct {
		flag, text string
		to         *time.Time
	}{{"since", a.since, &w.Since}, {"until", a.until, &w.Until}} {
		if bound.text == "" {
			if a.cmd.Flags().Changed(bound.flag) {
				return w, usageError(a.cmd, "--%s: its value is empty: give one, or leave the flag out", bound.flag)
			}
			continue
		}
		if *bound.to, err = parseTime(bound.text, now); err != nil {
			return w, usageError(a.cmd, "--%s: %q %v, or how long ago, such as 90m", bound.flag, bound.text, err)
		}
	}
	if !w.Since.IsZero() && !w.Until.IsZero() && !w.Since.Before(w.Until) {
		return w, usageError(a.cmd, "--since %s is not before --until %s: there is no time between them", a.since, a.until)
	}
	return w, nil
}

// parseTime parses a time as records have it, or as how long before now it was.
func parseTime(text string, now time.Time) (time.Time, error) {
	t, err := flows.ParseTime(text)
	if err == nil {
		return t, nil
	}
	if ago, wrong := time.ParseDuration(text); wrong == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return t, err
}

// audit judges the records of a source.
func (a *flowAudit) audit(ctx context.Context, source flowInput, asker asker) error {
	defer source.close()
	started := time.Now()
	header, newest, err := a.inv.flowHeader(ctx, asker)
	if err != nil {
		return a.inv.callError(err)
	}
	answers, err := newFlowAnswers(a.inv, asker)
	if err != nil {
		return err
	}
	a.printer = newFlowPrinter(a.output, a.inv.stdout, a.summaryOnly)
	if err := a.printer.header(header); err != nil {
		return err
	}
	a.judge.source, a.judge.answers = source, answers
	a.judge.summary = flows.NewSummary(newest, 0)
	line, at := render.FlowLine{Flow: new(netpoldv1.Flow)}, new(timestamppb.Timestamp)
	count, stop, err := a.startMetrics(ctx, source)
	if err != nil {
		return err
	}
	defer stop()
	a.judge.sink = func(j *judgedFlow) error {
		count(j)
		if j.Why == flows.Malformed && a.malformed == "" {
			a.malformed = fmt.Sprintf("%s: line %d: %s", j.record.File, j.record.Line, j.record.Problem)
		}
		if !a.selects(j) {
			return nil
		}
		j.fill(&line, at)
		return a.printer.flow(&line)
	}
	a.judge.pause = a.printer.flush
	progress := a.inv.startProgress(source, a.summaryOnly)
	err = a.judge.run(ctx)
	progress.stop()
	if err != nil {
		return errors.Join(a.stopped(ctx, err), a.printer.flush())
	}
	followed, live := source.(*hubbleSource)
	if answers.era > 1 && !live {
		a.inv.notice("the server's snapshot moved on %d times meanwhile: each record's revision says on which it rests",
			answers.era-1)
	}
	summary := protoFlowSummary(a.judge.summary, header.GetSnapshotTime(), time.Since(started), source.failures())
	if live {
		followed.summarize(summary)
		// It rests on all snapshots meanwhile. If the last one is not told, it is the first.
		if last, _, err := a.inv.flowHeader(ctx, asker); err == nil {
			summary.SnapshotTime = last.GetSnapshotTime()
		}
	}
	if err := a.printer.summary(summary); err != nil {
		return err
	}
	if err := a.printer.flush(); err != nil {
		return err
	}
	a.complete = true
	return a.result(source.failures())
}

// startMetrics serves what it counts, if --listen-metrics is given, until stop is called.
func (a *flowAudit) startMetrics(ctx context.Context, source flowInput) (count func(*judgedFlow), stop func(), err error) {
	if a.listenMetrics == "" {
		return func(*judgedFlow) {}, func() {}, nil
	}
	m := newFlowMetrics()
	if followed, ok := source.(*hubbleSource); ok {
		m.follow(followed.Counts)
	}
	stop, err = m.serve(ctx, a.inv, a.listenMetrics)
	return m.count, stop, err
}

// stopped returns why an audit has no summary.
func (a *flowAudit) stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("stopped after %d records, without a summary: %w", a.judge.summary.Records, context.Cause(ctx))
}

// selects reports whether a record is printed.
func (a *flowAudit) selects(j *judgedFlow) bool {
	verdict := j.answer != nil && j.Why != flows.Unresolved
	switch {
	case a.summaryOnly:
		return false
	case a.only == deniedFlows:
		return verdict && !j.answer.Reason.Allowed()
	case a.only == allowedFlows:
		return verdict && j.answer.Reason.Allowed()
	case a.only == disagreeFlows:
		return j.Compared == flows.Disagrees
	case a.only == unresolvedFlows:
		return j.Why == flows.Unresolved
	}
	return true
}

// result returns what the exit code says (F7): 2 outranks 1.
func (a *flowAudit) result(failed []error) error {
	s := a.judge.summary
	if n := s.ByWhy()[flows.Malformed]; n > 0 && !a.skipMalformed {
		failed = append(failed, fmt.Errorf("%d of %d records are malformed; the first is %s", n, s.Records, a.malformed))
	}
	switch {
	case len(failed) > 0:
		return errors.Join(failed...)
	case a.failOn == disagreeFlows && s.Disagrees > 0, a.failOn == deniedFlows && s.Denied > 0:
		return errDisagrees
	}
	return nil
}
