package netpold

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Client asks one netpold service. It is safe for concurrent use; make one and keep it.
type Client struct {
	// healthy goes to servers whose health says that they answer questions, and from a current state; every to all there are.
	healthy, every *grpc.ClientConn
}

// Dial makes a client for target. It does not connect: the first call does, and its error tells if that fails.
//
// Forms of target:
//
//	127.0.0.1:9480                  one server
//	netpold.netpold.svc:9480        a name; with several addresses, as a headless Service has, calls go round all of them
//	dns:///netpold.netpold.svc:9480 the same, in full
//	unix:///run/netpold.sock        a Unix socket
//
// The port is required: see [CheckTarget].
//
// Exactly one of [WithTLS] and [WithInsecure] is required, so that plaintext is somebody's choice.
//
// Decisions are asked of servers that say they are healthy, in turn; when none does, of all, so that an answer from a stale
// state is still had where the servers give one: AllowedResponse.stale says so. A call that meets UNAVAILABLE is tried
// again, up to four times in all and within its deadline; give every call one, with [context.WithTimeout].
func Dial(target string, options ...Option) (*Client, error) {
	var s settings
	for _, option := range options {
		option(&s)
	}
	// Options for gRPC may hold resolvers of schemes that only they know.
	if err := checkTarget(target, len(s.extra) > 0); err != nil {
		return nil, fmt.Errorf("netpold: dial %q: %w", target, err)
	}
	credentials, err := s.credentials()
	if err != nil {
		return nil, fmt.Errorf("netpold: dial %q: %w", target, err)
	}
	healthy, err := grpc.NewClient(target, s.dialOptions(credentials, healthyConfig)...)
	if err != nil {
		return nil, fmt.Errorf("netpold: dial %q: %w", target, err)
	}
	every, err := grpc.NewClient(target, s.dialOptions(credentials, everyConfig)...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("netpold: dial %q: %w", target, err), healthy.Close())
	}
	return &Client{healthy: healthy, every: every}, nil
}

// Allowed asks one question. A denial is no error.
func (c *Client) Allowed(
	ctx context.Context, question *netpoldv1.AllowedRequest, options ...grpc.CallOption,
) (*netpoldv1.AllowedResponse, error) {
	var response *netpoldv1.AllowedResponse
	err := c.decide(func(from netpoldv1.DecisionServiceClient, asked grpc.CallOption) (err error) {
		response, err = from.Allowed(ctx, question, append(slices.Clip(options), asked)...)
		return err
	})
	return response, fromCall(err)
}

// BatchAllowed asks many questions of one snapshot of the cluster; the answers are in their order. A wrong question fails alone:
// see [AnswerError]. For many questions it is many times faster than asking them one by one.
//
// It is one call: more questions than the server takes at once, 10,000 unless it was set up otherwise, are refused with
// [ErrTooLarge]. Whoever splits them gets several snapshots, and has to say so: with the token of the first response as
// at_least of the next, later parts are at least no older.
func (c *Client) BatchAllowed(
	ctx context.Context, batch *netpoldv1.BatchAllowedRequest, options ...grpc.CallOption,
) (*netpoldv1.BatchAllowedResponse, error) {
	var response *netpoldv1.BatchAllowedResponse
	err := c.decide(func(from netpoldv1.DecisionServiceClient, asked grpc.CallOption) (err error) {
		response, err = from.BatchAllowed(ctx, batch, append(slices.Clip(options), asked)...)
		return err
	})
	return response, fromCall(err)
}

// Status tells what a server knows and how fresh it is. It is answered before the first full sync too.
func (c *Client) Status(ctx context.Context, options ...grpc.CallOption) (*netpoldv1.GetStatusResponse, error) {
	response, err := netpoldv1.NewStatusServiceClient(c.every).GetStatus(ctx, &netpoldv1.GetStatusRequest{}, options...)
	return response, fromCall(err)
}

// Close ends the client's connections, and calls in progress with them.
func (c *Client) Close() error { return errors.Join(c.healthy.Close(), c.every.Close()) }

// decide calls a server that is healthy or, where there is none, any. The call takes the option asked, by which is known
// whether it came to a server at all.
func (c *Client) decide(call func(from netpoldv1.DecisionServiceClient, asked grpc.CallOption) error) error {
	// A call that finds no healthy server is tried for a while before it fails: who knows beforehand, spares that.
	if c.healthy.GetState() != connectivity.TransientFailure {
		var server peer.Peer
		err := call(netpoldv1.NewDecisionServiceClient(c.healthy), grpc.Peer(&server))
		if status.Code(err) != codes.Unavailable || server.Addr != nil {
			return err
		}
	}
	return call(netpoldv1.NewDecisionServiceClient(c.every), grpc.EmptyCallOption{})
}
