package peers

import (
	"testing"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

func load(t testing.TB, p Peer, o *Objects) Engine {
	t.Helper()
	e, err := p.Load(o)
	if err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
	return e
}

// TestAgree: every peer answers every question that is timed as the oracle does.
func TestAgree(t *testing.T) {
	t.Chdir(t.TempDir()) // netpol-analyzer writes a log there.
	c := synthetic.New(small)
	oracle := &enginetest.Oracle{}
	for _, change := range c.Changes() {
		oracle.Objects = append(oracle.Objects, change.Object)
	}
	protocols := map[string]engine.Protocol{"TCP": engine.TCP, "UDP": engine.UDP}
	questions := NewQuestions(c, 1000)
	want := make([]bool, len(questions))
	allowed := 0
	for i, q := range questions {
		d, err := oracle.Allowed(enginetest.Question{
			Src: enginetest.Endpoint{IP: q.Src}, Dst: enginetest.Endpoint{IP: q.Dst}, Port: q.Port, Protocol: protocols[string(q.Protocol)],
		})
		if err != nil {
			t.Fatal(err)
		}
		if want[i] = d.Allowed; d.Allowed {
			allowed++
		}
	}
	t.Logf("%d of %d allowed", allowed, len(questions))
	if allowed < len(questions)/20 || allowed > len(questions)*19/20 {
		t.Errorf("%d of %d allowed: the questions tell little", allowed, len(questions))
	}
	for _, p := range All() {
		t.Run(p.Name, func(t *testing.T) {
			e := load(t, p, newObjects(t, c))
			for i, q := range questions {
				if got, err := e.Allowed(q); err != nil || got != want[i] {
					t.Errorf("%v: %t (%v), want %t", q, got, err, want[i])
				}
			}
		})
	}
}

// TestChange: every peer counts a change of a Pod in the next answer, there and back.
func TestChange(t *testing.T) {
	t.Chdir(t.TempDir())
	c := synthetic.New(small)
	changes, err := NewChanges(c, 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range All() {
		t.Run(p.Name, func(t *testing.T) {
			e := load(t, p, newObjects(t, c))
			for range 2 {
				for _, change := range changes {
					if _, err := change.there(e); err != nil {
						t.Error(err)
					}
					if _, err := change.back(e); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}
