package server_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/access"
)

// A reviewer is an API server: the token of a user is "TOKEN-" and its name.
type reviewer struct {
	mu sync.Mutex
	// rights has what users may do; a user without an entry is unknown.
	rights map[string][]mirror.Right
	// audiences are left out if nil.
	audiences []string
	failing   error
	// hold, if set, is called in each review.
	hold func(ctx context.Context)

	tokens, accesses, underWay, most int
}

func newReviewer() *reviewer {
	return &reviewer{rights: map[string][]mirror.Right{}, audiences: []string{"netpold"}}
}

func right(resource, verb string) mirror.Right {
	return mirror.Right{Group: "netpold.io", Resource: resource, Verb: verb}
}

func (r *reviewer) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// begin counts a review, and returns its end.
func (r *reviewer) begin(ctx context.Context, count *int) func() {
	r.mu.Lock()
	*count++
	r.underWay++
	r.most = max(r.most, r.underWay)
	hold := r.hold
	r.mu.Unlock()
	if hold != nil {
		hold(ctx)
	}
	return func() { r.set(func() { r.underWay-- }) }
}

func (r *reviewer) ReviewToken(ctx context.Context, token, audience string) (mirror.TokenReview, error) {
	defer r.begin(ctx, &r.tokens)()
	r.mu.Lock()
	defer r.mu.Unlock()
	name, ok := strings.CutPrefix(token, "TOKEN-")
	if _, known := r.rights[name]; r.failing != nil || ctx.Err() != nil || !ok || !known {
		return mirror.TokenReview{}, errors.Join(r.failing, ctx.Err())
	}
	return mirror.TokenReview{Authenticated: true, Audiences: r.audiences, User: mirror.User{Name: name}}, nil
}

func (r *reviewer) ReviewAccess(ctx context.Context, user *mirror.User, right mirror.Right) (bool, error) {
	defer r.begin(ctx, &r.accesses)()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, has := range r.rights[user.Name] {
		if has == right {
			return true, r.failing
		}
	}
	return false, r.failing
}

// startReviewed serves with tokens.
func startReviewed(t *testing.T, r *reviewer, log *logBuffer, change func(*server.Config)) *running {
	t.Helper()
	return start(t, synced(shop()...), func(c *server.Config) {
		c.KubeAuthz, c.Reviewer, c.Logger, c.KubeAuthzTTL = true, r, log.logger(), time.Hour
		if change != nil {
			change(c)
		}
	})
}

// with returns a context that sends values of authorization.
func with(ctx context.Context, values ...string) context.Context {
	for _, value := range values {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
	}
	return ctx
}

const unknown = "Unauthenticated CALLER_UNKNOWN"

// P36: each service needs a right of its own, as the table has it.
func TestP36RightsOfServices(t *testing.T) {
	t.Parallel()
	reviews := newReviewer()
	reviews.rights = map[string][]mirror.Right{
		"proxy": {right("decisions", "create")}, "watcher": {right("decisions", "watch")},
		"auditor": {right("audits", "create")}, "viewer": {right("status", "get")}, "nobody": {},
	}
	r := startReviewed(t, reviews, &logBuffer{}, nil)
	// received returns why a stream has no first message.
	received := func(stream grpc.ClientStream, err error, request, response any) error {
		if err != nil {
			return err
		}
		if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) { // EOF: the stream has ended already
			return err
		}
		return stream.RecvMsg(response)
	}
	for name, test := range map[string]struct {
		needs string
		call  func(ctx context.Context) error
	}{
		"Allowed": {"proxy", func(ctx context.Context) error { _, err := r.decisions().Allowed(ctx, ask()); return err }},
		"BatchAllowed": {"proxy", func(ctx context.Context) error {
			_, err := r.decisions().BatchAllowed(ctx, &netpoldv1.BatchAllowedRequest{})
			return err
		}},
		"StreamAllowed": {"proxy", func(ctx context.Context) error {
			stream, err := r.decisions().StreamAllowed(ctx)
			return received(stream, err, &netpoldv1.StreamAllowedRequest{}, &netpoldv1.StreamAllowedResponse{})
		}},
		"Check": {"proxy", waysToAsk(r.conn)["Check"]},
		"WatchAllowed": {"watcher", func(ctx context.Context) error {
			watch, err := r.decisions().WatchAllowed(ctx)
			return received(watch, err, &netpoldv1.WatchAllowedRequest{}, &netpoldv1.WatchAllowedResponse{})
		}},
		"Explain": {"auditor", func(ctx context.Context) error {
			_, err := netpoldv1.NewAuditServiceClient(r.conn).Explain(ctx, &netpoldv1.ExplainRequest{Question: ask()})
			return err
		}},
		"ListConnections": {"auditor", func(ctx context.Context) error {
			list, err := netpoldv1.NewAuditServiceClient(r.conn).ListConnections(ctx, &netpoldv1.ListConnectionsRequest{})
			if err == nil {
				_, err = list.Recv()
			}
			return err
		}},
		"GetStatus": {"viewer", func(ctx context.Context) error {
			_, err := netpoldv1.NewStatusServiceClient(r.conn).GetStatus(ctx, &netpoldv1.GetStatusRequest{})
			return err
		}},
		"reflection": {"viewer", func(ctx context.Context) error {
			stream, err := reflectionv1.NewServerReflectionClient(r.conn).ServerReflectionInfo(ctx)
			return received(stream, err, &reflectionv1.ServerReflectionRequest{
				MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}, &reflectionv1.ServerReflectionResponse{})
		}},
	} {
		for as := range reviews.rights {
			want := refused
			if as == test.needs {
				want = "OK"
			}
			ctx, cancel := context.WithCancel(soon(t))
			if got := refusedAs(t, test.call(with(ctx, "Bearer TOKEN-"+as))); got != want {
				t.Errorf("%s, as %s: %s, want %s", name, as, got, want)
			}
			cancel()
		}
	}
}

// P36, P38: what is no good token is refused as an unknown caller, and is in no error and no log.
func TestP38UnknownCallers(t *testing.T) {
	t.Parallel()
	reviews, log := newReviewer(), &logBuffer{}
	reviews.rights["proxy"] = []mirror.Right{right("decisions", "create")}
	r := startReviewed(t, reviews, log, nil)
	for name, values := range map[string][]string{
		"nothing": nil, "empty": {""}, "no scheme": {"TOKEN-proxy"}, "another scheme": {"Basic TOKEN-proxy"},
		"no token": {"Bearer "}, "two words": {"Bearer TOKEN-proxy x"}, "two values": {"Bearer TOKEN-proxy", "Bearer x"},
		"a wrong token": {"Bearer SECRET"}, "an unknown user": {"Bearer TOKEN-SECRET"},
	} {
		_, err := r.decisions().Allowed(with(soon(t), values...), ask())
		if got := refusedAs(t, err); got != unknown {
			t.Errorf("%s: %s", name, got)
		}
		if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: the token is in the error: %v", name, err)
		}
	}
	for _, scheme := range []string{"Bearer", "bearer", "BEARER"} {
		if _, err := r.decisions().Allowed(with(soon(t), scheme+" TOKEN-proxy"), ask()); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
	}
	if strings.Contains(log.String(), "SECRET") || strings.Contains(log.String(), "TOKEN-") {
		t.Errorf("a token is in the log:\n%s", log.String())
	}
}

// P36: an API server that leaves audiences out, or names others, does not vouch for the token.
func TestP36AudiencesAreCheckedInTheAnswer(t *testing.T) {
	t.Parallel()
	for name, audiences := range map[string][]string{
		"left out": nil, "of another": {"https://kubernetes.default.svc"}, "like it": {"netpol", "netpold2"},
	} {
		reviews := newReviewer()
		reviews.rights["proxy"] = []mirror.Right{right("decisions", "create")}
		reviews.audiences = audiences
		r := startReviewed(t, reviews, &logBuffer{}, nil)
		_, err := r.decisions().Allowed(with(soon(t), "Bearer TOKEN-proxy"), ask())
		if got := refusedAs(t, err); got != unknown {
			t.Errorf("%s: %s", name, got)
		}
		if reviews.accesses > 0 {
			t.Errorf("%s: rights were asked for", name)
		}
	}
}

// P37: an API server that does not answer is UNAVAILABLE, and is asked again by the next call.
func TestP37FailuresAreNeverRemembered(t *testing.T) {
	t.Parallel()
	reviews, log := newReviewer(), &logBuffer{}
	reviews.rights["proxy"] = []mirror.Right{right("decisions", "create")}
	reviews.failing = errors.New("connection refused: Bearer TOKEN-proxy")
	r := startReviewed(t, reviews, log, nil)
	ctx := with(soon(t), "Bearer TOKEN-proxy")
	for range 2 {
		_, err := r.decisions().Allowed(ctx, ask())
		if got := refusedAs(t, err); got != "Unavailable AUTHZ_UNAVAILABLE" {
			t.Error(got)
		}
	}
	if strings.Count(log.String(), `level=WARN msg="the API server could not be asked about a caller"`) != 1 {
		t.Errorf("the log does not say once why:\n%s", log.String())
	}
	if strings.Contains(log.String(), "TOKEN-") {
		t.Errorf("the token is in the log:\n%s", log.String())
	}
	reviews.set(func() { reviews.failing = nil })
	if _, err := r.decisions().Allowed(ctx, ask()); err != nil {
		t.Error(err)
	}
	reviews.set(func() { reviews.failing = errors.New("gone") })
	if _, err := r.decisions().Allowed(ctx, ask()); err != nil {
		t.Errorf("what is remembered: %v", err)
	}
	expectMetrics(t, metricsOf(t, r), map[string]string{
		`netpold_kube_reviews_total{kind="token",result="error"}`:    "2",
		`netpold_kube_reviews_total{kind="token",result="allowed"}`:  "1",
		`netpold_kube_reviews_total{kind="access",result="allowed"}`: "1",
	})
}

// P37: answers are remembered, refusals too; equal askers share a review; at most sixteen are under way.
func TestP37OneReviewForEqualAskersSixteenAtMost(t *testing.T) {
	t.Parallel()
	reviews := newReviewer()
	go_ := make(chan struct{})
	reviews.hold = func(ctx context.Context) {
		select {
		case <-go_:
		case <-ctx.Done():
		}
	}
	const users, each = 40, 5
	for i := range users {
		reviews.rights[strconv.Itoa(i)] = nil
	}
	r := startReviewed(t, reviews, &logBuffer{}, nil)
	ctx, results := soon(t), make(chan error, users*each)
	for i := range users * each {
		go func() {
			_, err := r.decisions().Allowed(with(ctx, "Bearer TOKEN-"+strconv.Itoa(i%users)), ask())
			results <- err
		}()
	}
	for full := false; !full && ctx.Err() == nil; {
		reviews.set(func() { full = reviews.underWay == 16 })
	}
	close(go_)
	for range users * each {
		if got := refusedAs(t, within(t, results, "an answer")); got != refused {
			t.Error(got)
		}
	}
	if _, err := r.decisions().Allowed(with(ctx, "Bearer TOKEN-0"), ask()); refusedAs(t, err) != refused {
		t.Error(err)
	}
	if reviews.tokens != users || reviews.accesses != users || reviews.most != 16 {
		t.Errorf("%d tokens and %d rights were asked for, want %d; %d at once, want 16", reviews.tokens, reviews.accesses,
			users, reviews.most)
	}
}

// P37: callers that give up leave no review behind, and nothing hangs at the end.
func TestP37ReviewsThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	reviews, begun, ended := newReviewer(), make(chan struct{}, 1), make(chan struct{}, 1)
	reviews.hold = func(ctx context.Context) {
		begun <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
	}
	r := startReviewed(t, reviews, &logBuffer{}, nil)
	ctx, cancel := context.WithCancel(with(soon(t), "Bearer TOKEN-x"))
	go func() { _, _ = r.decisions().Allowed(ctx, ask()) }()
	within(t, begun, "the review")
	cancel()
	within(t, ended, "the review to be given up")
	go func() { _, _ = r.decisions().Allowed(with(soon(t), "Bearer TOKEN-y"), ask()) }()
	within(t, begun, "the review")
	r.Stop()
	within(t, ended, "the review to end with the server")
}

// P37: no more than 4,096 answers of a kind are remembered.
func TestP37RememberedAnswersAreBounded(t *testing.T) {
	t.Parallel()
	reviews := newReviewer()
	for i := range 4200 {
		reviews.rights[strconv.Itoa(i)] = nil
	}
	tokens := access.NewTokens(reviews, access.TokenOptions{Audience: "netpold", TTL: time.Hour, Log: (&logBuffer{}).logger()})
	t.Cleanup(tokens.Close)
	known := 0
	for i := range 4200 {
		md := metadata.Pairs("authorization", "Bearer TOKEN-"+strconv.Itoa(i))
		_ = tokens.Check(metadata.NewIncomingContext(t.Context(), md), netpoldv1.DecisionService_Allowed_FullMethodName)
	}
	for i := range 4200 {
		if _, ok := tokens.Known(metadata.Pairs("authorization", "Bearer TOKEN-"+strconv.Itoa(i))); ok {
			known++
		}
	}
	if known != 4096 {
		t.Errorf("%d are remembered, want 4096", known)
	}
	// So it is of rights: the first one was forgotten, the last one not.
	for user, asked := range map[int]int{0: 1, 4199: 0} {
		before := reviews.accesses
		md := metadata.Pairs("authorization", "Bearer TOKEN-"+strconv.Itoa(user))
		_ = tokens.Check(metadata.NewIncomingContext(t.Context(), md), netpoldv1.DecisionService_Allowed_FullMethodName)
		if got := reviews.accesses - before; got != asked {
			t.Errorf("rights of user %d are asked for %d times, want %d", user, got, asked)
		}
	}
}

// P39: a caller of an open stream that has lost its right is told, and so is one whose token has expired.
func TestP39TokensEndStreams(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lose func(*reviewer)
		want string
	}{
		"the right is gone":    {func(r *reviewer) { r.rights["proxy"] = nil }, refused},
		"the token is expired": {func(r *reviewer) { delete(r.rights, "proxy") }, unknown},
		"nobody can say":       {func(r *reviewer) { r.failing = errors.New("gone") }, "Unavailable AUTHZ_UNAVAILABLE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reviews := newReviewer()
			reviews.rights["proxy"] = []mirror.Right{right("decisions", "create"), right("decisions", "watch")}
			r := startReviewed(t, reviews, &logBuffer{}, func(c *server.Config) { c.KubeAuthzTTL = 5 * time.Millisecond })
			watch, stream := openStreams(with(soon(t), "Bearer TOKEN-proxy"), t, r.conn)
			reviews.set(func() { test.lose(reviews) })
			if _, err := stream.Recv(); refusedAs(t, err) != test.want {
				t.Errorf("the stream ended with %v", err)
			}
			for {
				if _, err := watch.Recv(); err != nil {
					if got := refusedAs(t, err); got != test.want {
						t.Errorf("the watch ended with %s", got)
					}
					return
				}
			}
		})
	}
}
