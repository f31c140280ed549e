package peers

import "testing"

// TestMeasure: each step is told with all that went before it, and the last has everything.
func TestMeasure(t *testing.T) {
	var told []Result
	if err := Measure(All()[0], small, func(r Result) { told = append(told, r) }); err != nil {
		t.Fatal(err)
	}
	steps := []func(Result) bool{
		func(r Result) bool { return r.Load > 0 && r.Heap > 0 },
		func(r Result) bool { return len(r.Answers) == Agreed },
		func(r Result) bool { return r.Hot > 0 },
		func(r Result) bool { return r.Random > 0 },
		func(r Result) bool { return r.Change > 0 },
	}
	if len(told) != len(steps) {
		t.Fatalf("told %d results, want %d", len(told), len(steps))
	}
	for i, r := range told {
		for n, has := range steps {
			if has(r) != (n <= i) {
				t.Errorf("result %d has step %d: %t: %+v", i, n, has(r), r)
			}
		}
	}
}
