package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
)

// An auditor explains answers, lists connections and lints policies: the server's own service in this process, or
// a client of a running server. It ends when take returns an error, and returns that. Other errors are gRPC
// statuses.
type auditor interface {
	explain(context.Context, *netpoldv1.ExplainRequest) (*netpoldv1.ExplainResponse, error)
	list(ctx context.Context, request *netpoldv1.ListConnectionsRequest,
		take func(*netpoldv1.ListConnectionsResponse) error) error
	lint(ctx context.Context, request *netpoldv1.LintRequest, take func(*netpoldv1.LintResponse) error) error
	simulator
}

// openAuditor opens an auditor, and returns a function that closes it.
func (inv *invocation) openAuditor(ctx context.Context) (auditor, func(), error) {
	asker, closeAsker, err := inv.openAsker(ctx)
	if err != nil {
		return nil, nil, err
	}
	if far, ok := asker.(remote); ok {
		return remoteAuditor{far.client, inv.config.Client.Timeout}, closeAsker, nil
	}
	near, ok := asker.(local)
	if !ok {
		closeAsker()
		return nil, nil, errors.New("nothing here audits; this is a defect of netpold")
	}
	return inv.newLocalAuditor(near.source), closeAsker, nil
}

// listWhole lists to the end, in several calls if what lists stops before it, and hands out the messages of one
// list, without progress.
func listWhole(ctx context.Context, from auditor, request *netpoldv1.ListConnectionsRequest,
	take func(*netpoldv1.ListConnectionsResponse) error) error {
	request = proto.CloneOf(request)
	for {
		cursor := ""
		err := from.list(ctx, request, func(m *netpoldv1.ListConnectionsResponse) error {
			switch {
			case m.GetProgress() != nil, m.GetHeader() != nil && request.GetCursor() != "":
				return nil
			case m.GetSummary().GetTruncated():
				cursor = m.GetSummary().GetCursor()
				return nil
			}
			return take(m)
		})
		if err != nil || cursor == "" {
			return err
		}
		request.Cursor = cursor
	}
}

// A remoteAuditor asks a running netpold.
type remoteAuditor struct {
	client *netpold.Client
	// patience is how long the server may say nothing. A list may take longer than one answer.
	patience time.Duration
}

func (r remoteAuditor) explain(
	ctx context.Context, request *netpoldv1.ExplainRequest,
) (*netpoldv1.ExplainResponse, error) {
	for {
		response, err := r.client.Explain(ctx, request)
		if !waitForRoom(ctx, err) {
			return response, err
		}
	}
}

// waitForRoom waits as long as a server advises that has too many audits, and reports whether to ask again: not
// after another error, or if ctx ends before.
func waitForRoom(ctx context.Context, err error) bool {
	failed, ok := errors.AsType[*netpold.Error](err)
	if !ok || failed.Reason != "TOO_MANY_AUDITS" || failed.RetryAfter <= 0 {
		return false
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) < failed.RetryAfter {
		return false
	}
	select {
	case <-time.After(failed.RetryAfter):
		return true
	case <-ctx.Done():
		return false
	}
}

func (r remoteAuditor) list(ctx context.Context, request *netpoldv1.ListConnectionsRequest,
	take func(*netpoldv1.ListConnectionsResponse) error) error {
	return patiently(ctx, r.patience, func(ctx context.Context) iter.Seq2[*netpoldv1.ListConnectionsResponse, error] {
		return r.client.Connections(ctx, request)
	}, take)
}

func (r remoteAuditor) simulate(ctx context.Context, request *netpoldv1.SimulateRequest,
	take func(*netpoldv1.SimulateResponse) error) error {
	return patiently(ctx, r.patience, func(ctx context.Context) iter.Seq2[*netpoldv1.SimulateResponse, error] {
		return r.client.Simulate(ctx, request)
	}, take)
}

// patiently hands the messages that ask yields to take. It gives up when none has come for as long as patience.
func patiently[M any](ctx context.Context, patience time.Duration,
	ask func(context.Context) iter.Seq2[*M, error], take func(*M) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(patience, func() { cancel(context.DeadlineExceeded) })
	defer silence.Stop()
	for m, err := range ask(ctx) {
		if err != nil {
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return status.Error(codes.DeadlineExceeded, "it said nothing for that long")
			}
			return err
		}
		silence.Stop() // printing may take as long as it takes
		if err := take(m); err != nil {
			return err
		}
		silence.Reset(patience)
	}
	return nil
}

func (r remoteAuditor) lint(
	ctx context.Context, request *netpoldv1.LintRequest, take func(*netpoldv1.LintResponse) error,
) error {
	return patiently(ctx, r.patience, func(ctx context.Context) iter.Seq2[*netpoldv1.LintResponse, error] {
		return r.client.Lint(ctx, request)
	}, take)
}

// A localAuditor audits in this process, from its own state.
type localAuditor struct{ service *audits.Service }

func (inv *invocation) newLocalAuditor(source mirror.Source) localAuditor {
	return localAuditor{audits.New(source, audits.Options{MaxDeadline: math.MaxInt64, Overlay: inv.overlayReader()})}
}

func (l localAuditor) explain(
	ctx context.Context, request *netpoldv1.ExplainRequest,
) (*netpoldv1.ExplainResponse, error) {
	return l.service.Explain(ctx, request)
}

func (l localAuditor) list(ctx context.Context, request *netpoldv1.ListConnectionsRequest,
	take func(*netpoldv1.ListConnectionsResponse) error) error {
	return streamed(ctx, take, func(s *localStream[netpoldv1.ListConnectionsResponse]) error {
		return l.service.ListConnections(request, s)
	})
}

func (l localAuditor) lint(
	ctx context.Context, request *netpoldv1.LintRequest, take func(*netpoldv1.LintResponse) error,
) error {
	return streamed(ctx, take, func(s *localStream[netpoldv1.LintResponse]) error {
		return l.service.Lint(request, s)
	})
}

func (l localAuditor) simulate(ctx context.Context, request *netpoldv1.SimulateRequest,
	take func(*netpoldv1.SimulateResponse) error) error {
	return streamed(ctx, take, func(s *localStream[netpoldv1.SimulateResponse]) error {
		return l.service.Simulate(request, s)
	})
}

// streamed hands the messages of a call within this process to take, whose error is returned first.
func streamed[M any](ctx context.Context, take func(*M) error, call func(*localStream[M]) error) error {
	stream := &localStream[M]{ctx: ctx, take: take}
	err := call(stream)
	if stream.err != nil {
		return stream.err
	}
	return err
}

// A localStream is a stream within this process.
type localStream[M any] struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // a stream has one
	take func(*M) error
	err  error // of take
}

// Context implements [grpc.ServerStream].
func (s *localStream[M]) Context() context.Context { return s.ctx }

// Send implements [grpc.ServerStreamingServer].
func (s *localStream[M]) Send(m *M) error {
	if s.err == nil {
		s.err = s.take(m)
	}
	return s.err
}

// listField matches the path of a filter's field at the beginning of an error.
var listField = regexp.MustCompile(`\b(src|dst)\.(endpoints|namespaces|pod_selector|namespace_selector)` +
	`(?:\[(\d+)\])?(?:\.\w+)?: `)

// A filtered is a request with the filters of list.
type filtered interface {
	GetSrc() *netpoldv1.Ends
	GetDst() *netpoldv1.Ends
}

// listError returns the error of a list for people, with flags and words in place of fields.
func (inv *invocation) listError(err error, request filtered) error {
	failed := inv.callError(err)
	text := listField.ReplaceAllStringFunc(failed.Error(), func(path string) string {
		part := listField.FindStringSubmatch(path)
		ends := request.GetSrc()
		if part[1] == "dst" {
			ends = request.GetDst()
		}
		i, _ := strconv.Atoi(part[3])
		switch word := "pods/...?" + ends.GetPodSelector(); {
		case part[2] == "endpoints" && i < len(ends.GetEndpoints()):
			return fmt.Sprintf("--%s %s: ", part[1], netpold.FormatEndpoint(ends.GetEndpoints()[i]))
		case part[2] == "namespaces" && i < len(ends.GetNamespaces()):
			return fmt.Sprintf("--%s ns/%s: ", part[1], ends.GetNamespaces()[i])
		case part[2] == "pod_selector":
			return fmt.Sprintf("--%s %s: ", part[1], strings.Replace(word, "...", podsWhere(ends), 1))
		}
		return path
	})
	return &statusError{text, status.Convert(failed)}
}

// podsWhere returns the namespaces of a word with a selector.
func podsWhere(ends *netpoldv1.Ends) string {
	_, list, _ := strings.Cut(ends.GetNamespaceSelector(), "=")
	if list == "" {
		return "*"
	}
	return list
}
