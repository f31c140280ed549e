package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// A measured way is one with its calls, and the best of all rounds.
type measured struct {
	way
	of    service
	calls []call
	// rate is the most decisions a second, and cpu the least processor time of the service for one.
	rate float64
	cpu  time.Duration
}

// round keeps a way busy for a time, by callers that each wait for the answer, and reports what it managed.
func (m *measured) round(
	ctx context.Context, callers int, length time.Duration,
) (rate float64, cpu time.Duration, err error) {
	list, closer, err := m.dial(callers)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", &m.way, err)
	}
	defer closer.Close() //nolint:errcheck // every call has ended
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	before, err := m.of.process().usage()
	if err != nil {
		return 0, 0, err
	}
	var group sync.WaitGroup
	var decided atomic.Int64
	start := time.Now()
	for i, c := range list {
		group.Go(func() {
			n := 0
			defer func() { decided.Add(int64(n)) }()
			// Each begins elsewhere, so that they do not ask the same at the same time.
			for next := i * len(m.calls) / len(list); ctx.Err() == nil && time.Since(start) < length; next++ {
				asked := &m.calls[next%len(m.calls)]
				if _, err := c.call(ctx, asked.request); err != nil {
					cancel(fmt.Errorf("%s: %w", &m.way, err))
					return
				}
				n += len(asked.questions)
			}
		})
	}
	group.Wait()
	took := time.Since(start)
	after, usageErr := m.of.process().usage()
	if err := context.Cause(ctx); err != nil {
		return 0, 0, err
	}
	if usageErr != nil {
		return 0, 0, usageErr
	}
	n := decided.Load()
	return float64(n) / took.Seconds(), (after.cpu - before.cpu) / time.Duration(max(n, 1)), nil
}

// measure measures all ways in turns, and keeps the best of each.
func measure(ctx context.Context, s *settings, list []*measured, stderr io.Writer) error {
	for r := range s.rounds {
		for i := range list {
			m := list[(i+r*7)%len(list)] // neighbours and order differ from round to round
			rate, cpu, err := m.round(ctx, s.callers, s.step)
			if err != nil {
				return err
			}
			fmt.Fprintf(stderr, "round %d of %d: %s: %s decisions/s, %v of its CPU each\n",
				r+1, s.rounds, &m.way, thousands(rate), cpu)
			m.rate = max(m.rate, rate)
			if m.cpu == 0 || cpu < m.cpu {
				m.cpu = cpu
			}
		}
	}
	return nil
}

// lag makes a change and takes it back, n times each. It reports how long it took from the beginning of each change to
// the first changed answer to a question asked again and again.
func (m *measured) lag(ctx context.Context, c *change, n int) (times []time.Duration, err error) {
	request, err := m.encode([]question{c.question})
	if err != nil {
		return nil, err
	}
	callers, closer, err := m.dial(1)
	if err != nil {
		return nil, err
	}
	defer closer.Close() //nolint:errcheck // every call has been answered
	for i := range 2 * n {
		forth := i%2 == 0
		start := time.Now()
		if err := m.of.apply(ctx, c, forth); err != nil {
			return nil, fmt.Errorf("%s: a change: %w", &m.way, err)
		}
		for {
			answer, err := callers[0].call(ctx, request)
			took := time.Since(start)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", &m.way, err)
			}
			got, err := m.decode(answer, 1)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", &m.way, err)
			}
			if got[0] == forth {
				times = append(times, took)
				break
			}
			if took > time.Minute {
				return nil, fmt.Errorf("%s: %v is still answered %t a minute after a change", &m.way, c.question, got[0])
			}
		}
	}
	return times, nil
}
