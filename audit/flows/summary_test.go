package flows_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// F6, F5: what is counted, and of which records the times are.
func TestF6Counts(t *testing.T) {
	t.Parallel()
	s := flows.NewSummary(atSecond(12), 0)
	s.Skip(&flows.Record{Time: atSecond(-5)}, flows.Malformed)
	s.Skip(&flows.Record{Time: atSecond(-5)}, flows.OutOfTime)
	s.Skip(&flows.Record{Time: atSecond(10)}, flows.Reply)
	s.Skip(&flows.Record{}, flows.NotL4)
	web := flows.Policy{Kind: "NetworkPolicy", Namespace: "shop", Name: "web"}
	all := flows.Policy{Kind: "ClusterNetworkPolicy", Name: "all"}
	allowed := &flows.Answer{
		Reason: engine.AllowedByRule, Policies: []flows.Policy{web, all},
		Src: flows.Party{Name: "deploy/shop/web"}, Dst: flows.Party{Name: "8.8.8.0/24"},
	}
	denied := &flows.Answer{
		Reason: engine.DeniedAtEgress, Policies: []flows.Policy{web},
		Src: flows.Party{Name: "deploy/shop/web"}, Dst: flows.Party{Name: "8.8.8.0/24"},
	}
	r := &flows.Record{Time: atSecond(11), Port: 53, Protocol: engine.UDP}
	s.Add(r, allowed, flows.Judgement{Compared: flows.Agrees})
	s.Add(r, denied, flows.Judgement{Compared: flows.Disagrees})
	r.Time = atSecond(14)
	s.Add(r, denied, flows.Judgement{Why: flows.NoVerdict})
	s.Add(r, new(flows.Answer), flows.Judgement{Why: flows.Unresolved})

	type counts struct{ Records, Asked, Allowed, Denied, Agrees, Disagrees, NotCompared, Older uint64 }
	got := counts{s.Records, s.Asked, s.Allowed, s.Denied, s.Agrees, s.Disagrees, s.NotCompared, s.Older}
	if want := (counts{8, 4, 1, 2, 1, 1, 2, 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if !s.Span.First.Equal(atSecond(10)) || !s.Span.Last.Equal(atSecond(14)) {
		t.Errorf("from %v to %v", s.Span.First, s.Span.Last)
	}
	if diff := cmp.Diff(map[flows.Why]uint64{
		flows.Malformed: 1, flows.OutOfTime: 1, flows.Reply: 1, flows.NotL4: 1, flows.NoVerdict: 1, flows.Unresolved: 1,
	}, s.ByWhy()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]flows.PolicyCount{
		{Policy: all, Allowed: 1}, {Policy: web, Allowed: 1, Denied: 2, Disagrees: 1},
	}, s.ByPolicy()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]flows.Pair{{
		Src: "deploy/shop/web", Dst: "8.8.8.0/24", Port: 53, Protocol: engine.UDP, Records: 3, Allowed: 1, Denied: 2,
		Agrees: 1, Disagrees: 1, NotCompared: 1, Span: flows.Span{First: atSecond(11), Last: atSecond(14)},
	}}, s.Pairs(10), cmpopts.IgnoreUnexported(flows.Pair{})); diff != "" {
		t.Error(diff)
	}
}

// F6: while there is room, pairs are exact; afterwards no count is too high, frequent pairs and those that
// disagree are kept.
func TestF6PairsInLittleMemory(t *testing.T) {
	t.Parallel()
	const most = 50
	random := rand.New(rand.NewPCG(6, 6))
	zipf := rand.NewZipf(random, 1.3, 2, 3000)
	exact, bounded := flows.NewSummary(time.Time{}, 1<<20), flows.NewSummary(time.Time{}, most)
	truth := map[string]uint64{}
	var disagreeing []string
	const records = 40_000
	for i := range records {
		name := fmt.Sprint(zipf.Uint64())
		j := flows.Judgement{Compared: flows.Agrees}
		if i%2500 == 7 { // 16 of pairs that nothing else is heard of
			name, j.Compared = fmt.Sprint("rare", i), flows.Disagrees
			disagreeing = append(disagreeing, name)
		}
		truth[name]++
		r, a := &flows.Record{Port: 1}, &flows.Answer{Reason: engine.NotIsolated, Src: flows.Party{Name: name}}
		exact.Add(r, a, j)
		bounded.Add(r, a, j)
	}
	if total, ok := exact.PairsTotal(); !ok || total != len(truth) {
		t.Errorf("%d pairs of %d, exact %v", total, len(truth), ok)
	}
	for _, p := range exact.Pairs(records) {
		if p.Records != truth[p.Src] {
			t.Errorf("%s has %d records of %d", p.Src, p.Records, truth[p.Src])
		}
	}
	total, ok := bounded.PairsTotal()
	if ok || total != most {
		t.Errorf("%d pairs are kept of %d, exact %v", total, most, ok)
	}
	top := bounded.Pairs(records)
	kept := map[string]bool{}
	for i, p := range top {
		kept[p.Src] = true
		if p.Records > truth[p.Src] || p.Records == 0 {
			t.Errorf("%s has %d records of %d", p.Src, p.Records, truth[p.Src])
		}
		if first := i < len(disagreeing); first != (p.Disagrees > 0) {
			t.Errorf("place %d has %d disagreements", i, p.Disagrees)
		}
	}
	for _, name := range disagreeing {
		if !kept[name] {
			t.Errorf("%s is lost", name)
		}
	}
	for name, n := range truth {
		if n > records/(most-uint64(len(disagreeing))) && !kept[name] {
			t.Errorf("%s is lost, which has %d records", name, n)
		}
	}
	if !slices.IsSortedFunc(top[len(disagreeing):], func(a, b flows.Pair) int { return int(b.Records) - int(a.Records) }) {
		t.Error("pairs are not in order")
	}
}

// F6: what disagrees with the policies is never pushed out by what agrees, even when nothing else has room.
func TestF6DisagreementsStay(t *testing.T) {
	t.Parallel()
	s := flows.NewSummary(time.Time{}, 2)
	add := func(name string, c flows.Comparison) {
		s.Add(&flows.Record{}, &flows.Answer{Reason: engine.NotIsolated, Src: flows.Party{Name: name}},
			flows.Judgement{Compared: c})
	}
	add("a", flows.Disagrees)
	add("b", flows.Disagrees)
	if _, exact := s.PairsTotal(); !exact {
		t.Error("two pairs of two are not exact")
	}
	for range 10 {
		add("c", flows.Agrees)
	}
	if _, exact := s.PairsTotal(); exact {
		t.Error("a pair was not taken in, and it is called exact")
	}
	if got := s.Pairs(5); len(got) != 2 || got[0].Src != "a" || got[1].Src != "b" {
		t.Errorf("%+v", got)
	}
	add("d", flows.Disagrees)
	if got := s.Pairs(5); len(got) != 2 || got[0].Src == "c" || got[1].Src == "c" {
		t.Errorf("%+v", got)
	}
}
