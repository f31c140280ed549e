package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/netpold/netpold/cmd/assertion"
	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// NewRoot returns the command with all its verbs, for tests that look at every flag.
func NewRoot() *cobra.Command { return (&invocation{config: config.New()}).root() }

// AnswerText returns an answer as check prints it, for tests of answers that no small cluster gives.
func AnswerText(q *netpoldv1.AllowedRequest, a *netpoldv1.AllowedResponse) string {
	return answerText(q, a)
}

// Generate returns the assertions that "test --generate" prints of a source's state, and how many hold when
// they are asked.
func Generate(ctx context.Context, source mirror.Source) (text, held string, err error) {
	inv := &invocation{config: config.New()}
	l := newLocal(source)
	g := newGenerator(l, defaultLimit)
	if text, err = g.text(ctx); err != nil {
		return "", "", err
	}
	list, wrong := assertion.Parse([]byte(text))
	if len(wrong) > 0 {
		return text, "", wrong[0]
	}
	results, err := newTestRun(inv, l).results(ctx, []assertionFile{{"generated", list}})
	if err != nil {
		return text, "", err
	}
	return text, resultsText(results, false), nil
}

// Paint returns text as a terminal gets it.
func Paint(text string) string { return paint(text) }

// ProgressText is progressText.
var ProgressText = progressText
