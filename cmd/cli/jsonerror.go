package cli

import (
	"encoding/json"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// statusError is an error for people that keeps the gRPC status which it is made of.
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

// printError prints an error as JSON or YAML on standard output as well, when the verb was asked for that form: a program
// that reads the answer reads the error too. It has the form of an error of check -f.
func (inv *invocation) printError(failure error) {
	cmd := inv.running
	if cmd == nil {
		return
	}
	output := cmd.Flags().Lookup("output")
	if cmd.Name() == "test" { // whose results are documents that have errors in them
		return
	}
	if output == nil || output.Value.String() != jsonOutput && output.Value.String() != yamlOutput || cmd.Flags().Changed("file") {
		return
	}
	st, ok := status.FromError(failure)
	if !ok {
		st = status.New(codes.Unknown, failure.Error())
	}
	text, err := errorLine(&netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: st.Proto()}})
	if err != nil {
		return
	}
	if output.Value.String() == yamlOutput {
		_ = printYAML(inv.stdout, text) // the error is on standard error in any case
		return
	}
	if indented, err := json.MarshalIndent(json.RawMessage(text), "", "  "); err == nil {
		fmt.Fprintln(inv.stdout, string(indented))
	}
}
