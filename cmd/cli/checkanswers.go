package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// answer asks a group, and writes its answers and errors in order.
func (l *lines) answer(ctx context.Context, group []line) error {
	if l.auditor != nil {
		return l.explain(ctx, group)
	}
	questions := make([]*netpoldv1.AllowedRequest, 0, len(group))
	for _, line := range group {
		if line.err == nil {
			questions = append(questions, line.question)
		}
	}
	// An error of a whole call is the error of each of its lines, but without its changes nothing is answered.
	answers, err := l.ask(ctx, questions)
	if refused, ok := errors.AsType[*refusedOverlayError](err); ok {
		return refused
	}
	for _, line := range group {
		answer := &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: line.err}}
		if line.err == nil {
			answer, answers = answers[0], answers[1:]
		}
		if err := l.write(line, answer); err != nil {
			return err
		}
	}
	return nil
}

// write writes one answer: an AllowedResponse or {"error": ...}.
func (l *lines) write(of line, answer *netpoldv1.BatchAnswer) error {
	response := answer.GetResponse()
	if response == nil {
		return l.writeError(of, answer.GetError())
	}
	l.answered++
	text, err := jsonLine(response)
	if err == nil && !of.question.GetDetails() {
		text, err = withoutFields(text, "port", "protocol", "notes")
	}
	if err != nil {
		return err
	}
	return l.put(of, text)
}

// writeError writes {"error": ...}, which is the JSON of a BatchAnswer with an error.
func (l *lines) writeError(of line, st *spb.Status) error {
	st = l.fails(of, st)
	text, err := errorLine(&netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: st}})
	if err != nil {
		return err
	}
	return l.put(of, text)
}

// fails counts a line that is not answered, and returns why. st may be nil.
func (l *lines) fails(of line, st *spb.Status) *spb.Status {
	if st == nil {
		st = status.New(codes.Internal, "the server sent neither a response nor an error").Proto()
	}
	if l.failed++; l.failed == 1 {
		l.first = fmt.Sprintf("line %d: %s", of.number, st.GetMessage())
	}
	return st
}

// put prints the JSON of an answer, beside its question if --echo is given.
func (l *lines) put(of line, text []byte) error {
	if l.check.echo {
		var err error
		if text, err = echoed(of.text, text); err != nil {
			return err
		}
	}
	return l.print(string(text) + "\n")
}

func (l *lines) print(text string) error {
	if _, err := l.out.WriteString(text); err != nil {
		return fmt.Errorf("writing the answers: %w", err)
	}
	return nil
}

// withoutFields returns a JSON object without some of its fields, which mean nothing without details.
func withoutFields(object []byte, names ...string) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	out := []byte{'{'}
	for decoder.More() {
		var value json.RawMessage
		name, err := decoder.Token()
		if err == nil {
			err = decoder.Decode(&value)
		}
		if err != nil {
			return nil, fmt.Errorf("writing JSON: %w", err)
		}
		if slices.Contains(names, fmt.Sprint(name)) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(strconv.AppendQuote(out, fmt.Sprint(name)), ':'), value...)
	}
	return append(out, '}'), nil
}

// echoed returns an answer beside its question. The question is JSON, or text if it is no valid JSON.
func echoed(question string, answer []byte) ([]byte, error) {
	asked := json.RawMessage(question)
	if !json.Valid(asked) {
		quoted, err := json.Marshal(quotable(question))
		if err != nil {
			return nil, fmt.Errorf("writing JSON: %w", err)
		}
		asked = quoted
	}
	text, err := json.Marshal(struct {
		Question json.RawMessage `json:"question"`
		Answer   json.RawMessage `json:"answer"`
	}{asked, answer})
	if err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return text, nil
}

// errorLine returns an error as JSON. It leaves out details of unknown kinds, which a newer server may send.
func errorLine(answer *netpoldv1.BatchAnswer) ([]byte, error) {
	var known []*anypb.Any
	for _, detail := range answer.GetError().GetDetails() {
		if _, err := detail.UnmarshalNew(); err == nil {
			known = append(known, detail)
		}
	}
	answer.GetError().Details = known
	return compactJSON(answer, false)
}
