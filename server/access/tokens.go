package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/occasions"
	"github.com/netpold/netpold/server/internal/wire"
)

// recheckAfter is after how many TTLs an open stream is judged again. If nobody can say then, it is asked again for
// half as long, so that all is done within the 30 of P39.
const recheckAfter = 18

// TokenOptions configure [NewTokens].
type TokenOptions struct {
	// Audience must be one of a token's.
	Audience string
	// TTL is how long answers of the API server are remembered.
	TTL time.Duration
	// Log gets refusals. Metrics counts them, and reviews.
	Log     *slog.Logger
	Metrics *metrics.Metrics
}

// Tokens judges callers by their bearer tokens, which the API server reviews (P36). It is safe for concurrent use.
type Tokens struct {
	*Guard
	asking
	reviewer mirror.Reviewer
	audience string
	log      *slog.Logger
	stop     context.CancelFunc
	// seed makes keys that nobody outside can compute.
	seed   [32]byte
	users  *reviews[key, *user]
	rights *reviews[rightKey, bool]
	// failed has when it was logged that the API server does not answer.
	failed occasions.Occasions[struct{}]
}

// A key is a keyed hash of a token, or of a user: no token is kept (P37).
type key [sha256.Size]byte

type rightKey struct {
	user  key
	right mirror.Right
}

// A user is what is remembered of a token.
type user struct {
	mirror.User
	key key
	// unknown is why the token is not taken; empty if it is.
	unknown string
}

// NewTokens returns a guard that asks reviewer. Call [Tokens.Close] when no call is left.
func NewTokens(reviewer mirror.Reviewer, options TokenOptions) *Tokens {
	t := &Tokens{reviewer: reviewer, audience: options.Audience, log: options.Log}
	t.asking = asking{
		ttl: options.TTL, now: time.Now, slots: make(chan struct{}, maxUnderWay), metrics: options.Metrics,
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	_, _ = rand.Read(t.seed[:]) // it never fails
	t.Guard = newGuard(t, options.Log, options.Metrics)
	t.users = newReviews[key](&t.asking, metrics.TokenReview, func(u *user) bool { return u.unknown == "" })
	t.rights = newReviews[rightKey](&t.asking, metrics.AccessReview, func(yes bool) bool { return yes })
	return t
}

// Close gives up all reviews, and waits until none is under way.
func (t *Tokens) Close() {
	t.stop()
	t.running.Wait()
}

// Known returns who the caller of the metadata is, if its token was reviewed a moment ago. It does not block.
func (t *Tokens) Known(md metadata.MD) (principal string, ok bool) {
	token, _ := bearer(md)
	if token == "" {
		return "", false
	}
	u, ok := t.users.peek(t.keyOf(token))
	if !ok || u.unknown != "" {
		return "", false
	}
	return u.Name, true
}

// judge implements judge.
func (t *Tokens) judge(ctx context.Context, method string) (string, *wire.Failure) {
	md, _ := metadata.FromIncomingContext(ctx)
	token, wrong := bearer(md)
	if wrong != "" {
		return "", unknownCaller(wrong)
	}
	u, err := t.users.get(ctx, t.keyOf(token), func(ctx context.Context) (*user, error) {
		return t.review(ctx, token)
	})
	switch {
	case err != nil:
		return "", t.unavailable(ctx, err)
	case u.unknown != "":
		return "", unknownCaller(u.unknown)
	}
	right := rightOf(method)
	allowed, err := t.rights.get(ctx, rightKey{u.key, right}, func(ctx context.Context) (bool, error) {
		return t.reviewer.ReviewAccess(ctx, &u.User, right)
	})
	switch {
	case err != nil:
		return u.Name, t.unavailable(ctx, err)
	case !allowed:
		return u.Name, notAllowed(fmt.Sprintf("%q may not %s %s.%s in the cluster: bind it to a ClusterRole with that "+
			"right", u.Name, right.Verb, right.Resource, right.Group))
	}
	return u.Name, nil
}

// again implements judge.
func (t *Tokens) again() (<-chan struct{}, time.Duration) { return nil, recheckAfter * t.ttl }

// review asks whose a token is.
func (t *Tokens) review(ctx context.Context, token string) (*user, error) {
	answer, err := t.reviewer.ReviewToken(ctx, token, t.audience)
	if err != nil {
		return nil, withoutToken(err, token)
	}
	switch {
	case !answer.Authenticated || answer.User.Name == "":
		return &user{unknown: "the API server does not take the bearer token: it is wrong or expired, or not for the " +
			"audience " + t.audience}, nil
	case !slices.Contains(answer.Audiences, t.audience):
		// An API server, or an authenticator of its, that does not know audiences takes a token for any of them.
		return &user{unknown: "the bearer token is not for the audience " + t.audience + ": request one that is, with " +
			"kubectl create token --audience=" + t.audience + ", or a projected volume"}, nil
	}
	return &user{User: answer.User, key: t.keyOfUser(&answer.User)}, nil
}

// unavailable refuses a caller of whom nobody can say what it may do.
func (t *Tokens) unavailable(ctx context.Context, err error) *wire.Failure {
	if ctx.Err() != nil {
		return current.Ended(ctx)
	}
	// Every caller that is not known yet meets the same.
	level := t.failed.Level(time.Now(), struct{}{})
	t.log.Log(ctx, level, "the API server could not be asked about a caller", "error", err)
	return &wire.Failure{Code: codes.Unavailable, Reason: wire.ReasonAuthzUnavailable,
		Message: "the API server could not be asked who the caller is and what it may do; retry"}
}

// withoutToken returns err, unless its text has the token in it.
func withoutToken(err error, token string) error {
	if strings.Contains(err.Error(), token) {
		return errors.New("the error has the token in it, and is not told")
	}
	return err
}

// bearer returns the token of the metadata, or what is wrong with them.
func bearer(md metadata.MD) (token, wrong string) {
	const remedy = ": send one, as authorization: Bearer TOKEN"
	values := md.Get("authorization")
	switch len(values) {
	case 0:
		return "", "the caller sends no bearer token" + remedy
	case 1:
	default:
		return "", "the caller sends several values of authorization" + remedy
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "bearer") || token == "" || strings.ContainsAny(token, " \t") {
		return "", "authorization has no bearer token" + remedy
	}
	return token, ""
}

const group = "netpold.io"

// rightOf returns the right that a caller of a method needs (P36). What is in no row needs that of status.
func rightOf(method string) mirror.Right {
	switch serviceOf(method) {
	case netpoldv1.DecisionService_ServiceDesc.ServiceName, "envoy.service.auth.v3.Authorization":
		if method == netpoldv1.DecisionService_WatchAllowed_FullMethodName {
			return mirror.Right{Group: group, Resource: "decisions", Verb: "watch"}
		}
		return mirror.Right{Group: group, Resource: "decisions", Verb: "create"}
	case netpoldv1.AuditService_ServiceDesc.ServiceName:
		return mirror.Right{Group: group, Resource: "audits", Verb: "create"}
	default:
		return mirror.Right{Group: group, Resource: "status", Verb: "get"}
	}
}

func (t *Tokens) keyOf(token string) key {
	h := t.hash("token")
	h.Write([]byte(token))
	return key(h.Sum(nil))
}

// keyOfUser returns a key of everything that the rights of a user depend on.
func (t *Tokens) keyOfUser(u *mirror.User) key {
	h := t.hash("user")
	write := func(texts ...string) {
		_ = binary.Write(h, binary.BigEndian, uint64(len(texts))) // a hash takes everything
		for _, text := range texts {
			_ = binary.Write(h, binary.BigEndian, uint64(len(text)))
			h.Write([]byte(text))
		}
	}
	write(u.Name, u.UID)
	write(u.Groups...)
	for _, name := range slices.Sorted(maps.Keys(u.Extra)) {
		write(name)
		write(u.Extra[name]...)
	}
	return key(h.Sum(nil))
}

// hash begins a keyed hash of something of a kind.
func (t *Tokens) hash(kind string) hash.Hash {
	h := sha256.New()
	h.Write(t.seed[:])
	h.Write([]byte(kind + "\x00"))
	return h
}
