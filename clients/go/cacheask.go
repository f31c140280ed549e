package netpold

import (
	"context"
	"errors"
	"slices"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// askServer asks a server. It is the way when no stream keeps answers fresh (P29). e may be nil.
func (c *cache) askServer(
	ctx context.Context, asked *netpoldv1.AllowedRequest, e *cacheEntry,
) (*netpoldv1.AllowedResponse, error) {
	var err error
	for {
		var response *netpoldv1.AllowedResponse
		sent := c.now()
		token, turn := c.lastToken(e)
		response, err = c.client.allowed(ctx, atLeast(asked, token))
		if e, ok := errors.AsType[*Error](err); ok && e.Reason == "TOKEN_UNKNOWN" {
			response, err = c.client.allowed(ctx, asked) // a server of other files
		}
		if err != nil {
			break
		}
		if c.learn(e, response, sent, turn) {
			return response, nil
		}
	}
	if last := c.lastAnswer(e); last != nil && undecided(err) {
		return last, nil
	}
	return nil, err
}

// atLeast returns a question that is not answered from an older snapshot than token.
func atLeast(q *netpoldv1.AllowedRequest, token string) *netpoldv1.AllowedRequest {
	if token == "" {
		return q
	}
	return &netpoldv1.AllowedRequest{
		Src: q.GetSrc(), Dst: q.GetDst(), Port: q.GetPort(), Protocol: q.GetProtocol(), Details: q.GetDetails(),
		AtLeast: token,
	}
}

// lastToken returns the token that the next answer to a question must not be older than, and how many answers it had.
func (c *cache) lastToken(e *cacheEntry) (token string, turn uint64) {
	if e == nil {
		return "", 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokenOf(e), e.turn
}

// tokenOf returns the token that the next answer to a question must not be older than.
func (c *cache) tokenOf(e *cacheEntry) string {
	if e.asked != nil {
		return e.asked.GetToken()
	}
	// An earlier entry of the same question may have been forgotten.
	if n := len(c.owed); n > 0 {
		return c.owed[n-1]
	}
	return c.token
}

// learn keeps an answer of a server, which was asked at some time and turn, as the last known one. If the stream may be
// behind it, the stream must reach it first, and then answer the question anew: otherwise a denial could be followed
// by an older permission.
//
// It reports false if another answer came meanwhile, of another snapshot. Nobody knows which is older, so the question
// must be asked again.
func (c *cache) learn(e *cacheEntry, response *netpoldv1.AllowedResponse, asked int64, turn uint64) bool {
	if e == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.turn != turn && response.GetToken() != c.tokenOf(e) {
		return false
	}
	e.turn++
	e.asked, e.askedAt = response, asked
	if token := response.GetToken(); token != c.token {
		if !slices.Contains(c.owed, token) {
			c.owe(token)
		}
		e.answer.Store(nil)
		e.etag = 0
		if !e.removed {
			c.queue(e)
		}
	}
	return true
}

// owe has the stream reach a token.
func (c *cache) owe(token string) {
	s := c.session
	for len(c.owed) >= maxOwed {
		c.owed = slices.Delete(c.owed, 0, 1)
		if s != nil && s.told > 0 {
			s.told--
		}
	}
	c.owed = append(c.owed, token)
	if s != nil {
		s.wake()
	}
}

// lastAnswer returns the last known answer as FailLast gives it; nil if there is none.
func (c *cache) lastAnswer(e *cacheEntry) *netpoldv1.AllowedResponse {
	if e == nil || c.client.failure <= 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var last *netpoldv1.AllowedResponse
	at := int64(never)
	if a := e.answer.Load(); a != nil {
		last, at = a.response, max(a.at, c.fresh.Load())
	}
	if e.asked != nil && e.askedAt >= at {
		last, at = e.asked, e.askedAt
	}
	if last == nil || c.now()-at > int64(c.client.failure) {
		return nil
	}
	return markStale(last)
}
