package cli

import (
	"context"
	"slices"
	"testing"
	"time"
)

// P42: memory goes back when nothing was collected for an interval, and once for each time that something was.
func TestP42MemoryGoesBackWhenIdle(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	// The collections that are counted at the start, at each tick, and after each return.
	counts := []uint64{1, 5, 9, 9, 10, 10, 10, 11, 11, 12, 12}
	want := []int{4, 9} // after how many of them it is returned
	ticks := make(chan time.Time)
	counted, got := 0, []int(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		returnWhenIdle(ctx, ticks, func() uint64 {
			counted++
			return counts[counted-1]
		}, func() { got = append(got, counted) })
	}()
	for range len(counts) - 1 - len(want) {
		ticks <- time.Time{}
	}
	cancel()
	<-ended
	if !slices.Equal(got, want) {
		t.Errorf("memory is returned after %v countings, want %v", got, want)
	}
}
