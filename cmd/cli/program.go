package cli

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// displayName returns what people type to run the program under this name. kubectl runs kubectl-netpold as its own verb.
func displayName(program string) string {
	if strings.TrimSuffix(filepath.Base(program), ".exe") == "kubectl-netpold" {
		return "kubectl netpold"
	}
	return "netpold"
}

// ownCommand matches a command of ours in a text: the program and one of its verbs, or what stands for them.
var ownCommand = regexp.MustCompile(`(?:kubectl )?\bnetpold (serve|check|test|status|token|healthcheck|man|version|completion|help|VERB|\.\.\.)`)

// named returns a text with our own commands as people type them.
func (inv *invocation) named(text string) string {
	if inv.program == "" || inv.program == "netpold" {
		return text
	}
	return ownCommand.ReplaceAllString(text, inv.program+" $1")
}

// nameAll makes the help of every verb speak of the program as people type it.
func (inv *invocation) nameAll(cmd *cobra.Command) {
	if inv.program == "" || inv.program == "netpold" {
		return
	}
	if !cmd.HasParent() {
		cmd.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: inv.program}
	}
	cmd.Short, cmd.Long, cmd.Example = inv.named(cmd.Short), inv.named(cmd.Long), inv.named(cmd.Example)
	for _, verb := range cmd.Commands() {
		inv.nameAll(verb)
	}
}
