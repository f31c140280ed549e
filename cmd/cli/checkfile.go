package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const (
	// maxLine limits the length of a line, and what is read ahead of the answers.
	maxLine = 1 << 20
	// maxGroup limits the questions that are asked at once.
	maxGroup = 1000
	// maxQuoted limits how much of an invalid line an error repeats, in bytes.
	maxQuoted = 200
)

// A lines answers questions, one a line, from a reader to a writer.
type lines struct {
	in    *bufio.Reader
	out   *bufio.Writer
	check *check
	batcher
	// auditor explains each line; nil without --explain.
	auditor auditor

	// number is the number of the last line read, from 1.
	number int
	// answered and failed count lines. first is the first that failed, and why.
	answered, failed int
	first            string
}

// A line is one question, or an error.
type line struct {
	number   int
	question *netpoldv1.AllowedRequest
	err      *spb.Status
	// text is the line as written, for --echo.
	text string
}

// answerFile runs check -f.
func (c *check) answerFile(ctx context.Context) error {
	if c.file == "-" && slices.Contains(c.inv.config.State.Manifests, "-") {
		return usageError(c.cmd, "--manifests - and -f - exclude each other: standard input can be read once")
	}
	if c.file == "-" && slices.Contains(c.with, "-") {
		return usageError(c.cmd, "--with - and -f - exclude each other: standard input can be read once")
	}
	in := c.inv.stdin
	if c.file != "-" {
		file, err := os.Open(c.file)
		if err != nil {
			return fmt.Errorf("-f: %w: give a file that can be read, or - for standard input", err)
		}
		defer file.Close() //nolint:errcheck // it is only read
		in = file
	}
	l := &lines{in: bufio.NewReaderSize(in, maxLine), out: bufio.NewWriter(c.inv.stdout), check: c}
	closeState, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer closeState()
	if err := l.answerAll(ctx); err != nil {
		return err
	}
	if l.failed > 0 {
		return fmt.Errorf("%d of %d lines were not answered; the first is %s", l.failed, l.failed+l.answered,
			l.first)
	}
	return nil
}

// open opens what answers or explains, and returns a function that closes it.
func (l *lines) open(ctx context.Context) (func(), error) {
	inv := l.check.inv
	var err error
	if l.check.overlay, err = inv.readOverlay(ctx, withFlag, l.check.with); err != nil {
		return nil, err
	}
	if l.check.explain {
		auditor, closeAuditor, err := inv.openAuditor(ctx)
		if err == nil {
			inv.printServerNotes(ctx)
		}
		l.auditor = auditor
		return closeAuditor, err
	}
	asker, closeAsker, err := l.check.openAsker(ctx)
	if err == nil {
		inv.printServerNotes(ctx)
	}
	l.batcher = batcher{inv: inv, asker: asker, atLeast: l.check.atLeast, atOnce: maxGroup}
	return closeAsker, err
}

// answerAll answers until the input ends. It answers all lines that have arrived before it waits for more.
func (l *lines) answerAll(ctx context.Context) error {
	for ended := false; !ended; {
		var group []line
		var err error
		group, ended, err = l.readGroup()
		if err != nil {
			return fmt.Errorf("-f %s: line %d: %w", l.check.file, l.number+1, err)
		}
		if err := l.answer(ctx, group); err != nil {
			return err
		}
		if err := l.out.Flush(); err != nil {
			return fmt.Errorf("writing the answers: %w", err)
		}
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("-f %s: stopped after line %d: %w", l.check.file, l.number, err)
		}
	}
	return nil
}

// readGroup blocks until there is a line, and returns it with those that have already arrived.
func (l *lines) readGroup() (group []line, ended bool, err error) {
	for len(group) < maxGroup {
		if len(group) > 0 && !l.lineWaits() {
			return group, false, nil
		}
		text, err := l.in.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.in.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
		ended := err != nil
		if len(text) > 0 {
			l.number++
		}
		switch {
		case tooLong:
			group = append(group, line{number: l.number,
				err: badLine("", fmt.Sprintf("a line of more than %d bytes: shorten it", maxLine))})
		case len(text) > 0 && len(bytes.TrimSpace(text)) == 0:
			// Empty lines are skipped. --echo shows which answer belongs to which question.
		case len(text) > 0:
			read := parseLine(l.number, bytes.TrimSpace(text))
			if l.check.echo {
				read.text = string(bytes.TrimSpace(text))
			}
			group = append(group, read)
		}
		if ended {
			return group, true, nil
		}
	}
	return group, false, nil
}

// lineWaits reports whether a whole line has been read ahead.
func (l *lines) lineWaits() bool {
	// Peek of the buffered bytes cannot fail.
	ahead, _ := l.in.Peek(l.in.Buffered())
	return bytes.IndexByte(ahead, '\n') >= 0
}

// Errors of protojson have a location, and a field if they are about one.
var (
	placeInError = regexp.MustCompile(`\(line 1:(\d+)\)`)
	fieldInError = regexp.MustCompile(`field "?([A-Za-z_]\w*)`)
)

func parseLine(number int, text []byte) line {
	question := new(netpoldv1.AllowedRequest)
	err := protojson.Unmarshal(withNumbers(text, question.ProtoReflect().Descriptor()), question)
	if err == nil {
		return line{number: number, question: question}
	}
	message := protojsonError(err)
	field := ""
	if match := fieldInError.FindStringSubmatch(message); match != nil {
		field = match[1]
	}
	return line{number: number, err: badLine(field, "not a question: "+message+
		`; write one AllowedRequest as JSON, such as `+
		`{"src":{"ip":"10.0.1.4"},"dst":{"ip":"10.0.3.7"},"port":8080}`)}
}

// protojsonError returns the text of an error of protojson about one line. protojson varies the space after
// "proto:" on purpose.
func protojsonError(err error) string {
	message := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), "\u00a0 ")
	return quotable(placeInError.ReplaceAllString(message, "at column $1"))
}

// quotable returns what an error repeats of a line: valid UTF-8, and not all of a long line.
func quotable(text string) string {
	if len(text) > maxQuoted {
		text = text[:maxQuoted] + "..."
	}
	return strings.ToValidUTF8(text, "?")
}

// badLine returns the error of a line that is no question, in the form of the server's errors (S28).
func badLine(field, message string) *spb.Status {
	st := status.New(codes.InvalidArgument, message)
	with, err := st.WithDetails(
		&errdetails.ErrorInfo{Reason: "INVALID_QUESTION", Domain: "netpold"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field,
			Description: message}}},
	)
	if err != nil {
		return st.Proto()
	}
	return with.Proto()
}
