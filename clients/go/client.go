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

// A Client asks one netpold service. It is safe for concurrent use: create one and keep it.
type Client struct {
	// healthy uses servers that report themselves healthy: they answer questions from a current state. every
	// uses all servers.
	healthy, every *grpc.ClientConn
	// cache is nil without [WithCache].
	cache    *cache
	failure  FailureMode
	gatherer *gatherer
}

// Dial returns a client for target. It does not connect: the first call does, and returns an error if that
// fails.
//
// Forms of target:
//
//	127.0.0.1:9480                  one server
//	netpold.netpold.svc:9480        a name; with several addresses, as a headless Service has, calls go round all of them
//	dns:///netpold.netpold.svc:9480 the same, in full
//	unix:///run/netpold.sock        a Unix socket
//
// A port is required: see [CheckTarget].
//
// Exactly one of [WithTLS] and [WithInsecure] is required, so that plaintext is always a choice.
//
// Questions go to healthy servers in turn. If none is healthy they go to all servers, because some may still
// answer from a stale state: AllowedResponse.stale says so. A call that gets UNAVAILABLE is retried, up to
// four attempts in all and within its deadline. Give every call a deadline, with [context.WithTimeout].
func Dial(target string, options ...Option) (*Client, error) {
	var s settings
	for _, option := range options {
		option(&s)
	}
	// Options for gRPC may contain resolvers of other schemes.
	if err := checkTarget(target, len(s.extra) > 0); err != nil {
		return nil, fmt.Errorf("netpold: dial %q: %w", target, err)
	}
	credentials, err := s.credentials()
	if err != nil {
		return nil, fmt.Errorf("netpold: dial %q: %w", target, err)
	}
	if s.cache != nil {
		config := *s.cache
		if err := config.complete(); err != nil {
			return nil, fmt.Errorf("netpold: dial %q: %w", target, err)
		}
		s.cache = &config
	}
	if err := s.failure.check(s.cache != nil); err != nil {
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
	c := &Client{healthy: healthy, every: every, failure: s.failure}
	c.gatherer = newGatherer(c)
	if s.cache != nil {
		c.cache = newCache(c, *s.cache)
	}
	return c, nil
}

// Allowed asks one question. A denial is not an error. With [WithCache], the response may be shared with others:
// do not change it. [WithFailureMode] says what it returns if no server decides.
func (c *Client) Allowed(
	ctx context.Context, question *netpoldv1.AllowedRequest, options ...grpc.CallOption,
) (response *netpoldv1.AllowedResponse, err error) {
	if key, ok := c.cacheable(question, options); ok {
		response, err = c.cache.allowed(ctx, question, &key)
	} else {
		response, err = c.allowed(ctx, question, options...)
	}
	if err != nil && c.failure == FailDeny && undecided(err) {
		return denial(), nil
	}
	return response, err
}

// cacheable returns the key of a question, if it may be remembered. Options are about one call, so a call with
// options is always made.
func (c *Client) cacheable(q *netpoldv1.AllowedRequest, options []grpc.CallOption) (key cachedQuestion, ok bool) {
	if c.cache == nil || len(options) > 0 {
		return key, false
	}
	return cachedQuestionOf(q)
}

// allowed asks a server one question.
func (c *Client) allowed(
	ctx context.Context, question *netpoldv1.AllowedRequest, options ...grpc.CallOption,
) (*netpoldv1.AllowedResponse, error) {
	var response *netpoldv1.AllowedResponse
	err := c.decide(func(from netpoldv1.DecisionServiceClient, asked grpc.CallOption) (err error) {
		response, err = from.Allowed(ctx, question, append(slices.Clip(options), asked)...)
		return err
	})
	return response, fromCall(err)
}

// BatchAllowed asks many questions of one snapshot of the cluster. The answers are in the order of the
// questions. An invalid question fails alone: see [AnswerError]. It is many times faster than one call for
// each question.
//
// It is one call. If it has more questions than the server accepts, by default 10,000, it fails with
// [ErrTooLarge]. Smaller batches may be answered from several snapshots. With the token of the first response
// as at_least of the next, later ones are never older.
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

// Status returns what a server knows and how fresh it is. Servers answer it before the first full sync too.
func (c *Client) Status(ctx context.Context,
	options ...grpc.CallOption) (*netpoldv1.GetStatusResponse, error) {
	response, err := netpoldv1.NewStatusServiceClient(c.every).
		GetStatus(ctx, &netpoldv1.GetStatusRequest{}, options...)
	return response, fromCall(err)
}

// Close closes the client's connections, which ends calls in progress.
func (c *Client) Close() error {
	if c.cache != nil {
		c.cache.close()
	}
	c.gatherer.close()
	return errors.Join(c.healthy.Close(), c.every.Close())
}

// decide is ask, for DecisionService.
func (c *Client) decide(call func(from netpoldv1.DecisionServiceClient, asked grpc.CallOption) error) error {
	return c.ask(func(conn *grpc.ClientConn, asked grpc.CallOption) error {
		return call(netpoldv1.NewDecisionServiceClient(conn), asked)
	})
}

// ask calls a healthy server or, if there is none, any server. call must use the option asked: it shows
// whether the call reached a server at all.
func (c *Client) ask(call func(conn *grpc.ClientConn, asked grpc.CallOption) error) error {
	// gRPC retries for a while if no server is healthy. If that is known already, skip it.
	if c.healthy.GetState() != connectivity.TransientFailure {
		var server peer.Peer
		err := call(c.healthy, grpc.Peer(&server))
		if status.Code(err) != codes.Unavailable || server.Addr != nil {
			return err
		}
	}
	return call(c.every, grpc.EmptyCallOption{})
}
