// Command load drives a netpold of its own on the loopback at rising constant rates, until it cannot keep up, and prints
// throughput, latency, and the server's CPU and memory as a Markdown table.
//
// The load is open: a call is sent when its time has come, whether or not those before it have been answered, so that a
// slow server shows in the latencies instead of slowing its clients down.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/netpold/netpold/bench/synthetic"
)

// settings are those of one run.
type settings struct {
	// netpold is the program that is driven.
	netpold string
	// size is that of the cluster that it serves.
	size synthetic.Size
	// step is for how long each rate is kept up.
	step time.Duration
	// call is the deadline of a call: ten times what counts as saturated.
	call time.Duration
	// steps are at most so many for each load.
	steps int
	// connections share the calls.
	connections int
	// lists are whole lists that are taken at once beside Allowed; with 0 nothing is measured beside lists.
	lists int
	// beside is the only rate that is measured, in calls a second, alone and beside lists. With 0 it is nearPeak of the
	// best rate, after all loads.
	beside float64
	// flows are records that netpold audit reads; with 0 it is not measured, else nothing else is. distinct of them
	// are different questions.
	flows, distinct int
	// logRounds is how often Allowed is measured with the decision log and without it, in turns; with 0 it is not, else
	// nothing else is.
	logRounds int
	// loads are driven one after another.
	loads []load
}

// load is one kind of call, and the rate in calls a second that its first step asks for.
type load struct {
	// batch is how many questions a call asks; with 0 it is Allowed, which asks one.
	batch int
	start float64
	// stream says that it is StreamAllowed instead, at full speed; it comes last.
	stream bool
}

func defaultLoads() []load {
	return []load{{start: 2000}, {batch: 100, start: 1000}, {batch: 1000, start: 200}}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The memory is there, and the CPU is the server's.
	debug.SetGCPercent(400)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "load: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s := settings{loads: defaultLoads(), call: 10 * slowest}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.netpold, "netpold", "bin/netpold", "the `program` to drive")
	size := flags.String("size", synthetic.Sizes[0].String(), "of the cluster that it serves: "+sizeNames())
	flags.DurationVar(&s.step, "step", 5*time.Second, "for how long each rate is kept up")
	flags.IntVar(&s.steps, "steps", 8, "most rates for each kind of call, each twice the one before")
	flags.IntVar(&s.connections, "connections", runtime.NumCPU(), "that share the calls")
	flags.IntVar(&s.lists, "lists", 0, "whole lists that are taken at once beside Allowed, measured last; 0 for none")
	flags.Float64Var(&s.beside, "beside", 0,
		"measure only Allowed at this `rate`, alone and beside lists; 0 for all, and then 90% of the best rate")
	flags.IntVar(&s.logRounds, "decision-log", 0,
		"measure only what the decision log costs Allowed, with it and without it in so many `turns`")
	flags.IntVar(&s.flows, "flows", 0, "instead of calls, measure netpold audit of so many records of Hubble")
	flags.IntVar(&s.distinct, "distinct", 20_000, "different questions among the flows; all different is measured too")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	var err error
	if s.size, err = sizeNamed(*size); err != nil {
		return err
	}
	if err := s.validate(flags.Args()); err != nil {
		return err
	}
	if s.flows > 0 {
		return measureFlows(ctx, s, stdout, stderr)
	}
	return drive(ctx, s, stdout, stderr)
}

func (s *settings) validate(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is not understood: there are only flags, see -help", rest[0])
	case s.step < 100*time.Millisecond || s.step > time.Minute:
		return fmt.Errorf("-step is %v: give 100ms to 1m", s.step)
	case s.steps < 1 || s.steps > 20:
		return fmt.Errorf("-steps is %d: give 1 to 20", s.steps)
	case s.beside < 0 || s.beside > 1e6:
		return fmt.Errorf("-beside is %v: give a rate up to 1000000, or 0", s.beside)
	case s.beside > 0 && s.lists == 0:
		return errors.New("-beside needs -lists: give 1 or 2")
	case s.lists < 0 || s.lists > 2:
		return fmt.Errorf("-lists is %d: give 0 to 2, as a server takes no more at once", s.lists)
	case s.logRounds < 0 || s.logRounds > 100:
		return fmt.Errorf("-decision-log is %d: give 1 to 100 turns, or 0", s.logRounds)
	case s.flows < 0 || s.distinct < 1:
		return fmt.Errorf("-flows is %d and -distinct %d: give 0 or more, and 1 or more", s.flows, s.distinct)
	case s.connections < 1 || s.connections > math.MaxUint16:
		return fmt.Errorf("-connections is %d: give 1 to %d", s.connections, math.MaxUint16)
	}
	return nil
}

func sizeNames() string {
	var names []string
	for _, s := range synthetic.Sizes {
		names = append(names, s.String())
	}
	return strings.Join(names, ", ")
}

func sizeNamed(name string) (synthetic.Size, error) {
	for _, s := range synthetic.Sizes {
		if s.String() == name {
			return s, nil
		}
	}
	return synthetic.Size{}, fmt.Errorf("-size is %q: give one of %s", name, sizeNames())
}

// drive drives netpold, and writes what was measured, even where an error or ctx ends it early. No server is left when it
// returns.
func drive(ctx context.Context, s settings, stdout, stderr io.Writer) (err error) {
	cluster := synthetic.New(s.size)
	dir, err := os.MkdirTemp("", "netpold-load-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file, err := writeManifests(dir, cluster)
	if err != nil {
		return err
	}
	questions := newQuestions(cluster)
	if s.logRounds > 0 {
		return measureLog(ctx, s, dir, file, cluster, questions, stdout, stderr)
	}
	var rows []row
	if s.beside > 0 {
		rows, err = besideLists(ctx, s, s.beside, file, rows, questions, stderr)
		writeTable(stdout, s, rows)
		return err
	}
	for _, l := range append(slices.Clone(s.loads), load{stream: true, batch: 1000}) {
		more, err := driveOne(ctx, s, l, file, cluster, questions, stderr)
		if rows = append(rows, more...); err != nil {
			writeTable(stdout, s, rows)
			return err
		}
	}
	if s.lists > 0 {
		var rate float64
		if rate, err = rateBesideLists(rows); err == nil {
			rows, err = besideLists(ctx, s, rate, file, rows, questions, stderr)
		}
	}
	writeTable(stdout, s, rows)
	return err
}

// driveOne drives one load, on a server of its own: what one load leaves in memory is not counted for the next.
func driveOne(
	ctx context.Context, s settings, l load, manifests string, cluster *synthetic.Cluster, questions []question, stderr io.Writer,
) ([]row, error) {
	srv, err := startServer(ctx, s.netpold, manifests)
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	if err := verify(ctx, srv.addr, cluster, questions); err != nil {
		return nil, errors.Join(srv.ended(), err)
	}
	told := func(r row, err error) (row, error) {
		if err != nil {
			return r, errors.Join(srv.ended(), err)
		}
		fmt.Fprintln(stderr, r.progress())
		return r, nil
	}
	if l.stream {
		r, err := told(streamStep(ctx, s, srv, l.batch, questions))
		if err != nil {
			return nil, err
		}
		return []row{r}, nil
	}
	return climb(s.steps, l.start, func(rate float64) (row, error) {
		return told(callStep(ctx, s, srv, l.batch, rate, questions))
	})
}
