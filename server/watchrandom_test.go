package server_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
	"github.com/netpold/netpold/test/requests"
)

// A frozen is a source with one state of another.
type frozen struct {
	*servertest.Source
	state mirror.State
}

func (f frozen) State() (mirror.State, bool) { return f.state, true }

// A churned is a source of a random cluster, all its states, and the random cluster itself.
type churned struct {
	*servertest.Source
	random  *enginetest.Random
	objects enginetest.State

	mu     sync.Mutex
	states map[uint64]mirror.State
}

func newChurned(seed uint64) *churned {
	c := &churned{
		Source: servertest.NewSource(), random: enginetest.NewRandom(seed), objects: enginetest.State{},
		states: map[uint64]mirror.State{},
	}
	if seed%2 == 0 {
		c.random.WithTiers()
	}
	var changes []engine.Change
	for _, o := range c.random.Cluster() {
		changes = append(changes, engine.Change{Object: o})
	}
	c.apply(changes)
	return c
}

// apply makes changes, and keeps the state for ever.
func (c *churned) apply(changes []engine.Change) {
	c.objects.Apply(changes)
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.Apply(changes...)
	c.states[state.Snapshot.Revision()] = state
}

// churn makes random changes.
func (c *churned) churn() { c.apply(c.random.Churn(c.objects)) }

// expect checks that the last answers of a watch are those of Allowed at the revision of its last response.
func (c *churned) expect(t *testing.T, w *watcher, asked map[uint64]*netpoldv1.AllowedRequest, verdictsOnly bool) {
	t.Helper()
	c.mu.Lock()
	state := c.states[w.last.GetRevision()]
	c.mu.Unlock()
	if w.last.GetToken() != state.Token {
		t.Errorf("revision %d has the token %q, want %q", w.last.GetRevision(), w.last.GetToken(), state.Token)
	}
	service := decisions.New(frozen{c.Source, state}, decisions.Options{})
	for id, q := range asked {
		got := w.answers[id]
		want, err := service.Allowed(t.Context(), q)
		if problem := differs(t, got, want, err, verdictsOnly); problem != "" {
			t.Errorf("revision %d, question %d %v: %s", w.last.GetRevision(), id, q, problem)
		}
	}
}

// differs returns in what an answer differs from that of Allowed, or "".
func differs(
	t *testing.T, got *netpoldv1.WatchAnswer, want *netpoldv1.AllowedResponse, err error, verdictsOnly bool,
) string {
	t.Helper()
	if err != nil {
		a, b := detailsOf(t, status.FromProto(got.GetError())), detailsOf(t, status.Convert(err))
		if a.Code != b.Code || a.Reason != b.Reason && !verdictsOnly {
			return fmt.Sprintf("got %v, Allowed fails with %v", got, err)
		}
		return ""
	}
	if verdictsOnly {
		if got.GetResponse() == nil || got.GetResponse().GetAllowed() != want.GetAllowed() {
			return fmt.Sprintf("got %v, Allowed says %v", got, want)
		}
		return ""
	}
	a, b := proto.CloneOf(got.GetResponse()), proto.CloneOf(want)
	for _, r := range []*netpoldv1.AllowedResponse{a, b} {
		if r != nil {
			r.Revision, r.Token, r.Stale = 0, "", false
		}
	}
	if !proto.Equal(a, b) {
		return fmt.Sprintf("got %v, Allowed says %v", a, b)
	}
	return ""
}

// askSome returns random questions with the smallest ids that are free, some with details.
func (c *churned) askSome(n int, asked map[uint64]*netpoldv1.AllowedRequest) []*netpoldv1.WatchQuestion {
	var list []*netpoldv1.WatchQuestion
	for id := uint64(1); len(list) < n; id++ {
		if asked[id] != nil {
			continue
		}
		q := requests.Of(c.random.Question(c.objects.Objects()))
		if q.GetSrc() == nil || q.GetDst() == nil || q.GetSrc().GetService() != nil {
			continue // it would not be watched
		}
		q.Details = id%7 == 0
		asked[id] = q
		list = append(list, &netpoldv1.WatchQuestion{Id: id, Question: q})
	}
	return list
}

// watchSeeds is how many random clusters are watched.
func watchSeeds() uint64 {
	if testing.Short() {
		return 4
	}
	return 30
}

// Random clusters change at random. After each change, every answer of every stream is that of Allowed on the
// present snapshot, while questions come and go.
func TestP20RandomChanges(t *testing.T) {
	t.Parallel()
	for seed := range watchSeeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c := newChurned(seed)
			r := start(t, c, nil)
			rng := rand.New(rand.NewPCG(seed, 20))
			type stream struct {
				*watcher
				asked        map[uint64]*netpoldv1.AllowedRequest
				verdictsOnly bool
			}
			var streams []*stream
			for i := range 3 {
				s := &stream{watch(t, r.conn), map[uint64]*netpoldv1.AllowedRequest{}, i == 2}
				s.send(&netpoldv1.WatchAllowedRequest{Add: c.askSome(40, s.asked), VerdictsOnly: s.verdictsOnly})
				streams = append(streams, s)
			}
			for range 25 {
				for range 1 + rng.IntN(3) {
					c.churn()
				}
				for _, s := range streams {
					req := &netpoldv1.WatchAllowedRequest{}
					for id := range s.asked {
						if rng.IntN(20) == 0 {
							req.Remove = append(req.Remove, id)
							delete(s.asked, id)
							delete(s.answers, id)
						}
					}
					req.Add = c.askSome(rng.IntN(3), s.asked)
					s.send(req)
				}
				for _, s := range streams {
					if got := s.complete(); got.GetRevision() != c.present() {
						t.Errorf("complete at revision %d, the present one is %d", got.GetRevision(), c.present())
					}
					c.expect(t, s.watcher, s.asked, s.verdictsOnly)
				}
			}
		})
	}
}

// present returns the present revision.
func (c *churned) present() uint64 {
	state, _ := c.State()
	return state.Snapshot.Revision()
}

// While a cluster changes without pause, at every complete response all answers are those of the snapshot that
// its revision names: no revision is ahead of a change that is not sent yet. The stream is cut now and then, and
// resumed on another replica.
func TestP20WhileTheClusterChanges(t *testing.T) {
	t.Parallel()
	for seed := range watchSeeds() / 2 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c := newChurned(seed + 1000)
			replicas := []*running{start(t, c, nil), start(t, c, nil)}
			asked := map[uint64]*netpoldv1.AllowedRequest{}
			questions := c.askSome(60, asked)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 300 {
					c.churn()
				}
			}()
			w := watch(t, replicas[0].conn)
			w.send(&netpoldv1.WatchAllowedRequest{Add: questions})
			checked := 0
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true
				default:
				}
				w.now()
				checked++
				c.expect(t, w, asked, false)
				if checked%20 == 0 && !ended { // P25
					w = resume(t, w, replicas[checked/20%2], questions)
				}
			}
			if w.last.GetRevision() != c.present() {
				t.Errorf("revision %d, the present one is %d", w.last.GetRevision(), c.present())
			}
		})
	}
}

// resume opens another stream with the questions of w, for what w has not.
func resume(t *testing.T, w *watcher, at *running, questions []*netpoldv1.WatchQuestion) *watcher {
	t.Helper()
	next := watch(t, at.conn)
	next.answers = w.answers
	req := &netpoldv1.WatchAllowedRequest{AtLeast: w.last.GetToken()}
	for _, q := range questions {
		req.Add = append(req.Add, &netpoldv1.WatchQuestion{
			Id: q.GetId(), Question: q.GetQuestion(), IfNot: w.answers[q.GetId()].GetEtag(),
		})
	}
	next.send(req)
	if got := next.complete(); got.GetRevision() < w.last.GetRevision() {
		t.Errorf("resumed at revision %d after %d", got.GetRevision(), w.last.GetRevision())
	}
	return next
}
