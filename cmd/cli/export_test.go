package cli

import (
	"github.com/spf13/cobra"

	"github.com/netpold/netpold/cmd/config"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// NewRoot returns the command with all its verbs, for tests that look at every flag.
func NewRoot() *cobra.Command { return (&invocation{config: config.New()}).root() }

// AnswerText returns an answer as check prints it, for tests of answers that no small cluster gives.
func AnswerText(q *netpoldv1.AllowedRequest, a *netpoldv1.AllowedResponse) string {
	return answerText(q, a)
}
