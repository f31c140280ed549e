// Package occasions says when to log what goes on for long, so that callers cannot fill the log.
package occasions

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// apart is how long what was logged is not logged again.
	apart = 10 * time.Second
	// most bounds what is remembered. When there is more within apart, what is beyond is not logged.
	most = 1024
)

// Occasions has when each of some things was logged. The zero value is empty. It is safe for concurrent use.
type Occasions[K comparable] struct {
	mu   sync.Mutex
	last map[K]time.Time
}

// Due reports whether what has not been logged for long, and takes it as logged now.
func (o *Occasions[K]) Due(now time.Time, what K) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if last, logged := o.last[what]; logged && now.Sub(last) < apart {
		return false
	}
	if len(o.last) >= most {
		for other, last := range o.last {
			if now.Sub(last) >= apart {
				delete(o.last, other)
			}
		}
		if len(o.last) >= most {
			return false
		}
	}
	if o.last == nil {
		o.last = map[K]time.Time{}
	}
	o.last[what] = now
	return true
}

// Level returns at which level to log what may go on for long: warn if it is due, else debug.
func (o *Occasions[K]) Level(now time.Time, what K) slog.Level {
	if o.Due(now, what) {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}
