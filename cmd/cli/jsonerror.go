package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A statusError is an error for people that keeps its gRPC status.
type statusError struct {
	text string
	of   *status.Status
}

// Error returns the text.
func (e *statusError) Error() string { return e.text }

// GRPCStatus returns the status, with the text as its message.
func (e *statusError) GRPCStatus() *status.Status {
	p := e.of.Proto()
	p.Message = e.text
	return status.FromProto(p)
}

// printError prints an error in the form -o on standard output too: a program that reads the answer also
// reads the error. It has the form of an error of check -f, unless the results of the verb carry errors.
func (inv *invocation) printError(root *cobra.Command, failure error) {
	verb, output, ofLines := formAsked(root, inv.args)
	if asResult := inv.errorResults[verb]; asResult != nil {
		asResult(output, failure)
		return
	}
	if output != jsonOutput && output != yamlOutput || ofLines {
		return
	}
	text, err := errorLine(errorAnswer(failure))
	if err != nil {
		return
	}
	if output == yamlOutput {
		_ = printYAML(inv.stdout, text)
		return
	}
	if indented, err := json.MarshalIndent(json.RawMessage(text), "", "  "); err == nil {
		fmt.Fprintln(inv.stdout, string(indented))
	}
}

// errorAnswer returns an error as check -f answers with it.
func errorAnswer(failure error) *netpoldv1.BatchAnswer {
	st, ok := status.FromError(failure)
	if !ok {
		st = status.New(codes.Unknown, failure.Error())
	}
	return &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: st.Proto()}}
}

// formAsked returns the verb that was called, the value of its -o, and whether its answers are lines (-f). It
// ignores other errors of the call: an unknown flag or value is reported in that form too.
func formAsked(root *cobra.Command, args []string) (verb, output string, ofLines bool) {
	cmd, rest, err := root.Find(args)
	if err != nil {
		cmd, rest = root, args
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	values := map[string]*anyText{}
	add := func(name, shorthand, without string) {
		values[name] = new(anyText)
		flags.AddFlag(&pflag.Flag{Name: name, Shorthand: shorthand, Value: values[name], NoOptDefVal: without})
	}
	cmd.Flags().VisitAll(func(flag *pflag.Flag) { add(flag.Name, flag.Shorthand, flag.NoOptDefVal) })
	if cmd == root { // there is no verb
		add("output", "o", "")
	}
	_ = flags.Parse(rest) // flags before an error count
	if values["output"] != nil {
		output = string(*values["output"])
	}
	return cmd.Name(), output, values["file"] != nil && *values["file"] != ""
}

// An anyText is the value of a flag that accepts any text. After a second, different text neither counts.
type anyText string

const unsure anyText = "\x00"

// Set sets the text.
func (t *anyText) Set(text string) error {
	if *t != "" && *t != anyText(text) {
		text = string(unsure)
	}
	*t = anyText(text)
	return nil
}

// String returns the text.
func (t *anyText) String() string { return string(*t) }

// Type implements [pflag.Value].
func (*anyText) Type() string { return "string" }
