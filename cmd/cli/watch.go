package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/config"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// maxWatchAdd is the most questions of one request of a watch, unless the server takes fewer.
const maxWatchAdd = 1000

// A watchRun is one run of the verb watch.
type watchRun struct {
	check
	once bool

	questions []*netpoldv1.WatchQuestion
	// batch is the most questions of one request.
	batch int
	// token is the last one, for resuming.
	token string
	// heard reports whether a server ever said anything.
	heard bool
	out   *bufio.Writer
}

func (inv *invocation) watchVerb() *cobra.Command {
	w := &watchRun{check: check{inv: inv, protocol: "tcp"}, batch: maxWatchAdd, out: bufio.NewWriter(inv.stdout)}
	w.cmd = &cobra.Command{
		Use:   "watch {SRC DST -p PORT | -f FILE} --server HOST:PORT [flags]",
		Short: "Print answers of a server, and again whenever they change",
		Long: "watch prints the answer of a running netpold to each question as a line of JSON, and another line\n" +
			"whenever it changes:\n" +
			`  {"id":1,"response":{"allowed":true,...}}` + "\n" +
			"SRC and DST are words, as of 'netpold check'. With -f each line of FILE is a question as JSON; ids are\n" +
			"the numbers of the questions, from 1. An error is an answer too: {\"id\":1,\"error\":{...}}.\n\n" +
			"It goes on until it is interrupted. When the connection breaks or the server goes, it resumes on any\n" +
			"replica: what did not change is not printed again. --once ends when every question has its answer.\n\n" +
			"Exit code: 0 with --once, or interrupted; 2 error.",
		Example: "  netpold watch --server 127.0.0.1:9480 shop/frontend-0 svc/shop/cart -p 7070\n" +
			"  netpold watch --server 127.0.0.1:9480 -f questions.jsonl --once",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: inv.completeEnds,
	}
	f := w.cmd.Flags()
	f.VarP(config.NewPort(&w.port), portFlag, "p",
		"destination `PORT`, 1 to 65535; for a Service, the Service's")
	f.Var(config.NewChoice(&w.protocol, "tcp", "udp", "sctp"), "protocol", "protocol of the connection")
	f.StringVarP(&w.file, "file", "f", "",
		"watch the questions in `FILE`, one line of JSON each; - for standard input")
	f.BoolVar(&w.once, "once", false, "end when every question has its answer")
	inv.addQuiet(w.cmd)
	return inv.verb(w.cmd, w.run, inv.config.ClientFlags(), inv.config.FileFlags())
}

// run watches until ctx ends.
func (w *watchRun) run(ctx context.Context, args []string) error {
	if err := w.usage(args); err != nil {
		return err
	}
	if w.inv.config.Client.Server == "" {
		return usageError(w.cmd, "no server to watch: give --server HOST:PORT")
	}
	if err := w.readQuestions(args); err != nil {
		return err
	}
	client, err := w.inv.dial()
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // nothing is lost
	ctx, stop := untilSignal(ctx)
	defer stop()
	for wait := (netpold.Backoff{}); ; {
		heard, err := w.watch(ctx, client)
		w.heard = w.heard || heard
		switch {
		case err == nil || ctx.Err() != nil:
			return nil
		case !w.resumes(err) || !w.answered(err):
			return w.inv.callError(err)
		case heard:
			wait.Reset()
		}
		w.shrink(err)
		if status.Code(err) == codes.FailedPrecondition {
			w.token = "" // of another source: the server was restarted, or is of other files
		}
		delay := wait.Next(err)
		w.inv.notice("%v; resuming in %v", w.inv.callError(err), delay.Round(time.Millisecond))
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil
		}
	}
}

// answered reports whether a netpold was ever there: otherwise the address is probably wrong.
func (w *watchRun) answered(err error) bool {
	e, ok := errors.AsType[*netpold.Error](err)
	return w.heard || ok && e.Reason != ""
}

// shrink makes requests as small as the server that refused one wants them.
func (w *watchRun) shrink(err error) {
	if e, ok := errors.AsType[*netpold.Error](err); ok && e.Reason == "BATCH_TOO_LARGE" {
		if limit, err := strconv.Atoi(e.Metadata["limit"]); err == nil && limit > 0 {
			w.batch = min(w.batch, limit)
		}
	}
}

// resumes reports whether an error of a watch passes.
func (w *watchRun) resumes(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Internal:
		return true
	case codes.FailedPrecondition:
		return w.token != ""
	case codes.Unauthenticated: // the token that the stream began with has expired, and the file has another
		return w.heard && w.inv.config.Client.BearerTokenFile != ""
	default:
		return false
	}
}

// readQuestions reads the questions of the command line, or of the file.
func (w *watchRun) readQuestions(args []string) error {
	add := func(q *netpoldv1.AllowedRequest) {
		w.questions = append(w.questions, &netpoldv1.WatchQuestion{Id: uint64(len(w.questions)) + 1, Question: q})
	}
	if w.file == "" {
		question, err := w.question(args[0], args[1])
		if err == nil {
			question.Details = false
			add(question)
		}
		return err
	}
	in := w.inv.stdin
	if w.file != "-" {
		file, err := os.Open(w.file)
		if err != nil {
			return fmt.Errorf("-f: %w: give a file that can be read, or - for standard input", err)
		}
		defer file.Close() //nolint:errcheck // it is only read
		in = file
	}
	l := &lines{in: bufio.NewReaderSize(in, maxLine), check: &w.check}
	for ended := false; !ended; {
		var group []line
		var err error
		if group, ended, err = l.readGroup(); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("-f %s: line %d: %w", w.file, l.number+1, err)
		}
		for _, read := range group {
			if read.err != nil {
				return fmt.Errorf("-f %s: line %d: %s", w.file, read.number, read.err.GetMessage())
			}
			add(read.question)
		}
	}
	if len(w.questions) == 0 {
		return fmt.Errorf("-f %s: no question in it: write one AllowedRequest as JSON a line", w.file)
	}
	return nil
}

// watch watches until the stream ends, and keeps what it needs to resume. It returns nil when --once is done. heard
// reports whether the server said anything.
func (w *watchRun) watch(ctx context.Context, client *netpold.Client) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.Watch(ctx)
	if err != nil {
		return false, err
	}
	requests := uint64(0)
	for at := 0; at < len(w.questions); at += w.batch {
		requests++
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for rest, token := w.questions, w.token; len(rest) > 0; token = "" {
			some := rest[:min(len(rest), w.batch)]
			rest = rest[len(some):]
			if stream.Send(&netpoldv1.WatchAllowedRequest{Add: some, AtLeast: token}) != nil {
				return // Recv says why
			}
		}
		_ = stream.CloseSend() // Recv says why it fails
	}()
	etags := map[uint64]uint64{}
	defer func() {
		cancel()
		<-sent // the questions are not being read any more
		for _, q := range w.questions {
			if etag, ok := etags[q.GetId()]; ok {
				w.questions[q.GetId()-1] = &netpoldv1.WatchQuestion{
					Id: q.GetId(), Question: q.GetQuestion(), IfNot: etag,
				}
			}
		}
	}()
	for {
		response, err := stream.Recv()
		if err != nil {
			return heard, err
		}
		heard, w.token = true, response.GetToken()
		for _, answer := range response.GetAnswers() {
			etags[answer.GetId()] = answer.GetEtag()
			if err := w.print(answer); err != nil {
				return heard, err
			}
		}
		if err := w.out.Flush(); err != nil {
			return heard, fmt.Errorf("writing the answers: %w", err)
		}
		if w.once && response.GetComplete() && response.GetApplied() >= requests {
			return heard, nil
		}
	}
}

// print writes an answer as a line of JSON, without its etag, which is for resuming alone.
func (w *watchRun) print(answer *netpoldv1.WatchAnswer) error {
	var line []byte
	var err error
	if failure := answer.GetError(); failure != nil {
		line, err = errorLine(&netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: failure}})
	} else if line, err = jsonLine(answer.GetResponse()); err == nil {
		line = fmt.Appendf(nil, `{"response":%s}`, line)
	}
	if err == nil {
		_, err = fmt.Fprintf(w.out, "{\"id\":%d,%s\n", answer.GetId(), line[1:])
	}
	if err != nil {
		return fmt.Errorf("answer to question %d: %w", answer.GetId(), err)
	}
	return nil
}
