package cli

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/notes"
)

// printNotes prints the notes of an answer. A note never changes a verdict. Of a state with changes laid over it
// what is no longer so is printed again.
func (inv *invocation) printNotes(list []*netpoldv1.Note, overlaid bool) {
	for _, note := range list {
		if told := inv.printed[note.GetCode()]; told == "" || overlaid && told != note.GetMessage() {
			inv.note(note.GetCode(), note.GetMessage())
		}
	}
}

// printStateNotes prints the notes of the whole state. The notes of answers do not repeat them.
func (inv *invocation) printStateNotes(source mirror.Source) {
	state, ok := source.State()
	if !ok {
		return
	}
	status := source.Status()
	for _, note := range mirror.Notes(&status, state.Snapshot) {
		inv.printStateNote(note.Code, note.Message)
	}
}

// printServerNotes prints the notes of the whole state of the server that is asked, for verbs whose answers
// have no notes. It does nothing if no server is asked.
func (inv *invocation) printServerNotes(ctx context.Context) {
	if inv.asked == nil || inv.quiet {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, inv.config.Client.Timeout)
	defer cancel()
	st, err := inv.asked.Status(ctx)
	switch status.Code(err) {
	case codes.OK:
		for _, note := range st.GetNotes() {
			inv.printStateNote(note.GetCode(), note.GetMessage())
		}
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		// The question comes next, and fails in the same way.
	default:
		inv.notice("note: the server does not tell the notes of its state: %s", inv.callError(err))
	}
}

func (inv *invocation) printStateNote(code, message string) {
	if inv.printed == nil {
		inv.printed = make(map[string]string)
	}
	inv.printed[code] = message
	inv.note(code, message)
}

// note prints one note. One that says that answers may be wrong is a warning.
func (inv *invocation) note(code, message string) {
	tone := "note"
	if code == notes.UnmodelledPolicies {
		tone = "warning"
	}
	inv.notice("%s: %s", tone, message)
}
