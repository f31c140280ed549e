package cli

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// idleInterval is how long nothing was collected before the memory goes back.
const idleInterval = 15 * time.Second

// returnMemory gives memory back to the system once an interval passes without a garbage collection, until ctx ends.
// After a load nothing is allocated, so nothing would be collected for minutes, and all that the load took would stay.
func returnMemory(ctx context.Context) {
	tick := time.NewTicker(idleInterval)
	defer tick.Stop()
	returnWhenIdle(ctx, tick.C, collections, func() {
		runtime.GC() // pools let go of what they have at the second collection
		debug.FreeOSMemory()
	})
}

// returnWhenIdle calls free at a tick if there were collections since it was called last, but none since the last tick.
func returnWhenIdle(ctx context.Context, ticks <-chan time.Time, collections func() uint64, free func()) {
	last, freed := collections(), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		now := collections()
		if now == last && now != freed {
			free()
			now = collections()
			freed = now
		}
		last = now
	}
}

// collections returns how many garbage collections the process has had.
func collections() uint64 {
	sample := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
