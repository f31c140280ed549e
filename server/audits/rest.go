package audits

import (
	"runtime"
	"time"

	"github.com/netpold/netpold/server/internal/metrics"
)

const (
	// callCost is what a call of a decision takes of a machine's processors beside the decision itself: the
	// server's part of the network, and that of a caller on the same machine.
	callCost = 200 * time.Microsecond
	// maxRest is the longest rest. So beside any load an audit computes for a tenth of the time.
	maxRest = 9 * turnTime
)

// A processor is what an audit holds while it computes. Between turns it rests for as long as decisions took
// since the last rest began, so that they find a processor without work. The audits that share it rest
// together.
type processor struct {
	// rested is the end of the last rest, or the beginning. calls and took are what decisions had come to
	// when that began.
	rested time.Time
	calls  int64
	took   time.Duration
}

func newProcessors(n int, m *metrics.Metrics) chan *processor {
	all := make(chan *processor, n)
	for range n {
		p := &processor{rested: time.Now()}
		p.calls, p.took = m.Answered()
		all <- p
	}
	return all
}

// rest rests, unless the turn is not over or nobody asked for decisions.
func (p *processor) rest(s *Service) {
	if time.Since(p.rested) < turnTime {
		return
	}
	calls, took := s.metrics.Answered()
	// Two processors were meant with callCost. Of more, each has its part.
	due := (time.Duration(calls-p.calls)*callCost + took - p.took) * 2 / time.Duration(max(2, runtime.GOMAXPROCS(0)))
	p.calls, p.took = calls, took
	if due > 0 {
		time.Sleep(min(due, maxRest))
	}
	p.rested = time.Now()
}
