package cli

import (
	"context"
	"errors"
	"fmt"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits/explaintext"
)

// explainOne runs check --explain on one question.
func (c *check) explainOne(ctx context.Context, question *netpoldv1.AllowedRequest) error {
	auditor, closeAuditor, err := c.inv.openAuditor(ctx)
	if err != nil {
		return err
	}
	defer closeAuditor()
	response, err := c.why(ctx, auditor, question)
	if err != nil {
		return err
	}
	c.inv.printNotes(response.GetAnswer().GetNotes(), c.overlay != nil)
	if c.output == jsonOutput || c.output == yamlOutput {
		err = c.inv.printMessage(response, c.output)
	} else {
		err = printText(c.inv.stdout, c.inv.painted(c.explanationText(response)))
	}
	if err == nil && !response.GetAnswer().GetAllowed() {
		err = errDenied
	}
	return err
}

// why explains the answer to a question. Its errors have the words and fields of those of the question asked
// alone.
func (c *check) why(
	ctx context.Context, from auditor, question *netpoldv1.AllowedRequest,
) (*netpoldv1.ExplainResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, c.inv.config.Client.Timeout)
	defer cancel()
	response, err := c.overlaid(ctx, from, question)
	switch {
	case err == nil && response.GetAnswer() == nil:
		return nil, errors.New("the server explained nothing: is it a netpold, and as new as this one?")
	case err == nil:
		return response, nil
	case c.overlay.isRefused(err):
		return nil, &refusedOverlayError{c.inv.overlayError(c.overlay, err), err}
	}
	return nil, c.inv.callError(err)
}

// explanationText returns an explanation for people.
func (c *check) explanationText(response *netpoldv1.ExplainResponse) string {
	if c.output == wideOutput {
		return explaintext.Text(response, true)
	}
	return response.GetText()
}

// explain explains the lines of a group in order, and prints each explanation or error as soon as it is known.
func (l *lines) explain(ctx context.Context, group []line) error {
	for _, of := range group {
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("-f %s: stopped before line %d: %w", l.check.file, of.number, err)
		}
		response, failed, err := l.explainLine(ctx, of)
		if err != nil {
			return err
		}
		write := l.writeBlock
		if l.check.output == jsonOutput {
			write = l.writeExplanation
		}
		if err := write(of, response, failed); err != nil {
			return err
		}
		if err := l.out.Flush(); err != nil {
			return fmt.Errorf("writing the answers: %w", err)
		}
	}
	return nil
}

// explainLine returns the explanation of a line, or why there is none. The error means that no line has one.
func (l *lines) explainLine(ctx context.Context, of line) (*netpoldv1.ExplainResponse, *spb.Status, error) {
	switch atLeast := l.check.atLeast; {
	case of.err != nil:
		return nil, of.err, nil
	case atLeast != "" && of.question.GetAtLeast() == "":
		of.question.AtLeast = atLeast
	case atLeast != "" && of.question.GetAtLeast() != atLeast:
		return nil, badLine("at_least", "at_least: the line has another token than --at-least: leave one of them out"), nil
	}
	response, err := l.check.why(ctx, l.auditor, of.question)
	if refused, ok := errors.AsType[*refusedOverlayError](err); ok {
		return nil, nil, refused
	}
	if err != nil {
		return nil, status.Convert(err).Proto(), nil
	}
	return response, nil, nil
}

// writeExplanation writes an ExplainResponse or {"error": ...}.
func (l *lines) writeExplanation(of line, response *netpoldv1.ExplainResponse, failed *spb.Status) error {
	if failed != nil {
		return l.writeError(of, failed)
	}
	l.answered++
	text, err := jsonLine(response)
	if err != nil {
		return err
	}
	return l.put(of, text)
}

// writeBlock writes an explanation or an error for people, with an empty line before all but the first.
func (l *lines) writeBlock(of line, response *netpoldv1.ExplainResponse, failed *spb.Status) error {
	block := ""
	if l.answered+l.failed > 0 {
		block = "\n"
	}
	if failed != nil {
		text := fmt.Sprintf("ERROR line %d: %s\n", of.number, l.fails(of, failed).GetMessage())
		return l.print(block + l.check.inv.painted(text))
	}
	l.answered++
	return l.print(block + l.check.inv.painted(l.check.explanationText(response)))
}
