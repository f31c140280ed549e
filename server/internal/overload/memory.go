package overload

import (
	"fmt"
	"math"
	"runtime/debug"
	"sync/atomic"

	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// memoryShare of GOMEMLIMIT is the default of Limits.Memory.
	memoryShare = 4
	// memoryWithoutLimit is the default without GOMEMLIMIT.
	memoryWithoutLimit = 256 << 20
)

// DefaultMemory returns the default of Limits.Memory.
func DefaultMemory() int64 {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return max(1, limit/memoryShare)
	}
	return memoryWithoutLimit
}

// memory is what large requests and their answers may take together. One caller may have half of it.
type memory struct {
	limit int64
	held  atomic.Int64

	full, fullCaller refusal
}

func newMemory(limit int64) *memory {
	remedy := "send smaller messages, fewer at once, or raise the server's --max-memory-in-flight"
	m := &memory{limit: limit}
	m.full = newRefusal(func() *wire.Failure {
		return wire.Overloaded("memory", fmt.Sprintf("requests in progress take %d bytes, as many as they may", limit), remedy)
	})
	m.fullCaller = newRefusal(func() *wire.Failure {
		f := wire.Overloaded("memory_per_caller", fmt.Sprintf("this caller's requests take %d bytes, as many as those of one "+
			"may", limit/2), remedy)
		f.Reason = wire.ReasonCallerOverLimit
		return f
	})
	return m
}

// take takes n bytes, or returns why not.
func (m *memory) take(n int64, of *account) *Refused {
	if of != nil && !take(&of.memory, n, m.limit/2) {
		return m.fullCaller.pick()
	}
	if !take(&m.held, n, m.limit) {
		if of != nil {
			of.memory.Add(-n)
		}
		return m.full.pick()
	}
	return nil
}

// give gives n bytes back.
func (m *memory) give(n int64, of *account) {
	m.held.Add(-n)
	if of != nil {
		of.memory.Add(-n)
	}
}
