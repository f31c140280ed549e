package main

import (
	"strings"
	"testing"
	"time"

	"github.com/netpold/netpold/bench/peers"
	"github.com/netpold/netpold/bench/synthetic"
)

func rows(others ...row) []row {
	size := synthetic.Size{Pods: 10_000, Policies: 1_000}
	list := []row{{size, "netpold", 2 * time.Minute, peers.Result{
		Load: 112 * time.Millisecond, Heap: 10_600_000, Answers: strings.Repeat("01", peers.Agreed/2), Hot: 100, Random: 200, Change: 34 * time.Microsecond,
	}}}
	for _, r := range others {
		r.size, r.limit = size, 2*time.Minute
		list = append(list, r)
	}
	return list
}

// TestWrite: a row has its figures, and a peer whose time was over has those that it reached.
func TestWrite(t *testing.T) {
	var b strings.Builder
	write(&b, nil, rows(
		row{peer: "slow", Result: peers.Result{Load: 90 * time.Second, Heap: 2e9, Answers: strings.Repeat("01", peers.Agreed/2), Hot: 12_345}},
		row{peer: "endless"},
	))
	for _, want := range []string{
		"| 10k Pods, 1k policies | netpold | 112 ms | 10.6 MB | 100 ns | 1.00x | 200 ns | 1.00x | 34.0 µs | 1000 of 1000 |\n",
		"| 10k Pods, 1k policies | slow | 90.0 s | 2000 MB | 12.3 µs | 123x |  |  |  | 1000 of 1000 |\n",
		"| 10k Pods, 1k policies | endless | not loaded within 2m0s |  |  |  |  |  |  |  |\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no line %q in\n%s", want, b.String())
		}
	}
}

// TestDisagreement: one answer that differs fails the table; a peer that gave none does not.
func TestDisagreement(t *testing.T) {
	answers := strings.Repeat("01", peers.Agreed/2)
	for _, c := range []struct {
		name, answers string
		fails         bool
	}{
		{"same", answers, false},
		{"none", "", false},
		{"one differs", "1" + answers[1:], true},
		{"one is missing", answers[1:], true},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := disagreement(rows(row{peer: "other", Result: peers.Result{Answers: c.answers}}))
			if (err != nil) != c.fails {
				t.Errorf("error %v, want one: %t", err, c.fails)
			}
		})
	}
}

// TestPick: what is not there is said, not left out.
func TestPick(t *testing.T) {
	if _, err := pick(synthetic.Sizes, []string{"1kPods-100Policies", "7Pods"}, synthetic.Size.String); err == nil || !strings.Contains(err.Error(), `"7Pods"`) {
		t.Errorf("error %v, want one that names 7Pods", err)
	}
}

// TestMedians: each figure's is its own.
func TestMedians(t *testing.T) {
	got := medians([]peers.Result{{Hot: 3, Random: 10}, {Hot: 1, Random: 30, Answers: "01"}, {Hot: 2, Random: 20, Answers: "01"}})
	if want := (peers.Result{Hot: 2, Random: 20, Answers: "01"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
