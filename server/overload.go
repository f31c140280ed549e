package server

import (
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/overload"
	"github.com/netpold/netpold/server/internal/wire"
)

// withoutPlaces are the methods that are never refused because of overload (P41), and WatchAllowed, whose streams have
// a limit of their own.
var withoutPlaces = overload.Exempt{
	healthv1.Health_ServiceDesc.ServiceName, netpoldv1.StatusService_ServiceDesc.ServiceName,
	netpoldv1.DecisionService_WatchAllowed_FullMethodName,
}

// elementsPerQuestion is how many elements a message may have for each question of the largest batch, and
// maxElements how many one of another service may have.
const (
	elementsPerQuestion = 64
	maxElements         = 10_000
	// overlaidElements may be in a request with an overlay, however small batches are (A8).
	overlaidElements = 10_000 * elementsPerQuestion
)

// An elements counts what is in requests before they are decoded. It is safe for concurrent use.
type elements struct {
	maxBatch int
	shapes   sync.Map // of protoreflect.FullName, *netpoldv1.Shape
}

// of returns how many elements the wire form of a request has, or what is wrong if there are too many.
func (e *elements) of(data []byte, request any) (int, *wire.Failure) {
	switch request := request.(type) {
	case *wire.Question:
		n, tooLarge := request.Read(data)
		return n, tooManyElements("", tooLarge, netpoldv1.MaxQuestionElements)
	case *wire.Questions:
		most := e.maxBatch * elementsPerQuestion
		n, tooLarge := request.Read(data, most)
		return n, tooManyElements("questions", tooLarge, most)
	}
	message, ok := request.(proto.Message)
	if !ok {
		return 0, nil
	}
	kind := message.ProtoReflect().Descriptor()
	shape, known := e.shapes.Load(kind.FullName())
	if !known {
		shape, _ = e.shapes.LoadOrStore(kind.FullName(), netpoldv1.ShapeOf(kind))
	}
	most, list := e.maxBatch*elementsPerQuestion, ""
	switch request.(type) {
	case *netpoldv1.AllowedRequest:
		most = netpoldv1.MaxQuestionElements
	case *netpoldv1.BatchAllowedRequest:
		list = "questions"
	case *netpoldv1.WatchAllowedRequest:
		list = "add"
	default:
		if most = max(most, overlaidElements); !strings.HasPrefix(string(kind.FullName()), "netpold.v1.") {
			most = maxElements
		}
	}
	n, tooLarge := shape.(*netpoldv1.Shape).Elements(data, most) //nolint:forcetypeassert // nothing else is stored
	return n, tooManyElements(list, tooLarge, most)
}

// tooManyElements returns what is wrong with a message in which an entry of list is too large; nil if that is negative.
func tooManyElements(list string, tooLarge, most int) *wire.Failure {
	if tooLarge < 0 {
		return nil
	}
	return wire.TooManyElements(list, tooLarge, netpoldv1.MaxQuestionElements, most)
}

// openGate returns what refuses what is beyond the limits of config.
func openGate(config *Config, callers *callers, m *metrics.Metrics) *overload.Gate {
	options := overload.Options{
		Limits: overload.Limits{
			InFlight: config.MaxInFlight, PerCaller: config.MaxInFlightPerCaller, Connections: connectionLimit(config),
			Memory: int64(config.MaxMemoryInFlight),
		},
		Messages: overload.Messages{
			Codec: wire.Codec(config.MaxBatch), MaxBytes: config.MaxMessageBytes,
			Elements: (&elements{maxBatch: config.MaxBatch}).of,
		},
		Deadline: func(method string) time.Duration {
			if strings.HasPrefix(method, "/"+netpoldv1.AuditService_ServiceDesc.ServiceName+"/") {
				return max(config.MaxDeadline, config.MaxAuditDeadline)
			}
			return config.MaxDeadline
		},
		Unfinished: config.MaxDeadline,
		Questions:  map[string]func(any) int{netpoldv1.DecisionService_BatchAllowed_FullMethodName: questionsOf},
		Metrics:    m, Panicked: panicked(m, config.Logger), Log: config.Logger,
	}
	if callers.tokens != nil {
		options.Known = callers.tokens.Known
	}
	return overload.New(options)
}

// reservedFiles are those that connections of callers leave over: for the admin pages, the cluster, and files.
const reservedFiles = 256

// connectionLimit returns how many connections callers may have, which leaves files over for the admin pages. A kubelet
// that cannot reach them kills the Pod.
func connectionLimit(config *Config) int {
	files, ok := openFileLimit()
	if !ok {
		return config.MaxClientConnections
	}
	limit := withinFiles(config.MaxClientConnections, files)
	if limit < config.MaxClientConnections {
		config.Logger.Warn("fewer connections of callers are taken than max_client_connections: the process may open too few "+
			"files; raise its limit (ulimit -n, LimitNOFILE)", "max_client_connections", config.MaxClientConnections,
			"connections", limit, "open_files", files)
	}
	return limit
}

// withinFiles returns limit, or less if a process with so many open files could not have as many connections.
func withinFiles(limit int, files uint64) int {
	free := files / 2 // of very few, half
	if files > 2*reservedFiles {
		free = files - reservedFiles
	}
	return int(max(1, min(uint64(limit), free)))
}

// questionsOf returns the number of questions of a BatchAllowedRequest.
func questionsOf(request any) int {
	switch batch := request.(type) {
	case *wire.Questions:
		return batch.Len()
	case *netpoldv1.BatchAllowedRequest:
		return len(batch.GetQuestions())
	}
	return 1
}

// reflected lets reflection see the services of a server, and registers its own through a registrar.
type reflected struct {
	grpc.ServiceRegistrar
	*grpc.Server
}

// RegisterService implements [grpc.ServiceRegistrar].
func (r reflected) RegisterService(desc *grpc.ServiceDesc, service any) {
	r.ServiceRegistrar.RegisterService(desc, service)
}
