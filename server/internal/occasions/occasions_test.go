package occasions

import (
	"testing"
	"time"
)

// What is logged is not logged again for 10 s, each thing by itself, and as many things are told as may be remembered:
// callers with ever new names cannot fill the log (P38).
func TestP38AtMostOnceInTenSeconds(t *testing.T) {
	t.Parallel()
	var o Occasions[int]
	start := time.Unix(1_700_000_000, 0)
	for _, step := range []struct {
		after time.Duration
		what  int
		due   bool
	}{
		{0, 1, true}, {0, 1, false}, {time.Second, 2, true}, {10*time.Second - 1, 1, false}, {10 * time.Second, 1, true},
		{10 * time.Second, 2, false}, {11 * time.Second, 2, true}, {19 * time.Second, 1, false}, {time.Hour, 1, true},
	} {
		if got := o.Due(start.Add(step.after), step.what); got != step.due {
			t.Errorf("%d after %v: %v", step.what, step.after, got)
		}
	}
	now, told := start.Add(2*time.Hour), 0
	for what := range 2 * most {
		if o.Due(now, what) {
			told++
		}
	}
	if told != most {
		t.Errorf("%d things are told at once, want %d", told, most)
	}
	if !o.Due(now.Add(apart), 3*most) {
		t.Error("nothing is told any more")
	}
}
