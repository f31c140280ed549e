package enginetest_test

import (
	"fmt"
	"maps"
	"sync/atomic"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// TestEngineAgainstOracle applies random orders of events to the engine, and after each batch asks it and the
// oracle the same questions: S1 to S25, S27, whatever came first.
func TestEngineAgainstOracle(t *testing.T) {
	groups, seeds, least := 20, 150, int64(200_000)
	if enginetest.UnderRace {
		groups, seeds, least = 10, 40, 50_000
	}
	if testing.Short() {
		groups, seeds, least = 4, 8, 4_000
	}
	var asked atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for g := range groups {
			t.Run(fmt.Sprint(g), func(t *testing.T) {
				t.Parallel()
				for i := range seeds {
					n, failure := differ(uint64(g*seeds+i), 12)
					asked.Add(int64(n))
					if failure != "" {
						t.Fatal(failure)
					}
				}
			})
		}
	})
	if asked.Load() < least && !t.Failed() {
		t.Errorf("asked %d questions, want at least %d", asked.Load(), least)
	}
	t.Logf("%d questions", asked.Load())
}

// FuzzEngine runs [TestEngineAgainstOracle] for any seed.
func FuzzEngine(f *testing.F) {
	f.Add(uint64(1), uint8(8))
	f.Add(uint64(1)<<63, uint8(100))
	f.Fuzz(func(t *testing.T, seed uint64, questions uint8) {
		if _, failure := differ(seed, int(questions)); failure != "" {
			t.Fatal(failure)
		}
	})
}

// differ runs one seed: how many questions it asked, and how the engine differs from the oracle, if it does.
func differ(seed uint64, questions int) (int, string) {
	r := enginetest.NewRandom(seed)
	if seed%2 == 0 {
		r.WithTiers()
	}
	options := engine.Options{
		IPBlockIgnoresPods: seed%4 == 3, LocalAboveTiers: seed%8 == 5,
		DecideOwnNode: seed%5 == 2, DecideOwnService: seed%5 == 3, IgnorePolicies: seed%31 == 30,
		JoinDirections: seed%3 == 1, ShareBlocks: seed%7 == 4,
	}
	cluster, state := engine.NewCluster(options), enginetest.State{}
	var past, old = [][]engine.Change{}, cluster.Snapshot()
	before := &enginetest.Oracle{Options: options}
	asked := 0
	for n, events := 0, r.Events(r.Cluster()); n < len(events)+6; n++ {
		var batch []engine.Change
		if n < len(events) {
			batch = events[n]
		} else {
			batch = r.Churn(state) // the settled cluster goes on changing
		}
		past = append(past, batch)
		state.Apply(batch)
		snapshot := apply(cluster, batch)
		if snapshot.Revision() <= old.Revision() || cluster.Snapshot() != snapshot {
			return asked, fmt.Sprintf(
				"seed %d batch %d: revision %d after %d, or another snapshot is published", seed, n,
				snapshot.Revision(), old.Revision(),
			)
		}
		oracle := &enginetest.Oracle{Objects: state.Objects(), Options: options}
		for i := range questions {
			q := r.Question(oracle.Objects)
			asked++
			if d := compare(snapshot, oracle, q); d != "" {
				return asked, explain(seed, n, options, past, q)
			}
			if i%6 != 0 {
				continue
			}
			if d := compare(old, before, q); d != "" { // S25: a snapshot never changes
				return asked, fmt.Sprintf(
					"seed %d batch %d: the snapshot before it changed: %s: %s\n\n%s", seed, n, q, d,
					enginetest.BatchesText(past),
				)
			}
		}
		old, before = snapshot, &enginetest.Oracle{Objects: oracle.Objects, Options: options}
	}
	return asked, ""
}

// apply gives the engine copies, since they are its own from then on.
func apply(c *engine.Cluster, batch []engine.Change) *engine.Snapshot {
	copies := make([]engine.Change, len(batch))
	for i, x := range batch {
		copies[i] = engine.Change{Object: enginetest.Clone(x.Object), Delete: x.Delete}
		if i > 0 && x.Object == batch[i-1].Object {
			copies[i].Object = copies[i-1].Object // a duplicate in every respect
		}
	}
	return c.Apply(copies...)
}

// compare asks both.
func compare(s *engine.Snapshot, o *enginetest.Oracle, q enginetest.Question) string {
	got, gotErr := s.Allowed(q.Query())
	want, wantErr := o.Allowed(q)
	if q.Src.IP.IsValid() && q.Dst.IP.IsValid() {
		reason, direct := s.AllowedDirect(q.Src.IP, q.Dst.IP, q.Port, q.Protocol)
		if direct && (reason != got.Reason || gotErr != nil || reason.Allowed() != got.Allowed) {
			return fmt.Sprintf("AllowedDirect: %v; Allowed: %v, %v", reason, got.Reason, gotErr)
		}
		d := engine.Decision{Families: engine.IPv4, BackendsTotal: 1} // of another question
		if s.DecideAddresses(q.Src.IP, q.Dst.IP, q.Port, q.Protocol, &d) {
			if diff := enginetest.Diff(d, nil, want, wantErr); diff != "" {
				return "DecideAddresses: " + diff
			}
		}
	}
	return enginetest.Diff(got, gotErr, want, wantErr)
}

// explain returns a difference with the smallest history that still shows it.
func explain(
	seed uint64, batch int, options engine.Options, past [][]engine.Change, q enginetest.Question,
) string {
	replay := func(batches [][]engine.Change) string {
		cluster, state := engine.NewCluster(options), enginetest.State{}
		for _, b := range batches {
			state.Apply(b)
			apply(cluster, b)
		}
		o := &enginetest.Oracle{Objects: state.Objects(), Options: options}
		return compare(cluster.Snapshot(), o, q)
	}
	least := past
	if d := replay(past); d != "" {
		least = enginetest.Minimise(past, func(b [][]engine.Change) bool { return replay(b) == d })
	}
	return fmt.Sprintf("seed %d batch %d, %+v\n\n%s\n%s\n%s",
		seed, batch, options, enginetest.BatchesText(least), q, replay(least))
}

// TestSnapshotsWhileApplying proves S25: readers that ask while the writer applies get, for each snapshot,
// the answers of the objects of its revision.
func TestSnapshotsWhileApplying(t *testing.T) {
	t.Run("network policies", func(t *testing.T) { askWhileApplying(t, enginetest.NewRandom(25)) })
	t.Run("tiers", func(t *testing.T) { askWhileApplying(t, enginetest.NewRandom(26).WithTiers()) })
}

// askWhileApplying does what TestSnapshotsWhileApplying says, with the objects and changes of r.
func askWhileApplying(t *testing.T, r *enginetest.Random) {
	type answer struct {
		revision uint64
		question enginetest.Question
		decision engine.Decision
		err      error
	}
	const readers, most = 4, 2000
	batches := 300
	if enginetest.UnderRace {
		batches = 100
	}
	objects := r.Cluster()
	cluster, state := engine.NewCluster(engine.Options{}), enginetest.State{}
	states := map[uint64][]engine.Object{cluster.Snapshot().Revision(): nil}
	stop, answers := make(chan struct{}), make(chan []answer, readers)
	for i := range readers {
		go func() {
			r, list := enginetest.NewRandom(uint64(100+i)), []answer(nil)
			defer func() { answers <- list }()
			for {
				s := cluster.Snapshot()
				for range 3 {
					a := answer{revision: s.Revision(), question: r.Question(objects)}
					a.decision, a.err = s.Allowed(a.question.Query())
					if len(list) < most {
						list = append(list, a)
					} else {
						list[len(list)-1-int(a.revision)%most] = a
					}
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
	}
	for _, batch := range r.Events(objects) {
		state.Apply(batch)
		states[apply(cluster, batch).Revision()] = state.Objects()
	}
	for range batches {
		batch := r.Churn(maps.Clone(state))
		state.Apply(batch)
		states[apply(cluster, batch).Revision()] = state.Objects()
	}
	close(stop)
	for range readers {
		for _, a := range <-answers {
			objects, ok := states[a.revision]
			if !ok {
				t.Fatalf("revision %d was never published", a.revision)
			}
			o := enginetest.Oracle{Objects: objects}
			want, err := o.Allowed(a.question)
			if d := enginetest.Diff(a.decision, a.err, want, err); d != "" {
				t.Fatalf("revision %d: %s: %s", a.revision, a.question, d)
			}
		}
	}
}
