// Package cli is the netpold command: its verbs, their output and their exit codes. It connects the mirror of
// a cluster's state and the server, which do not know each other, and decides nothing itself.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/proto/names"
)

// The exit codes.
const (
	// exitOK means done; for check, allowed.
	exitOK = 0
	// exitDenied means that check answered: denied.
	exitDenied = 1
	// exitUnhealthy means that healthcheck found a server that does not serve, or none.
	exitUnhealthy = 1
	// exitError means that something failed. Standard error says what, and what to do.
	exitError = 2
)

// errDenied is the answer of check, not a failure. It is printed already.
var errDenied = errors.New("denied")

// Run runs the command and returns the exit code: 0 done or allowed, 1 denied or not healthy, 2 error. args
// do not include the program's name. environ has the form of os.Environ. Run ends when ctx ends; serve drains
// first, as on SIGTERM.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer,
	environ []string) int {
	return RunAs(ctx, "netpold", args, stdin, stdout, stderr, environ)
}

// RunAs is [Run] with the name by which the program was called. As kubectl-netpold its help says "kubectl
// netpold".
func RunAs(
	ctx context.Context, program string, args []string, stdin io.Reader, stdout, stderr io.Writer,
	environ []string,
) int {
	out := &outputWriter{w: stdout}
	inv := &invocation{
		program: displayName(program), args: args,
		stdin: stdin, stdout: out, stderr: stderr, environ: environ, config: config.New(),
		colours: colours(stdout, environ),
	}
	root := inv.root()
	root.SetArgs(args)
	switch err := out.join(root.ExecuteContext(ctx)); {
	case errors.Is(out.err, syscall.EPIPE): // who read the output wants no more of it
		return exitError
	case err == nil:
		return exitOK
	case errors.Is(err, errDenied), errors.Is(err, errFailed), errors.Is(err, errFindings), errors.Is(err, errChanged),
		errors.Is(err, errDisagrees):
		return exitDenied
	case errors.As(err, new(unhealthyError)):
		inv.complain(err)
		return exitUnhealthy
	default:
		inv.complain(err)
		inv.printError(root, err)
		return exitError
	}
}

// An invocation is one run of the command.
type invocation struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	config         *config.Config
	// args are the arguments of the command line.
	args []string
	// program is what people type to run it: "netpold" or "kubectl netpold".
	program string
	// running is the verb whose flags were read; nil before.
	running *cobra.Command
	// colours reports whether standard output may have colours.
	colours bool
	// quiet is --quiet: no notice is printed.
	quiet bool
	// errorResults has, by verb, what prints an error as a result. Other verbs print no results.
	errorResults map[string]func(output string, failure error)
	// gaveToken reports whether the token of the questions is that of --at-least.
	gaveToken bool
	// allNamespaces is --all-namespaces.
	allNamespaces bool
	// asked is the client of the server that answers; nil if none does.
	asked *netpold.Client
	// printed has the notes of the whole state that were printed: message by code.
	printed map[string]string
}

// notice prints what the caller should know besides the answer, unless --quiet is given.
func (inv *invocation) notice(format string, args ...any) {
	if !inv.quiet {
		fmt.Fprintf(inv.stderr, "netpold: "+format+"\n", args...)
	}
}

// printProblems prints the problems of the objects that an answer depends on. --quiet hides only warnings.
func (inv *invocation) printProblems(problems []mirror.Problem) {
	first, more := mirror.FirstProblems(problems, maxPrintedProblems)
	for i := range first {
		if problem := &first[i]; problem.Warning {
			inv.notice("%s", problem)
		} else {
			fmt.Fprintf(inv.stderr, "netpold: %s\n", problem)
		}
	}
	if more > 0 {
		inv.notice("%d more problems are not listed", more)
	}
}

// maxPrintedProblems is how many problems are listed. Thousands have one cause, mostly.
const maxPrintedProblems = 100

// addQuiet adds -q. It is no setting: a variable that is set somewhere must not hide a warning.
func (inv *invocation) addQuiet(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&inv.quiet, "quiet", "q", false,
		"print no notices (warnings and notes) on standard error, only errors")
}

// complain prints an error. Joined errors have a line each.
func (inv *invocation) complain(err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(inv.stderr, "netpold: %s\n", inv.named(strings.TrimSuffix(line, "\n")))
	}
}

func (inv *invocation) root() *cobra.Command {
	inv.errorResults = map[string]func(output string, failure error){}
	root := &cobra.Command{
		Use:   "netpold",
		Short: "Answers whether Kubernetes NetworkPolicies allow a connection",
		Long: "netpold answers whether the NetworkPolicies of a Kubernetes cluster allow a connection, and why:\n" +
			"as a gRPC service (serve), or one question at a time (check).\n\n" +
			"Each flag marked [NETPOLD_...] can also be set by that environment variable, or by its name in a\n" +
			"config file (--config). A flag overrides the environment, and the environment the file.",
		Example: "  netpold serve --context staging\n" +
			"  netpold serve --manifests examples/shop\n" +
			"  netpold check --server 127.0.0.1:9480 deploy/shop/frontend svc/shop/cart -p 7070",
		// Errors are printed once, in one form, without the usage.
		SilenceErrors: true,
		SilenceUsage:  true,
		// Without it cobra answers an unknown verb in four lines.
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	root.Version = readBuild().Version // this adds the flag --version
	root.SetVersionTemplate(readBuild().String() + "\n")
	root.SetIn(inv.stdin)
	root.SetOut(inv.stdout)
	root.SetErr(inv.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// a flag after an unknown verb
		if !cmd.HasParent() && len(inv.args) > 0 && !strings.HasPrefix(inv.args[0], "-") {
			return unknownVerb(cmd, inv.args[0])
		}
		return flagError(cmd, err)
	})
	// Long usages are broken into lines.
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 120"))
	root.AddCommand(inv.serveVerb(), inv.checkVerb(), inv.listVerb(), inv.diffVerb(), inv.testVerb(), inv.lintVerb(),
		inv.watchVerb(), inv.auditVerb(),
		inv.statusVerb(), inv.tokenVerb(), inv.healthcheckVerb(), inv.manVerb(), inv.versionVerb())
	root.SetHelpCommand(helpVerb(root))
	root.InitDefaultCompletionCmd()
	strictWords(root)
	inv.nameAll(root)
	return root
}

// helpVerb returns the verb help of cobra, but one that fails for an unknown verb.
func helpVerb(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]",
		Short: "Print the help of netpold or of a verb",
		ValidArgsFunction: func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
			others := func(name string) bool { return !strings.HasPrefix(name, begun) }
			return slices.DeleteFunc(verbNames(root), others), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			verb, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownVerb(root, args[0])
			}
			verb.InitDefaultHelpFlag()
			return verb.Help()
		},
	}
}

// strictWords makes "completion" reject unknown shells. cobra would print its help, which a script would take
// for the result.
func strictWords(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(cmd, "unknown shell %q: give %s", args[0], strings.Join(verbNames(cmd), ", "))
			}
			return cmd.Help()
		}
	}
}

func verbNames(cmd *cobra.Command) []string {
	var names []string
	for _, verb := range cmd.Commands() {
		if !verb.Hidden {
			names = append(names, verb.Name())
		}
	}
	return names
}

// verb returns a verb with the settings in groups. run is called after all settings are loaded. A verb
// without settings ignores them all, even invalid ones.
func (inv *invocation) verb(cmd *cobra.Command, run func(context.Context, []string) error,
	groups ...*pflag.FlagSet) *cobra.Command {
	cmd.DisableFlagsInUseLine = true
	cmd.Flags().SortFlags = false
	for _, group := range groups {
		cmd.Flags().AddFlagSet(group)
	}
	config.RefuseRepeats(cmd.Flags())
	completeChoices(cmd)
	if cmd.Flags().Lookup("namespace") != nil {
		_ = cmd.RegisterFlagCompletionFunc("namespace", inv.completeNamespace) // it fails only for unknown flags
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		inv.running = cmd
		if len(groups) == 0 {
			return run(cmd.Context(), args)
		}
		for _, group := range groups {
			if err := rejectEmpty(cmd, group); err != nil {
				return err
			}
		}
		if err := inv.applyAllNamespaces(cmd); err != nil {
			return err
		}
		warnings, err := inv.config.Load(inv.environ)
		for _, warning := range warnings {
			inv.notice("warning: %s", warning)
		}
		if err != nil {
			return err
		}
		return run(cmd.Context(), args)
	}
	return cmd
}

// completeNamespace completes --namespace with the namespaces that have Pods.
func (inv *invocation) completeNamespace(cmd *cobra.Command, _ []string,
	begun string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, namespace := range inv.completionNamespaces(cmd.Context()) {
		if strings.HasPrefix(namespace, begun) {
			names = append(names, namespace)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeChoices completes the values of flags that accept one of a few words.
func completeChoices(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if choice, ok := config.ValueOf(flag).(*config.Choice); ok {
			// It fails only for unknown flags, and for flags that have one already.
			_ = cmd.RegisterFlagCompletionFunc(flag.Name,
				cobra.FixedCompletions(choice.Words, cobra.ShellCompDirectiveNoFileComp))
		}
	})
}

// usageError returns an error in how the command was called.
func usageError(cmd *cobra.Command, format string, args ...any) error {
	return fmt.Errorf("%s; see '%s --help'", fmt.Sprintf(format, args...), cmd.CommandPath())
}

func unknownVerb(cmd *cobra.Command, word string) error {
	if name := names.Nearest(word, slices.Values(verbNames(cmd))); name != "" {
		return usageError(cmd, "unknown verb %q: did you mean %q?", word, name)
	}
	return usageError(cmd, "unknown verb %q", word)
}

// flagError returns an error of pflag in the form of this command.
func flagError(cmd *cobra.Command, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		flag := invalid.GetFlag()
		return usageError(cmd, "--%s: %q %s", flag.Name, invalid.GetValue(), config.Refusal(flag, err))
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && unknown.GetSpecifiedShortnames() == "" {
		name := unknown.GetSpecifiedName()
		var flags []string
		cmd.Flags().VisitAll(func(flag *pflag.Flag) { flags = append(flags, flag.Name) })
		if near := names.Nearest(name, slices.Values(flags)); near != "" {
			return usageError(cmd, "unknown flag --%s: did you mean --%s?", name, near)
		}
		return usageError(cmd, "unknown flag --%s", name)
	}
	if missing, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return usageError(cmd, "--%s needs a value", missing.GetFlag().Name)
	}
	return usageError(cmd, "%s", err)
}
