package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/cmd/render"
	spelling "github.com/netpold/netpold/proto/names"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// errFindings means that a lint found what --fail-on names. It is printed already.
var errFindings = errors.New("findings")

// sarifOutput is the form for code hosts.
const sarifOutput = "sarif"

// A lint is one run of the verb lint.
type lint struct {
	inv             *invocation
	cmd             *cobra.Command
	codes, disabled []string
	namespaces      []string
	failOn, output  string
	atLeast         string
	with            []string
	overlay         *overlay
	// result is what is printed at the end; of JSON, header and summary alone.
	result render.Lint
	// met reports whether there is a finding that --fail-on names.
	met bool
}

func (inv *invocation) lintVerb() *cobra.Command {
	l := &lint{inv: inv, failOn: "warning", output: tableOutput}
	l.cmd = &cobra.Command{
		Use:   "lint [--manifests PATH | --server HOST:PORT | --kubeconfig FILE] [flags]",
		Short: "Find policies and rules that do nothing, or not what they seem to",
		Long: "lint finds policies that select nothing, peers and ports that match nothing, rules that others cover,\n" +
			"Pods that nothing isolates, and more; docs/audit.md has every code and what it claims.\n\n" +
			"The annotation netpold.dev/lint-ignore: \"CODE, CODE\" of a policy, or of a Namespace for all that is in\n" +
			"it, suppresses findings; * is all codes. They are counted all the same.\n\n" +
			"-o sarif is for code hosts. File names in it are those of --manifests: run it at the root of the\n" +
			"repository.\n\n" +
			"With --with it lints the state with the changes made; see 'netpold check --help'.\n\n" +
			"Exit code: 0 nothing as bad as --fail-on, 1 findings, 2 error.",
		Example: "  netpold lint --manifests examples/shop\n" +
			"  netpold lint --manifests deploy/ -o sarif > netpold.sarif\n" +
			"  netpold lint --server 127.0.0.1:9480 --ns shop --disable not-isolated --fail-on error",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := l.cmd.Flags()
	f.StringArrayVar(&l.codes, "code", nil, "only findings of `CODE`; repeatable [all]")
	f.StringArrayVar(&l.disabled, "disable", nil, "no findings of `CODE`; repeatable")
	f.Var(config.NewWords(&l.namespaces), "ns", "only findings in namespace `NS`; repeatable [all]")
	f.Var(config.NewChoice(&l.failOn, "error", "warning", "info", "none"), "fail-on",
		"exit with 1 for findings as bad as this")
	f.StringVar(&l.atLeast, "at-least", "",
		"do not answer from an older state than that of `TOKEN`; see 'netpold token'")
	addWith(l.cmd, &l.with)
	f.VarP(config.NewChoice(&l.output, tableOutput, jsonOutput, sarifOutput, markdownOutput), "output", "o", "form of the findings")
	inv.addQuiet(l.cmd)
	inv.errorResults["lint"] = inv.printErrorLine
	return inv.verb(l.cmd, l.run, inv.config.StateFlags(), inv.config.ClientFlags(), inv.config.FileFlags())
}

// wantedCodes returns the codes to look for; nil for all.
func (l *lint) wantedCodes() ([]string, error) {
	known, _ := audit.Codes()
	for _, given := range []struct {
		flag  string
		codes []string
	}{{"--code", l.codes}, {"--disable", l.disabled}} {
		for _, w := range given.codes {
			if !slices.Contains(known, audit.Code(w)) {
				return nil, usageError(l.cmd, "%s %q: %s", given.flag, w, unknownCode(w, known))
			}
		}
	}
	if len(l.disabled) == 0 {
		return l.codes, nil
	}
	var list []string
	for _, c := range known {
		if name := string(c); !slices.Contains(l.disabled, name) &&
			(len(l.codes) == 0 || slices.Contains(l.codes, name)) {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return nil, usageError(l.cmd, "--disable leaves no code to look for: leave one of them out")
	}
	return list, nil
}

func (l *lint) run(ctx context.Context, _ []string) error {
	codes, err := l.wantedCodes()
	if err != nil {
		return err
	}
	if l.overlay, err = l.inv.readOverlay(ctx, withFlag, l.with); err != nil {
		return err
	}
	request := &netpoldv1.LintRequest{
		Codes: codes, Namespaces: l.namespaces, AtLeast: l.atLeast, Suppressed: l.output == sarifOutput,
		Overlay: l.overlay.message(),
	}
	l.inv.gaveToken = l.atLeast != ""
	auditor, closeAuditor, err := l.inv.openAuditor(ctx)
	if err != nil {
		return err
	}
	defer closeAuditor()
	l.inv.printServerNotes(ctx)
	out := l.printer()
	if err := auditor.lint(ctx, request, func(m *netpoldv1.LintResponse) error {
		if m.GetProgress() != nil {
			return nil
		}
		l.look(m)
		return out.take(m)
	}); err != nil {
		return l.failed(err, request)
	}
	if err := out.end(); err != nil {
		return err
	}
	switch {
	case l.result.Summary == nil:
		return errors.New("the findings are not complete: no summary came; try again")
	case l.met:
		return errFindings
	}
	return nil
}

// unknownCode says that a word is no code, and which may be meant.
func unknownCode(word string, known []audit.Code) string {
	names := make([]string, len(known))
	for i, c := range known {
		names[i] = string(c)
	}
	if strings.Contains(word, ",") {
		return "is no code: give the flag once for each code"
	}
	if near := spelling.Nearest(word, slices.Values(names)); near != "" {
		return fmt.Sprintf("there is no such code: did you mean %s?", near)
	}
	return "there is no such code: give one of " + strings.Join(names, ", ")
}

// lintNamespace matches the path of a namespace at the beginning of an error.
var lintNamespace = regexp.MustCompile(`^namespaces\[(\d+)\]: `)

// failed returns the error of a lint for people, with the flag in place of a field.
func (l *lint) failed(err error, request *netpoldv1.LintRequest) error {
	failed := l.inv.auditError(l.overlay, err, nil)
	match := lintNamespace.FindStringSubmatch(failed.Error())
	if match == nil {
		return failed
	}
	i, _ := strconv.Atoi(match[1])
	if i >= len(request.GetNamespaces()) {
		return failed
	}
	text := fmt.Sprintf("--ns %s: %s", request.GetNamespaces()[i], strings.TrimPrefix(failed.Error(), match[0]))
	return &statusError{text, status.Convert(failed)}
}

// look takes from a message what decides the exit code.
func (l *lint) look(m *netpoldv1.LintResponse) {
	switch {
	case m.GetHeader() != nil:
		l.inv.printHeader(l.overlay, m.GetHeader())
		l.result.Header = m.GetHeader()
	case m.GetSummary() != nil:
		l.result.Summary = m.GetSummary()
	case m.GetFinding() != nil:
		f := m.GetFinding()
		least := map[string]netpoldv1.Severity{
			"error": netpoldv1.Severity_SEVERITY_ERROR, "warning": netpoldv1.Severity_SEVERITY_WARNING,
			"info": netpoldv1.Severity_SEVERITY_INFO, "none": netpoldv1.Severity_SEVERITY_ERROR + 1,
		}
		l.met = l.met || !f.GetSuppressed() && f.GetSeverity() >= least[l.failOn]
	}
}

// printer returns what prints the findings in the form -o.
func (l *lint) printer() printer[netpoldv1.LintResponse] {
	out := l.inv.stdout
	if l.output == jsonOutput {
		return jsonPrinter[netpoldv1.LintResponse](out)
	}
	return printer[netpoldv1.LintResponse]{
		add: func(m *netpoldv1.LintResponse) error {
			if f := m.GetFinding(); f != nil {
				l.result.Findings = append(l.result.Findings, f)
			}
			return nil
		},
		end: func() error {
			switch {
			case l.result.Summary == nil:
				return nil // run says so
			case l.output == markdownOutput:
				return render.LintMarkdown(out, &l.result)
			case l.output == sarifOutput:
				return render.SARIF(out, &l.result, readBuild().Version)
			}
			return render.LintTable(out, &l.result)
		},
	}
}
