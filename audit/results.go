package audit

import (
	"encoding/binary"

	"github.com/netpold/netpold/engine"
)

// A results is what a list or a difference hands out: the items that were computed and not taken, and how many of
// those taken count.
type results[I any] struct {
	// counted reports whether an item is a connection or a change.
	counted func(*I) bool
	// count is how many such items were handed out.
	count   uint64
	pending []I
}

// handOut yields items until none is left, for as long as advance computes more. It returns false if yield
// stopped it, and may be called again to go on after that item. Once done is closed it returns the error of
// [engine.Abandoned], about subject.
func (r *results[I]) handOut(
	done <-chan struct{}, subject string, advance func() bool, yield func(I) bool,
) (whole bool, err error) {
	for {
		for len(r.pending) > 0 {
			item := r.pending[0]
			r.pending = r.pending[1:]
			if r.counted(&item) {
				r.count++
			}
			if !yield(item) {
				return false, nil
			}
		}
		select {
		case <-done:
			return true, &engine.QueryError{
				Code: engine.Abandoned, Subject: subject, Detail: "was given up: the caller did not wait",
			}
		default:
		}
		if !advance() {
			return true, nil
		}
	}
}

// progressEvery is the number of sources after which progress is told.
const progressEvery = 64

// progress returns the progress to tell after source number n of total, from 0; nil after most.
func (r *results[I]) progress(n, total int) *Progress {
	if (n+1)%progressEvery != 0 {
		return nil
	}
	p := &Progress{r.count, n + 1, total}
	for i := range r.pending {
		if r.counted(&r.pending[i]) {
			p.Connections++
		}
	}
	return p
}

// ruleNumbers numbers rules, different rules differently, for keys of results.
type ruleNumbers map[engine.DecidingRule]int

// append appends the numbers of the rules that decide both sides of a result to a key.
func (n ruleNumbers) append(key []byte, x *engine.Reach) []byte {
	for _, r := range [2]engine.DecidingRule{x.Egress, x.Ingress} {
		number, ok := n[r]
		if !ok {
			number = len(n)
			n[r] = number
		}
		key = binary.AppendUvarint(key, uint64(number))
	}
	return key
}

// appendPorts appends ports to a key.
func appendPorts(key []byte, ports engine.PortSet) []byte {
	for _, p := range ports {
		key = append(key, byte(p.Protocol), byte(p.First>>8), byte(p.First), byte(p.Last>>8), byte(p.Last))
	}
	return key
}
