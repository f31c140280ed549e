package cli

import (
	"context"
	"errors"
	"fmt"
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

// A lister lists connections: the server's own service in this process, or a client of a running server. It
// ends when take returns an error, and returns that. Other errors are gRPC statuses.
type lister interface {
	list(ctx context.Context, request *netpoldv1.ListConnectionsRequest,
		take func(*netpoldv1.ListConnectionsResponse) error) error
}

// openLister opens what lists, and returns a function that closes it.
func (inv *invocation) openLister(ctx context.Context) (lister, func(), error) {
	asker, closeAsker, err := inv.openAsker(ctx)
	if err != nil {
		return nil, nil, err
	}
	if far, ok := asker.(remote); ok {
		return remoteLister{far.client, inv.config.Client.Timeout}, closeAsker, nil
	}
	near, ok := asker.(local)
	if !ok {
		closeAsker()
		return nil, nil, errors.New("nothing here lists connections; this is a defect of netpold")
	}
	return newLocalLister(near.source), closeAsker, nil
}

// An outputError is the error of a printer, not of what lists.
type outputError struct{ err error }

// Error returns the text of the error.
func (e *outputError) Error() string { return e.err.Error() }

// listWhole lists to the end, in several calls if what lists stops before it, and hands out the messages of one
// list, without progress.
func listWhole(ctx context.Context, from lister, request *netpoldv1.ListConnectionsRequest,
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
			if err := take(m); err != nil {
				return &outputError{err}
			}
			return nil
		})
		if err != nil || cursor == "" {
			return err
		}
		request.Cursor = cursor
	}
}

// A remoteLister asks a running netpold.
type remoteLister struct {
	client *netpold.Client
	// patience is how long the server may say nothing. A list may take longer than one answer.
	patience time.Duration
}

func (r remoteLister) list(ctx context.Context, request *netpoldv1.ListConnectionsRequest,
	take func(*netpoldv1.ListConnectionsResponse) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(r.patience, func() { cancel(context.DeadlineExceeded) })
	defer silence.Stop()
	for m, err := range r.client.Connections(ctx, request) {
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
		silence.Reset(r.patience)
	}
	return nil
}

// A localLister lists in this process, from its own state.
type localLister struct{ service *audits.Service }

func newLocalLister(source mirror.Source) localLister {
	return localLister{audits.New(source, audits.Options{MaxDeadline: math.MaxInt64})}
}

func (l localLister) list(ctx context.Context, request *netpoldv1.ListConnectionsRequest,
	take func(*netpoldv1.ListConnectionsResponse) error) error {
	stream := &localStream{ctx: ctx, take: take}
	err := l.service.ListConnections(request, stream)
	if stream.err != nil {
		return stream.err
	}
	return err
}

// A localStream is a stream within this process.
type localStream struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // a stream has one
	take func(*netpoldv1.ListConnectionsResponse) error
	err  error // of take
}

// Context implements [grpc.ServerStream].
func (s *localStream) Context() context.Context { return s.ctx }

// Send implements [grpc.ServerStreamingServer].
func (s *localStream) Send(m *netpoldv1.ListConnectionsResponse) error {
	if s.err == nil {
		s.err = s.take(m)
	}
	return s.err
}

// listField matches the path of a filter's field at the beginning of an error.
var listField = regexp.MustCompile(`\b(src|dst)\.(endpoints|namespaces|pod_selector|namespace_selector)` +
	`(?:\[(\d+)\])?(?:\.\w+)?: `)

// listError returns the error of a list for people, with flags and words in place of fields.
func (inv *invocation) listError(err error, request *netpoldv1.ListConnectionsRequest) error {
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
