// Package hubbletest starts a Hubble Relay inside a test: a real gRPC server of its interface, which holds
// the flows that the test gives it as Hubble does, and breaks when the test wants it to.
package hubbletest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cilium/cilium/api/v1/flow"
	"github.com/cilium/cilium/api/v1/observer"
	"github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A Relay is a running server. Its methods are safe for concurrent use, except Stop and Start: call those
// from the test's goroutine.
type Relay struct {
	observer.UnimplementedObserverServer

	tb      testing.TB
	options []grpc.ServerOption
	addr    string
	server  *grpc.Server
	served  chan struct{}

	mu sync.Mutex
	// changed is closed and replaced whenever what follows changes.
	changed  chan struct{}
	held     []*observer.GetFlowsResponse
	requests []*observer.GetFlowsRequest
	sent     int
	broken   int
	hanging  bool
	status   *relay.NodeStatusEvent
}

// Start serves on a free port of the loopback until the test ends. It holds no flows yet.
func Start(tb testing.TB, options ...grpc.ServerOption) *Relay {
	tb.Helper()
	r := &Relay{tb: tb, options: options, addr: "127.0.0.1:0", changed: make(chan struct{})}
	r.Start()
	tb.Cleanup(r.Stop)
	return r
}

// Addr returns HOST:PORT. It stays the same after Stop and Start.
func (r *Relay) Addr() string { return r.addr }

// Start serves again after Stop, with the flows that it has.
func (r *Relay) Start() {
	r.tb.Helper()
	listener, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.tb.Fatalf("hubbletest: %v", err)
	}
	r.addr = listener.Addr().String()
	server := grpc.NewServer(r.options...)
	observer.RegisterObserverServer(server, r)
	served := make(chan struct{})
	r.server, r.served = server, served
	go func() {
		defer close(served)
		_ = server.Serve(listener) // Until Stop, which makes it an error.
	}()
}

// Stop ends all connections and refuses new ones. It may be called again.
func (r *Relay) Stop() {
	r.server.Stop()
	<-r.served
}

// Send adds flows to those held, and sends them to all that follow.
func (r *Relay) Send(flows ...*flow.Flow) {
	messages := make([]*observer.GetFlowsResponse, len(flows))
	for i, f := range flows {
		messages[i] = &observer.GetFlowsResponse{
			Time: f.GetTime(), NodeName: f.GetNodeName(),
			ResponseTypes: &observer.GetFlowsResponse_Flow{Flow: f},
		}
	}
	r.SendMessages(messages...)
}

// Lose says that a node lost n events, as [Relay.Send] does.
func (r *Relay) Lose(node string, n uint64, at time.Time) {
	r.SendMessages(&observer.GetFlowsResponse{
		Time: timestamppb.New(at), NodeName: node,
		ResponseTypes: &observer.GetFlowsResponse_LostEvents{LostEvents: &flow.LostEvent{
			Source: flow.LostEventSource_OBSERVER_EVENTS_QUEUE, NumEventsLost: n,
		}},
	})
}

// SendMessages is Send for messages of any kind.
func (r *Relay) SendMessages(messages ...*observer.GetFlowsResponse) {
	r.change(func() { r.held = append(r.held, messages...) })
}

// Nodes sets what each new stream says first of nodes.
func (r *Relay) Nodes(state relay.NodeState, names ...string) {
	r.change(func() { r.status = &relay.NodeStatusEvent{StateChange: state, NodeNames: names} })
}

// Break ends all streams with an error. The connections stay.
func (r *Relay) Break() { r.change(func() { r.broken++ }) }

// Hang makes the server accept connections and calls and send nothing, until hanging is false.
func (r *Relay) Hang(hanging bool) { r.change(func() { r.hanging = hanging }) }

// Requests returns the requests so far.
func (r *Relay) Requests() []*observer.GetFlowsRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*observer.GetFlowsRequest(nil), r.requests...)
}

// Sent returns how many messages gRPC has taken from this server.
func (r *Relay) Sent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent
}

func (r *Relay) change(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

// GetFlows sends what is held since the time of the request and, if it follows, what comes later.
func (r *Relay) GetFlows(request *observer.GetFlowsRequest,
	stream grpc.ServerStreamingServer[observer.GetFlowsResponse]) error {
	r.mu.Lock()
	r.requests = append(r.requests, request)
	next, broken := 0, r.broken
	if request.GetSince() == nil && request.GetFollow() {
		next = len(r.held)
	}
	first := r.status
	r.mu.Unlock()
	if first != nil {
		err := stream.Send(&observer.GetFlowsResponse{
			Time: timestamppb.Now(), ResponseTypes: &observer.GetFlowsResponse_NodeStatus{NodeStatus: first},
		})
		if err != nil {
			return err
		}
	}
	for {
		r.mu.Lock()
		hanging, ended, changed := r.hanging, r.broken > broken, r.changed
		var message *observer.GetFlowsResponse
		if !hanging && next < len(r.held) {
			message = r.held[next]
			next++
		}
		r.mu.Unlock()
		switch {
		case ended:
			return status.Error(codes.Unavailable, "relay is going away")
		case message != nil:
			switch compare(message, request) {
			case -1:
				continue
			case 1:
				return nil
			}
			if err := stream.Send(message); err != nil {
				return err
			}
			r.mu.Lock()
			r.sent++
			r.mu.Unlock()
		case !hanging && !request.GetFollow():
			return nil
		default:
			select {
			case <-changed:
			case <-stream.Context().Done():
				return stream.Context().Err()
			}
		}
	}
}

// compare returns -1 or 1 if a flow was before or after the times of a request, otherwise 0. Hubble sends lost
// events whatever their time.
func compare(m *observer.GetFlowsResponse, request *observer.GetFlowsRequest) int {
	at, since, until := m.GetFlow().GetTime(), request.GetSince(), request.GetUntil()
	switch {
	case at != nil && since != nil && at.AsTime().Before(since.AsTime()):
		return -1
	case at != nil && until != nil && at.AsTime().After(until.AsTime()):
		return 1
	default:
		return 0
	}
}

// ServerStatus answers, unless the server hangs.
func (r *Relay) ServerStatus(ctx context.Context,
	_ *observer.ServerStatusRequest) (*observer.ServerStatusResponse, error) {
	for {
		r.mu.Lock()
		hanging, changed := r.hanging, r.changed
		r.mu.Unlock()
		if !hanging {
			return &observer.ServerStatusResponse{Version: "test"}, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
