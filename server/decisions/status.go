package decisions

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/wire"
)

// Status is netpold.v1.StatusService. It is safe for concurrent use.
type Status struct {
	netpoldv1.UnimplementedStatusServiceServer

	source  mirror.Source
	version string
	started time.Time
	// decisionLog returns how the decision log fares; nil without one.
	decisionLog func() *netpoldv1.DecisionLogStatus
}

// NewStatus returns a service that shows the status of source, and of the decision log if decisionLog is not
// nil. It shows the version, and now as the time of the start.
func NewStatus(source mirror.Source, version string,
	decisionLog func() *netpoldv1.DecisionLogStatus) *Status {
	return &Status{source: source, version: version, started: time.Now(), decisionLog: decisionLog}
}

// GetStatus returns what the server knows and how fresh it is. It also answers before the first full sync.
func (s *Status) GetStatus(
	context.Context, *netpoldv1.GetStatusRequest,
) (*netpoldv1.GetStatusResponse, error) {
	status := s.source.Status()
	state, ready := s.source.State()
	response := &netpoldv1.GetStatusResponse{
		Version:   s.version,
		Source:    status.Source,
		Ready:     ready,
		Resources: protoResources(status.Resources),
		Problems:  protoProblems(status.Problems),
		Started:   timestamppb.New(s.started),
		Like:      status.Meaning.Like,
		Switches:  status.Meaning.Switches,
	}
	if s.decisionLog != nil {
		response.DecisionLog = s.decisionLog()
	}
	if len(status.IgnoredKinds) > 0 {
		response.IgnoredKinds = make(map[string]uint32, len(status.IgnoredKinds))
		for kind, n := range status.IgnoredKinds {
			response.IgnoredKinds[kind] = count(n)
		}
	}
	if ready {
		response.Revision = state.Snapshot.Revision()
		response.Token = state.Token
		response.Published = timestamppb.New(state.Published)
		response.NewestPolicyCreated = wire.Timestamp(state.Snapshot.NewestPolicy())
		response.Objects = wire.Counts(state.Snapshot.Counts())
		response.Notes = wire.Notes(mirror.Notes(&status, state.Snapshot))
	}
	return response, nil
}

func protoResources(resources []mirror.Resource) []*netpoldv1.ResourceStatus {
	out := make([]*netpoldv1.ResourceStatus, len(resources))
	for i, r := range resources {
		out[i] = &netpoldv1.ResourceStatus{
			Resource: r.Name, Synced: r.Synced, Objects: count(r.Objects), Age: durationpb.New(r.Age), Stale: r.Stale,
			Error: r.Error,
			State: r.State, Version: r.Version,
		}
	}
	return out
}

// The limits of the problems in one answer, so that a client takes it.
const (
	maxProblems     = 1000
	maxProblemBytes = 1 << 20
)

// firstProblems returns how many problems an answer has.
func firstProblems(problems []mirror.Problem) int {
	size := 0
	for i := range problems {
		p := &problems[i]
		size += len(p.File) + len(p.Kind) + len(p.Namespace) + len(p.Name) + len(p.Field) + len(p.Message)
		if i == maxProblems || size > maxProblemBytes {
			return i
		}
	}
	return len(problems)
}

// protoProblems returns the first problems. If there are more, the last one says how many.
func protoProblems(problems []mirror.Problem) []*netpoldv1.Problem {
	if n := firstProblems(problems); n < len(problems) {
		more := len(problems) - n
		problems = append(slices.Clone(problems[:n]), mirror.Problem{
			Message: fmt.Sprintf("%d more problems are left out here: mend these first, or see the log", more),
			Warning: true,
		})
	}
	out := make([]*netpoldv1.Problem, len(problems))
	for i := range problems {
		p := &problems[i]
		out[i] = &netpoldv1.Problem{
			File: p.File, Document: count(p.Document), Kind: p.Kind, Namespace: p.Namespace, Name: p.Name,
			Field: p.Field, Message: p.Message, Warning: p.Warning,
		}
	}
	return out
}

// count returns a number of things as the wire has it.
func count(n int) uint32 { return uint32(n) }
