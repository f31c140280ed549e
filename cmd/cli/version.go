package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// A build describes what netpold was built from.
type build struct {
	// Version is the version of the module; "dev" if it was built without one.
	Version string `json:"version"`
	// Commit is the revision in git, and CommitTime its time; empty if unknown.
	Commit     string `json:"commit,omitempty"`
	CommitTime string `json:"commitTime,omitempty"`
	// Modified means that the source was changed since that commit.
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readBuild() build {
	b := build{Version: "dev", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.time":
			b.CommitTime = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

// String returns the build in one line.
func (b build) String() string {
	commit := ""
	if b.Commit != "" {
		commit = ", commit " + b.Commit
		if b.Modified {
			commit += " with changes"
		}
	}
	return fmt.Sprintf("netpold %s%s, %s, %s", b.Version, commit, b.Go, b.Platform)
}

func (inv *invocation) versionVerb() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:               "version [flags]",
		Short:             "Print the version of this netpold",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	addOutput(cmd.Flags(), &output)
	return inv.verb(cmd, func(context.Context, []string) error {
		b := readBuild()
		if output == textOutput {
			return printText(inv.stdout, b.String()+"\n")
		}
		text, err := json.MarshalIndent(b, "", "  ")
		if err != nil {
			return fmt.Errorf("writing JSON: %w", err)
		}
		if output == yamlOutput {
			return printYAML(inv.stdout, text)
		}
		return printText(inv.stdout, string(text)+"\n")
	})
}

// noArgs rejects words that a verb does not accept.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(cmd, "%q: %s takes no words, only flags", args[0], cmd.Name())
	}
	return nil
}
