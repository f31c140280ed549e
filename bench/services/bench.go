package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/netpold/netpold/bench/synthetic"
)

// An entrant is a service that can be measured, and the program without which it cannot.
type entrant struct {
	name, program string
	new           func() service
}

// entrants are all, the yardsticks first.
func entrants() []entrant {
	return []entrant{
		{"empty", "", func() service { return &empty{} }},
		{"netpold", "", func() service { return &netpold{} }},
		{"cerbos", "cerbos", func() service { return &cerbos{} }},
		{"opa-extauthz", "", func() service { return &opaExtAuthz{} }},
		{"opa-rest", "opa", func() service { return &opaREST{} }},
		{"spicedb", "spicedb", func() service { return &spicedb{} }},
		{"openfga-memory", "openfga", func() service { return &openfga{name: "OpenFGA, memory"} }},
		{"openfga-cached", "openfga", func() service { return &openfga{name: "OpenFGA, memory and caches", cached: true} }},
		{"openfga-sqlite", "openfga", func() service { return &openfga{name: "OpenFGA, SQLite", sqlite: true} }},
	}
}

func entrantNames() string {
	var names []string
	for _, e := range entrants() {
		names = append(names, e.name)
	}
	return strings.Join(names, ", ")
}

// bench starts all services, compares their answers, measures them in turns and prints tables. It ends them before it
// returns.
func bench(ctx context.Context, s *settings, stdout, stderr io.Writer) (err error) {
	m, err := newModel(synthetic.New(s.size))
	if err != nil {
		return err
	}
	single, lists, err := m.asked(s)
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "netpold-services-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	var list []*measured
	var memory []held
	var running []service
	defer func() {
		for _, r := range running {
			r.stop()
		}
	}()
	for _, e := range s.entrants(stderr) {
		one := e.new()
		running = append(running, one)
		start := time.Now()
		own := s.environment
		if own.dir = filepath.Join(s.dir, e.name); os.Mkdir(own.dir, 0o700) != nil {
			return fmt.Errorf("no directory %s", own.dir)
		}
		if err := one.start(ctx, &own, m); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		took := time.Since(start)
		used, err := one.process().usage()
		if err != nil {
			return err
		}
		ways, err := prepare(ctx, one, single, lists)
		if err != nil {
			return err
		}
		list = append(list, ways...)
		memory = append(memory, held{name: ways[0].service, loaded: used.resident, took: took})
		fmt.Fprintf(stderr, "%s: loaded in %.1f s, all answers as netpold's engine gives them\n", e.name, took.Seconds())
	}
	if err := measure(ctx, s, list, stderr); err != nil {
		return err
	}
	for i, r := range running {
		used, err := r.process().usage()
		if err != nil {
			return err
		}
		memory[i].measured = used.resident
	}
	writeDecisions(stdout, s, list)
	writeHeld(stdout, memory)
	lags, err := measureLags(ctx, s, m, list, stderr)
	if err == nil {
		writeLags(stdout, lags)
	}
	return err
}

// entrants are those that are asked for and whose programs are there; of others it is said that they are not measured.
func (s *settings) entrants(stderr io.Writer) []entrant {
	return slices.DeleteFunc(entrants(), func(e entrant) bool {
		if e.name != "empty" && e.name != "netpold" && len(s.only) > 0 && !slices.Contains(s.only, e.name) {
			return true
		}
		if e.program == "" {
			return false
		}
		program := filepath.Join(s.bin, e.program)
		if _, err := os.Stat(program); err != nil {
			fmt.Fprintf(stderr, "*** %s IS NOT MEASURED: there is no %s, which bench/services/build.sh builds ***\n",
				strings.ToUpper(e.name), program)
			return true
		}
		return false
	})
}

// asked are the questions one by one, and in lists.
func (m *model) asked(s *settings) (single, lists [][]question, err error) {
	questions, err := m.newQuestions(s.questions)
	if err != nil {
		return nil, nil, err
	}
	for i := range questions {
		single = append(single, questions[i:i+1])
	}
	lists, err = m.newBatches(max(1, s.questions/s.batch), s.batch)
	return single, lists, err
}

// prepare encodes the calls of all ways of a service, and fails where its answers are not netpold's engine's.
func prepare(ctx context.Context, of service, single, lists [][]question) ([]*measured, error) {
	var list []*measured
	for _, w := range of.ways() {
		one := &measured{way: w, of: of}
		from := single
		if w.many {
			from = lists
		}
		var err error
		if one.calls, err = w.calls(from); err != nil {
			return nil, err
		}
		if w.decode != nil {
			if err := w.agree(ctx, one.calls); err != nil {
				return nil, errors.Join(of.process().ended(), err)
			}
		}
		list = append(list, one)
	}
	return list, nil
}

// measureLags makes the change to each service, and asks in each way that asks one question.
func measureLags(ctx context.Context, s *settings, m *model, list []*measured, stderr io.Writer) ([]lag, error) {
	c, err := m.newChange()
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(stderr, "the change: %v, by %d relations\n", c.question, len(c.tuples[1].added))
	var lags []lag
	for _, w := range list {
		if w.many || w.decode == nil {
			continue
		}
		times, err := w.lag(ctx, c, s.changes)
		if err != nil {
			return nil, err
		}
		lags = append(lags, lag{w.String(), times})
		fmt.Fprintf(stderr, "%s: a change shows after %v\n", w, times)
	}
	return lags, nil
}
