package cli

import (
	"github.com/spf13/cobra"

	"github.com/netpold/netpold/cmd/config"
)

// NewRoot returns the command with all its verbs, for tests that look at every flag.
func NewRoot() *cobra.Command { return (&invocation{config: config.New()}).root() }
