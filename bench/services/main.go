// Command services measures netpold beside services that decide about authorization in general: Cerbos, SpiceDB,
// OpenFGA and OPA. All serve one cluster, each in its own terms, as processes of their own on the loopback. Their
// answers are compared first. Then one client for all sends calls that are encoded already, and decodes no answer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	environment
	size             synthetic.Size
	questions, batch int
	callers          int
	rounds           int
	step             time.Duration
	// changes is how often the policy comes and goes.
	changes int
	// only are the services that are measured; empty for all.
	only []string
}

const (
	// childVariable says which of the servers this program is that are children of another.
	childVariable        = "BENCH_SERVICES_CHILD"
	childOPA, childEmpty = "opa", "empty"
)

func main() {
	if child := os.Getenv(childVariable); child != "" {
		if err := serveChild(child, os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", child, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The memory is there, and the CPU is the services'.
	debug.SetGCPercent(400)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "services: %v\n", err)
		os.Exit(1)
	}
}

// serveChild is one of the servers that this program is itself.
func serveChild(child string, args []string) error {
	switch {
	case child == childEmpty:
		return serveEmpty(os.Stdin, os.Stdout)
	case child == childOPA && len(args) == 2:
		return serveOPA(context.Background(), args[0], args[1], os.Stdin, os.Stdout)
	}
	return fmt.Errorf("no server %q of %q", child, args)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var s settings
	flags := flag.NewFlagSet("services", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.netpold, "netpold", "bin/netpold", "the `program` of netpold")
	flags.StringVar(&s.bin, "bin", "bench/services/bin", "the `directory` of the other services' programs")
	size := flags.String("size", synthetic.Sizes[0].String(), "of the cluster")
	flags.IntVar(&s.questions, "questions", 1024, "different questions, asked again and again")
	flags.IntVar(&s.batch, "batch", 100, "questions in a call, where a service takes several")
	flags.IntVar(&s.callers, "callers", 32, "callers, each of which waits for its answer")
	flags.IntVar(&s.connections, "connections", runtime.NumCPU(), "connections of gRPC that they share")
	flags.IntVar(&s.rounds, "rounds", 5, "rounds, of which the best counts")
	flags.DurationVar(&s.step, "step", 2*time.Second, "for how long a service is kept busy in a round")
	flags.IntVar(&s.changes, "changes", 10, "how often a policy comes and goes")
	only := flags.String("services", "", "`names` of those beside netpold, with commas; all that are there if empty")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	for _, known := range synthetic.Sizes {
		if known.String() == *size {
			s.size = known
		}
	}
	if *only != "" {
		s.only = strings.Split(*only, ",")
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("%q is not understood: there are only flags, see -help", flags.Arg(0))
	case s.size == synthetic.Size{}:
		return fmt.Errorf("-size is %q: give one of %v", *size, synthetic.Sizes)
	case min(s.questions, s.batch, s.callers, s.connections, s.rounds, s.changes) < 1 || s.batch > 500:
		return errors.New("a number is too small, or -batch above the 500 that Cerbos takes")
	case s.step < 100*time.Millisecond || s.step > time.Minute:
		return fmt.Errorf("-step is %v: give 100ms to 1m", s.step)
	}
	for _, name := range s.only {
		if !slices.ContainsFunc(entrants(), func(e entrant) bool { return e.name == name }) {
			return fmt.Errorf("-services has %q: give some of %s", name, entrantNames())
		}
	}
	var err error
	if s.own, err = os.Executable(); err != nil {
		return err
	}
	return bench(ctx, &s, stdout, stderr)
}
