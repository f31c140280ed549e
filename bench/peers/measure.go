package peers

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/netpold/netpold/bench/synthetic"
)

// Result is what one peer took for one cluster. What was not reached is zero.
type Result struct {
	// Load is from objects in memory to the first answer.
	Load time.Duration
	// Heap is what the peer holds after that, in bytes, with its input let go and garbage collected.
	Heap int64
	// Answers are the first [Agreed] questions', a byte each: 1 for allowed.
	Answers string
	// Hot and Random are nanoseconds for a decision: 1,024 questions again and again, and 131,072 in turn.
	Hot, Random float64
	// Change is the median from a change of a Pod's labels to the decision that counts it, that decision included.
	Change time.Duration
}

// Agreed is how many questions are compared between peers.
const Agreed = 1000

const (
	hot    = 1 << 10
	random = 1 << 17
	rounds = 5
	round  = 200 * time.Millisecond
	// changes are those to measure, each there and back, again and again.
	changes = 16
)

// Measure loads a cluster into a peer and measures it, alone in its process. It tells the result so far after each step.
func Measure(p Peer, size synthetic.Size, tell func(Result)) error {
	questions, toChange, err := ask(size)
	if err != nil {
		return err
	}
	before := heap()
	var r Result
	e, err := loadTimed(p, size, questions[0], &r)
	if err != nil {
		return err
	}
	r.Heap = heap() - before
	tell(r)
	if r.Answers, err = answers(e, questions[:Agreed]); err != nil {
		return err
	}
	tell(r)
	if r.Hot, err = perDecision(e, questions[:hot]); err != nil {
		return err
	}
	tell(r)
	if r.Random, err = perDecision(e, questions); err != nil {
		return err
	}
	tell(r)
	if r.Change, err = perChange(e, toChange); err != nil {
		return err
	}
	tell(r)
	runtime.KeepAlive(e)
	return nil
}

// ask makes the questions and changes, and lets the cluster that they are about go.
func ask(size synthetic.Size) ([]Question, []Change, error) {
	c := synthetic.New(size)
	list, err := NewChanges(c, changes)
	return NewQuestions(c, random), list, err
}

func loadTimed(p Peer, size synthetic.Size, q Question, r *Result) (Engine, error) {
	o, err := NewObjects(synthetic.New(size))
	if err != nil {
		return nil, err
	}
	runtime.GC() // What made the objects is not the peer's.
	start := time.Now()
	e, err := p.Load(o)
	if err != nil {
		return nil, err
	}
	_, err = e.Allowed(q)
	r.Load = time.Since(start)
	return e, err
}

func heap() int64 {
	runtime.GC() // The second collects what the first made unreachable through cleanups and pools.
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func answers(e Engine, questions []Question) (string, error) {
	var b strings.Builder
	for _, q := range questions {
		allowed, err := e.Allowed(q)
		if err != nil {
			return "", fmt.Errorf("%v: %w", q, err)
		}
		if allowed {
			b.WriteByte('1')
		} else {
			b.WriteByte('0')
		}
	}
	return b.String(), nil
}

// perDecision is the median of some rounds, after one to warm up.
func perDecision(e Engine, questions []Question) (float64, error) {
	var list []float64
	next := 0
	for range 1 + rounds {
		ns, err := oneRound(e, questions, &next)
		if err != nil {
			return 0, err
		}
		list = append(list, ns)
	}
	list = list[1:]
	slices.Sort(list)
	return list[len(list)/2], nil
}

// oneRound asks in lots that grow, so that looking at the clock costs nothing.
func oneRound(e Engine, questions []Question, next *int) (float64, error) {
	start, asked := time.Now(), 0
	for lot := 1; ; lot = min(2*lot, 1<<12) {
		for range lot {
			if _, err := e.Allowed(questions[*next]); err != nil {
				return 0, err
			}
			if *next++; *next == len(questions) {
				*next = 0
			}
		}
		asked += lot
		if took := time.Since(start); took >= round {
			return float64(took.Nanoseconds()) / float64(asked), nil
		}
	}
}

func perChange(e Engine, list []Change) (time.Duration, error) {
	var took []time.Duration
	for start := time.Now(); len(took) < 2*len(list) || time.Since(start) < rounds*round; {
		for i := range list {
			there, err := list[i].there(e)
			if err != nil {
				return 0, err
			}
			back, err := list[i].back(e)
			if err != nil {
				return 0, err
			}
			took = append(took, there, back)
		}
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
