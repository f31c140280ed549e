package forwardauth

import (
	"sync"
	"time"
)

// Of each thing that goes on for long, one in apart is logged. maxOccasions things are remembered.
const (
	apart        = 10 * time.Second
	maxOccasions = 1024
)

// An occasions says when to log what goes on for long. The zero value is empty. It is safe for concurrent use.
type occasions struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// due reports whether what has not been logged for long, and takes it as logged.
func (o *occasions) due(what string) bool {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if last, ok := o.last[what]; ok && now.Sub(last) < apart {
		return false
	}
	if len(o.last) >= maxOccasions {
		for other, last := range o.last {
			if now.Sub(last) >= apart {
				delete(o.last, other)
			}
		}
		if len(o.last) >= maxOccasions {
			return false
		}
	}
	if o.last == nil {
		o.last = map[string]time.Time{}
	}
	o.last[what] = now
	return true
}
