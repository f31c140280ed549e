package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (inv *invocation) manVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages into a directory",
		Long:    "man writes a manual page for netpold, and one for each verb, into DIR. It creates DIR if needed.",
		Example: "  netpold man ~/.local/share/man/man1 && man netpold-check",
		Args:    cobra.ArbitraryArgs,
	}
	return inv.verb(cmd, func(_ context.Context, args []string) error {
		switch {
		case len(args) == 0:
			return usageError(cmd, "the directory is missing: give DIR")
		case len(args) > 1:
			return usageError(cmd, "%q is one word too many after DIR", args[1])
		}
		if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // manuals are for everybody
			return fmt.Errorf("man: %w", err)
		}
		root := cmd.Root()
		disableTag(root)
		b := readBuild()
		header := &doc.GenManHeader{Title: "NETPOLD", Section: "1", Source: "netpold " + b.Version,
			Manual: "netpold"}
		if made, err := time.Parse(time.RFC3339, b.CommitTime); err == nil {
			header.Date = &made
		}
		if err := doc.GenManTree(root, header, args[0]); err != nil {
			return fmt.Errorf("man: writing into %s: %w", args[0], err)
		}
		return printText(inv.stdout, fmt.Sprintf("%d manual pages in %s\n", pages(root), args[0]))
	})
}

// pages returns the number of commands that have a page: all but help and those for shells.
func pages(cmd *cobra.Command) int {
	count := 1
	for _, verb := range cmd.Commands() {
		if verb.IsAvailableCommand() && !verb.IsAdditionalHelpTopicCommand() {
			count += pages(verb)
		}
	}
	return count
}

// disableTag keeps the date out of the pages, so that equal builds have equal pages.
func disableTag(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	for _, verb := range cmd.Commands() {
		disableTag(verb)
	}
}
