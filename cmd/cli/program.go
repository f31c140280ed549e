package cli

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// displayName returns what people type to run the program. kubectl runs kubectl-netpold as one of its verbs.
func displayName(program string) string {
	if strings.TrimSuffix(filepath.Base(program), ".exe") == "kubectl-netpold" {
		return "kubectl netpold"
	}
	return "netpold"
}

// ownCommand matches a command of netpold in a text: the program and a verb, or a placeholder for the verb.
var ownCommand = regexp.MustCompile(
	`(?:kubectl )?\bnetpold (serve|check|watch|list|lint|diff|audit|test|status|token|healthcheck|man|version|completion|help|` +
		`VERB|\.\.\.)`)

// named returns a text with the commands of netpold as people type them.
func (inv *invocation) named(text string) string {
	if inv.program == "" || inv.program == "netpold" {
		return text
	}
	return ownCommand.ReplaceAllString(text, inv.program+" $1")
}

// nameAll changes the help of every verb to the program as people type it.
func (inv *invocation) nameAll(cmd *cobra.Command) {
	if inv.program == "" || inv.program == "netpold" {
		return
	}
	if !cmd.HasParent() {
		cmd.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: inv.program}
	}
	cmd.Short, cmd.Long, cmd.Example = inv.named(cmd.Short), inv.named(cmd.Long), inv.named(cmd.Example)
	cmd.Flags().VisitAll(func(flag *pflag.Flag) { flag.Usage = inv.named(flag.Usage) })
	for _, verb := range cmd.Commands() {
		inv.nameAll(verb)
	}
}
