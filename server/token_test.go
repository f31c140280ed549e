package server_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
)

var (
	malformed = violation{"at_least",
		"is not a token of netpold; give the token of an earlier response, or leave it out"}
	foreign = details{
		Code: codes.FailedPrecondition, Reason: "TOKEN_UNKNOWN",
		Message: "at_least: the token is of another source of the cluster's state, and will never be reached here; " +
			"use a token of this server or of a replica of it",
	}
	notReached = details{
		Code: codes.DeadlineExceeded, Reason: "TOKEN_NOT_REACHED",
		Message: "at_least: the server's snapshot is still older than the token; retry with a longer deadline, " +
			"or see the age of its resources with netpold.v1.StatusService/GetStatus",
	}
)

func atLeast(token string) *netpoldv1.AllowedRequest {
	question := ask()
	question.AtLeast = token
	return question
}

// isolate returns a change after which ask() is denied.
func isolate() engine.Change {
	return engine.Change{Object: allowCart(), Delete: true}
}

// A question with a token waits for the snapshot that the token names, and is answered from it.
func TestAtLeastWaits(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(context.Context,
		*decisions.Service) (*netpoldv1.AllowedResponse, error){
		"Allowed": func(ctx context.Context, d *decisions.Service) (*netpoldv1.AllowedResponse, error) {
			return d.Allowed(ctx, atLeast("servertest:2"))
		},
		"BatchAllowed": func(ctx context.Context, d *decisions.Service) (*netpoldv1.AllowedResponse, error) {
			response, err := d.BatchAllowed(ctx, &netpoldv1.BatchAllowedRequest{
				Questions: []*netpoldv1.AllowedRequest{ask()}, AtLeast: "servertest:2",
			})
			return response.GetAnswers()[0].GetResponse(), err
		},
		"BatchAllowed, a question's own": func(ctx context.Context,
			d *decisions.Service) (*netpoldv1.AllowedResponse, error) {
			response, err := d.BatchAllowed(ctx, &netpoldv1.BatchAllowedRequest{
				Questions: []*netpoldv1.AllowedRequest{ask(), atLeast("servertest:2")},
			})
			// The first question, which asked for nothing, has the same snapshot (S25).
			return response.GetAnswers()[0].GetResponse(), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				source := synced(shop()...)
				service := decisions.New(source, decisions.Options{})
				answered := make(chan *netpoldv1.AllowedResponse, 1)
				go func() {
					response, err := call(t.Context(), service)
					if err != nil {
						t.Error(err)
					}
					answered <- response
				}()
				synctest.Wait()
				if len(answered) != 0 {
					t.Fatalf("answered from an older snapshot: %v", <-answered)
				}
				source.Apply(isolate())
				if got := <-answered; got.GetAllowed() || got.GetRevision() != 2 {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

func TestAtLeastThatIsThereAlready(t *testing.T) {
	t.Parallel()
	source := synced(shop()...)
	source.Apply(isolate())
	service := decisions.New(source, decisions.Options{})
	for _, token := range []string{"", "servertest:1", "servertest:2"} {
		got, err := service.Allowed(t.Context(), atLeast(token))
		if err != nil || got.GetRevision() != 2 {
			t.Errorf("%q: %v, %v", token, got, err)
		}
	}
}

// A token that is not reached in time, one that never can be, and one that is malformed have different
// errors.
func TestAtLeastFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		token string
		want  details
	}{
		"malformed": {"nonsense", details{Code: codes.InvalidArgument, Reason: "INVALID_QUESTION",
			Message: messageOf([]violation{malformed}), Violations: []violation{malformed}}},
		"unknown":     {"other:1", foreign},
		"not reached": {"servertest:2", notReached},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := decisions.New(synced(shop()...), decisions.Options{})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := service.Allowed(ctx, atLeast(test.token))
				if diff := cmp.Diff(test.want, detailsOf(t, status.Convert(err))); diff != "" {
					t.Errorf("Allowed: -want +got:\n%s", diff)
				}
				// There was time left for an error with details: the caller's own deadline has not passed.
				if ctx.Err() != nil {
					t.Error("the answer came after the deadline")
				}
				ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err = service.BatchAllowed(ctx, &netpoldv1.BatchAllowedRequest{
					Questions: []*netpoldv1.AllowedRequest{ask()}, AtLeast: test.token,
				})
				if diff := cmp.Diff(test.want, detailsOf(t, status.Convert(err))); diff != "" {
					t.Errorf("BatchAllowed: -want +got:\n%s", diff)
				}
			})
		})
	}
}

// In a batch, a question's own token that cannot be met fails that question alone.
func TestAtLeastFailsAloneInABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := decisions.New(synced(shop()...), decisions.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		response, err := service.BatchAllowed(ctx,
			&netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{
				ask(), atLeast("servertest:2"), atLeast("other:1"), atLeast("nonsense"), atLeast("servertest:1"),
				atLeast("servertest:2"),
			}})
		if err != nil {
			t.Fatal(err)
		}
		placed := func(d details, index string) details {
			d.Message = "questions[" + index + "]." + d.Message
			return d
		}
		wrong := violation{"questions[3].at_least", malformed.Description}
		want := []details{
			{Message: "allowed"},
			placed(notReached, "1"),
			placed(foreign, "2"),
			{Code: codes.InvalidArgument, Reason: "INVALID_QUESTION", Message: messageOf([]violation{wrong}),
				Violations: []violation{wrong}},
			{Message: "allowed"},
			placed(notReached, "5"),
		}
		var got []details
		for _, a := range response.GetAnswers() {
			if a.GetResponse().GetAllowed() {
				got = append(got, details{Message: "allowed"})
				continue
			}
			got = append(got, detailsOf(t, status.FromProto(a.GetError())))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestAtLeastOfACallerThatGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := decisions.New(synced(shop()...), decisions.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := service.Allowed(ctx, atLeast("servertest:2"))
			failed <- err
		}()
		synctest.Wait()
		cancel()
		want := details{Code: codes.Canceled, Message: "at_least: the caller gave the call up"}
		if diff := cmp.Diff(want, detailsOf(t, status.Convert(<-failed))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// A laggard is a source that names the resources that are too old.
type laggard struct {
	*servertest.Source
	resources []string
}

func (l laggard) Wait(ctx context.Context, _ string) (mirror.State, error) {
	<-ctx.Done()
	return mirror.State{}, &mirror.LagError{Resources: l.resources, Cause: ctx.Err()}
}

// The error of a token that is not reached in time names the resources that lag, if the source does.
func TestAtLeastNamesWhatLags(t *testing.T) {
	t.Parallel()
	const advice = " still older than the token; retry with a longer deadline, " +
		"or see the age of its resources with netpold.v1.StatusService/GetStatus"
	for name, test := range map[string]struct {
		resources []string
		want      details
	}{
		"one": {[]string{"pods"}, details{
			Message:  "at_least: of the server's snapshot, pods is" + advice,
			Metadata: map[string]string{"resources": "pods"},
		}},
		"several": {[]string{"pods", "networkpolicies"}, details{
			Message:  "at_least: of the server's snapshot, pods, networkpolicies are" + advice,
			Metadata: map[string]string{"resources": "pods,networkpolicies"},
		}},
		"none": {nil, details{Message: "at_least: the server's snapshot is" + advice}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := decisions.New(laggard{synced(shop()...), test.resources}, decisions.Options{})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := service.Allowed(ctx, atLeast("servertest:2"))
				test.want.Code, test.want.Reason = codes.DeadlineExceeded, "TOKEN_NOT_REACHED"
				if diff := cmp.Diff(test.want, detailsOf(t, status.Convert(err))); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		})
	}
}

// The error of a caller that gives up does not name what lags.
func TestAtLeastOfALaggardWhoseCallerGivesUp(t *testing.T) {
	t.Parallel()
	service := decisions.New(laggard{synced(shop()...), []string{"pods"}}, decisions.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := service.Allowed(ctx, atLeast("servertest:2")); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
}

// A broken is a source that returns states that it must not.
type broken struct{ *servertest.Source }

func (broken) Wait(context.Context, string) (mirror.State, error) {
	return mirror.State{}, errors.New("out of order")
}

// A source that breaks its contract causes an error, never an answer from an older snapshot.
func TestAtLeastOfABrokenSource(t *testing.T) {
	t.Parallel()
	service := decisions.New(broken{synced(shop()...)}, decisions.Options{})
	_, err := service.Allowed(t.Context(), atLeast("servertest:2"))
	if status.Code(err) != codes.Internal {
		t.Error(err)
	}
}
