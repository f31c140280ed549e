package agree

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert/converttest"
	"github.com/netpold/netpold/mirror/manifests"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/test/door"
	"github.com/netpold/netpold/test/requests"
)

// checkStreamed watches all questions, whose answers are those of a batch, to the last field (P1, P18).
func checkStreamed(t *testing.T, client *netpold.Client, questions []question, batched []*netpoldv1.AllowedResponse) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch, err := client.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	request := &netpoldv1.WatchAllowedRequest{}
	for i, q := range questions {
		request.Add = append(request.Add, &netpoldv1.WatchQuestion{Id: uint64(i) + 1, Question: q.proto()})
	}
	if err := watch.Send(request); err != nil {
		t.Fatal(err)
	}
	answered := 0
	for {
		response, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range response.GetAnswers() {
			if i := int(a.GetId()) - 1; i != answered || !proto.Equal(a.GetResponse(), batched[i]) {
				t.Errorf("%v\nbatch %v\nwatch %v", questions[i].oracle(), batched[i], a)
			}
			answered++
		}
		if response.GetComplete() && response.GetApplied() == 1 {
			break
		}
	}
	if answered != len(questions) {
		t.Errorf("%d answers to %d questions", answered, len(questions))
	}
}

// A folder is a directory of manifests that changes at random.
type folder struct {
	dir    string
	random *enginetest.Random
	state  enginetest.State
	// names has the objects by the names of their files.
	names map[string]engine.ObjectKey
	// oracle knows what the manifests say now, and token is that of their state.
	oracle *enginetest.Oracle
	token  string
}

// fileOf returns the name of the file of an object.
func fileOf(key engine.ObjectKey) string {
	return fmt.Sprintf("%v-%s-%s.json", key.Kind, key.Namespace, key.Name)
}

// apply writes changes, each file at once and one after the other, as an editor or a sync does. What the API server
// would refuse is taken back, after a server may have seen it.
func (f *folder) apply(t *testing.T, changes []engine.Change) {
	t.Helper()
	f.state.Apply(changes)
	for _, c := range changes {
		key := engine.KeyOf(c.Object)
		path := filepath.Join(f.dir, fileOf(key))
		o, there := f.state[key]
		if !there {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			continue
		}
		if p, ok := o.(*engine.ClusterPolicy); ok {
			o = converttest.ValidClusterPolicy(p)
		}
		data, err := json.Marshal(converttest.Object(o))
		if err != nil {
			t.Fatal(err)
		}
		beside := filepath.Join(f.dir, ".new")
		if err := errors.Join(os.WriteFile(beside, data, 0o600), os.Rename(beside, path)); err != nil {
			t.Fatal(err)
		}
		f.names[filepath.Base(path)] = key
	}
	f.mend(t)
}

// mend removes what is refused, and reads what is left.
func (f *folder) mend(t *testing.T) {
	t.Helper()
	for {
		source, err := manifests.NewSource(manifests.SourceOptions{Options: manifests.Options{Paths: []string{f.dir}}})
		if err == nil {
			err = source.Load(t.Context())
		}
		if err == nil {
			state, _ := source.State()
			f.token = state.Token
			break
		}
		f.drop(t, err)
	}
	result, err := manifests.Read(t.Context(), manifests.Options{Paths: []string{f.dir}})
	if err != nil {
		t.Fatal(err)
	}
	f.oracle = &enginetest.Oracle{Objects: result.Objects}
}

// drop removes the files that have a problem.
func (f *folder) drop(t *testing.T, err error) {
	t.Helper()
	problems, ok := errors.AsType[*manifests.ProblemsError](err)
	if !ok {
		t.Fatal(err)
	}
	dropped := false
	for _, p := range problems.Problems {
		name := filepath.Base(p.File)
		key, there := f.names[name]
		if p.Warning || !there {
			continue
		}
		if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
		delete(f.names, name)
		delete(f.state, key)
		dropped = true
	}
	if !dropped {
		t.Fatalf("problems of no file: %v", err)
	}
}

// A replica serves a folder, and remembers each state that it answered from.
type replica struct {
	*manifests.Source
	addr string

	mu     sync.Mutex
	states map[uint64]mirror.State
}

// State implements [mirror.Source].
func (r *replica) State() (mirror.State, bool) {
	state, ok := r.Source.State()
	if ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.states[state.Snapshot.Revision()] = state
	}
	return state, ok
}

// serveFolder serves a folder as a process does, until the test ends.
func serveFolder(t *testing.T, dir string) *replica {
	t.Helper()
	r := &replica{states: map[uint64]mirror.State{}}
	var err error
	r.Source, err = manifests.NewSource(manifests.SourceOptions{
		Options: manifests.Options{Paths: []string{dir}}, Quiet: time.Millisecond,
	})
	if err == nil {
		err = r.Load(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	r.addr = door.ServeSource(t, r)
	return r
}

// await waits until the state of a token is the present one.
func (r *replica) await(t *testing.T, token string) {
	t.Helper()
	for {
		changed := r.Changed()
		if _, err := r.Wait(t.Context(), token); err == nil {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatal("the replica does not take the manifests")
		}
	}
}

// A frozen is a source of one state.
type frozen struct {
	mirror.Source
	state mirror.State
}

// State implements [mirror.Source].
func (f frozen) State() (mirror.State, bool) { return f.state, true }

// A follower watches questions, on one replica after the other.
type follower struct {
	t         *testing.T
	questions []enginetest.Question
	asked     []*netpoldv1.AllowedRequest
	on        *replica
	watch     *netpold.Watch
	end       context.CancelFunc
	// sent counts the requests of the present stream. answers and token are what came of all streams.
	sent    uint64
	answers map[uint64]*netpoldv1.WatchAnswer
	token   string
	// complete counts complete responses, and changed answers that were not the first.
	complete, changed int
}

// ask adds random questions about what is there, or was, or never will be.
func (f *follower) ask(random *enginetest.Random, objects []engine.Object, n int) {
	for len(f.asked) < n {
		q := random.Question(objects)
		request := requests.Of(q)
		labelled := q.Src.Labels != nil || q.Dst.Labels != nil
		if request.GetSrc() != nil && request.GetDst() != nil && !labelled && q.Src.Service == nil {
			f.questions, f.asked = append(f.questions, q), append(f.asked, request)
		}
	}
}

// follow cuts the present stream, and resumes on a replica.
func (f *follower) follow(r *replica) {
	f.t.Helper()
	if f.end != nil {
		f.end()
	}
	ctx, end := context.WithCancel(f.t.Context())
	f.t.Cleanup(end)
	watch, err := dial(f.t, r.addr).Watch(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	f.on, f.watch, f.end, f.sent = r, watch, end, 0
	request := &netpoldv1.WatchAllowedRequest{AtLeast: f.token}
	for i, q := range f.asked {
		id := uint64(i) + 1
		request.Add = append(request.Add, &netpoldv1.WatchQuestion{Id: id, Question: q, IfNot: f.answers[id].GetEtag()})
	}
	f.send(request)
}

func (f *follower) send(request *netpoldv1.WatchAllowedRequest) {
	f.t.Helper()
	if err := f.watch.Send(request); err != nil {
		f.t.Fatal(err)
	}
	f.sent++
}

// reach receives until all is current, and compares all answers at each complete response.
func (f *follower) reach() {
	f.t.Helper()
	for {
		r, err := f.watch.Recv()
		if err != nil {
			f.t.Fatal(err)
		}
		f.token = r.GetToken()
		for _, a := range r.GetAnswers() {
			if f.answers[a.GetId()] != nil {
				f.changed++
			}
			f.answers[a.GetId()] = a
		}
		if !r.GetComplete() || r.GetApplied() == 0 {
			continue
		}
		f.complete++
		f.compare(r.GetRevision())
		if r.GetApplied() == f.sent {
			return
		}
	}
}

// compare compares all answers with those of Allowed on the snapshot of a revision.
func (f *follower) compare(revision uint64) {
	f.t.Helper()
	f.on.mu.Lock()
	state, ok := f.on.states[revision]
	f.on.mu.Unlock()
	if !ok {
		f.t.Fatalf("revision %d was never the present one", revision)
	}
	service := decisions.New(frozen{f.on, state}, decisions.Options{})
	for i, q := range f.asked {
		want, err := service.Allowed(f.t.Context(), q)
		got := f.answers[uint64(i)+1]
		if err != nil {
			if code := codes.Code(got.GetError().GetCode()); code != status.Code(err) {
				f.t.Fatalf("revision %d, %v: %v, Allowed fails with %v", revision, f.questions[i], got, err)
			}
			continue
		}
		is := proto.CloneOf(got.GetResponse())
		for _, r := range []*netpoldv1.AllowedResponse{is, want} {
			if r != nil {
				r.Revision, r.Token = 0, ""
			}
		}
		if !proto.Equal(is, want) {
			f.t.Fatalf("revision %d, %v: %v, Allowed says %v", revision, f.questions[i], got, want)
		}
	}
}

// judge compares all answers with the oracle's.
func (f *follower) judge(oracle *enginetest.Oracle) {
	f.t.Helper()
	for i, q := range f.questions {
		want, err := oracle.Allowed(q)
		got := f.answers[uint64(i)+1]
		if err != nil {
			if got.GetError() == nil {
				f.t.Fatalf("%v: %v, the oracle says %v", q, got, err)
			}
			continue
		}
		if r := got.GetResponse(); r == nil || r.GetAllowed() != want.Allowed || r.GetReason().String() != "REASON_"+reasons[want.Reason] {
			f.t.Fatalf("%v: %v, the oracle says %v", q, got, want)
		}
	}
}

// TestP20WatchOfManifests: while a directory of manifests changes at random, at every complete response all answers of a
// watch are those of the snapshot that its revision names, and after the last change those of the oracle. Its reader stalls
// through some changes, and now and then it is cut and resumed on another replica (P18 to P22, P25).
func TestP20WatchOfManifests(t *testing.T) {
	seeds := uint64(10)
	if testing.Short() {
		seeds = 2
	}
	complete, changed := 0, 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			folder := &folder{dir: t.TempDir(), random: enginetest.NewRandom(seed + 100), state: enginetest.State{},
				names: map[string]engine.ObjectKey{}}
			if seed%2 == 0 {
				folder.random.WithTiers()
			}
			var changes []engine.Change
			for _, o := range folder.random.Cluster() {
				changes = append(changes, engine.Change{Object: o})
			}
			folder.apply(t, changes)
			replicas := []*replica{serveFolder(t, folder.dir), serveFolder(t, folder.dir)}
			f := &follower{t: t, answers: map[uint64]*netpoldv1.WatchAnswer{}}
			f.ask(folder.random, folder.oracle.Objects, 60)
			for round := range 24 {
				if round%8 == 0 {
					f.follow(replicas[round/8%2])
					f.reach()
				}
				for range 1 + round%3 { // nothing is read meanwhile
					folder.apply(t, folder.random.Churn(folder.state))
				}
				for _, r := range replicas {
					r.await(t, folder.token)
				}
				f.send(&netpoldv1.WatchAllowedRequest{})
				f.reach()
				f.judge(folder.oracle)
			}
			complete, changed = complete+f.complete, changed+f.changed
		})
	}
	if !t.Failed() && changed < int(seeds)*20 {
		t.Errorf("%d changed answers in %d complete responses: that proves little", changed, complete)
	}
	t.Logf("%d complete responses, %d changed answers", complete, changed)
}
