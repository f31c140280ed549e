package enginetest_test

import (
	"errors"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// TestRandomReachesEveryAnswer keeps the generator honest: every reason and error, in every shape, comes up
// often enough.
func TestRandomReachesEveryAnswer(t *testing.T) {
	const least = 30
	var reasons [engine.DeniedAtIngress + 1]int
	var codes [engine.ExternalName + 1][2]int
	var families [4]int
	var partly, byBoth, laterRule int
	for seed := range uint64(200) {
		r := enginetest.NewRandom(seed)
		o := enginetest.Oracle{Objects: r.Cluster()}
		for range 200 {
			d, err := o.Allowed(r.Question(o.Objects))
			if q := (*engine.QueryError)(nil); errors.As(err, &q) {
				end := 0
				if q.Dst {
					end = 1
				}
				codes[q.Code][end]++
				continue
			}
			reasons[d.Reason]++
			families[d.Families]++
			if d.BackendsAllowed > 0 && d.BackendsAllowed < d.BackendsTotal {
				partly++
			}
			if d.Egress.Policy != nil && d.Ingress.Policy != nil {
				byBoth++
			}
			if d.Egress.Rule+d.Ingress.Rule > 0 {
				laterRule++
			}
		}
	}
	t.Logf(
		"reasons %v, errors %v, families %v, partly %d, by both %d, later rule %d", reasons, codes, families,
		partly, byBoth, laterRule,
	)
	for reason, n := range reasons {
		if n < least && engine.Reason(reason) != engine.Unknown {
			t.Errorf("reason %v came %d times", engine.Reason(reason), n)
		}
	}
	if reasons[engine.Unknown] > 0 {
		t.Errorf("%d answers without a reason", reasons[engine.Unknown])
	}
	for code, n := range codes {
		if n[1] < least || n[0] < least && engine.ErrorCode(code) < engine.NoServicePort {
			t.Errorf("error %d came %d times for the source and %d for the destination", code, n[0], n[1])
		}
	}
	for f, n := range families {
		if n < least {
			t.Errorf("families %d came %d times", f, n)
		}
	}
	if min(partly, byBoth, laterRule) < least {
		t.Errorf(
			"pairs partly allowed came %d times, rules on both sides %d, rules after the first %d", partly,
			byBoth, laterRule,
		)
	}
}

// TestEventsEndAtTheirObjects proves that a random order of events leads to just the objects that it is for.
func TestEventsEndAtTheirObjects(t *testing.T) {
	for seed := range uint64(200) {
		r := enginetest.NewRandom(seed)
		objects, state := r.Cluster(), enginetest.State{}
		for _, batch := range r.Events(objects) {
			state.Apply(batch)
		}
		got, want := enginetest.ObjectsText(state.Objects()), enginetest.ObjectsText(objects)
		if got != want {
			t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, got, want)
		}
	}
}
