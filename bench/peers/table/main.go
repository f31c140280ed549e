// Command table measures netpold beside its peers, each in a process of its own, and prints what docs/benchmarks.md shows, in
// Markdown. It fails when two of them do not agree on a question.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/netpold/netpold/bench/peers"
	"github.com/netpold/netpold/bench/synthetic"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		panic(err)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("table", flag.ContinueOnError)
	names := flags.String("peers", strings.Join(peerNames(), ","), "which, beside netpold")
	sizes := flags.String("sizes", strings.Join(sizeNames(), ","), "of the clusters")
	limit := flags.Duration("limit", 100*time.Second, "for one peer and one size, after which the row shows what there is")
	runs := flags.Int("runs", 3, "of each, the figures being their medians")
	child := flags.String("measure", "", "measure this one `peer` at the one size, and write the result to -out")
	out := flags.String("out", "", "a `file`, with -measure")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *runs < 1 {
		return fmt.Errorf("-runs is %d: at least one is needed", *runs)
	}
	chosen, err := pick(synthetic.Sizes, strings.Split(*sizes, ","), synthetic.Size.String)
	if err != nil {
		return err
	}
	if *child != "" {
		return measure(*child, chosen[0], *out)
	}
	list, err := pick(peers.All(), append([]string{"netpold"}, strings.Split(*names, ",")...), func(p peers.Peer) string { return p.Name })
	if err != nil {
		return err
	}
	rows, err := measureAll(ctx, list, chosen, *runs, *limit)
	if err != nil {
		return err
	}
	write(os.Stdout, list, rows)
	return disagreement(rows)
}

func peerNames() []string {
	var names []string
	for _, p := range peers.All() {
		names = append(names, p.Name)
	}
	return names
}

func sizeNames() []string {
	var names []string
	for _, s := range synthetic.Sizes {
		names = append(names, s.String())
	}
	return names
}

// pick are those of a list that are named, in the list's order.
func pick[T any](from []T, names []string, name func(T) string) ([]T, error) {
	var list []T
	for _, t := range from {
		if slices.Contains(names, name(t)) {
			list = append(list, t)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(from, func(t T) bool { return name(t) == n }) {
			return nil, fmt.Errorf("there is no %q to measure", n)
		}
	}
	return list, nil
}

// measure is what a process of its own does. The file is written after each step, as the process may be ended at any.
func measure(name string, size synthetic.Size, out string) error {
	list, err := pick(peers.All(), []string{name}, func(p peers.Peer) string { return p.Name })
	if err != nil {
		return err
	}
	var failed error
	err = peers.Measure(list[0], size, func(r peers.Result) {
		text, err := json.Marshal(r)
		if err == nil {
			err = os.WriteFile(out+".new", text, 0o600)
		}
		if err == nil {
			err = os.Rename(out+".new", out)
		}
		failed = cmp.Or(failed, err)
	})
	return cmp.Or(err, failed)
}

// row is a line of the table.
type row struct {
	size  synthetic.Size
	peer  string
	limit time.Duration
	peers.Result
}

// measureAll measures in turn, so that what disturbs the machine for a while does not disturb one peer alone.
func measureAll(ctx context.Context, list []peers.Peer, sizes []synthetic.Size, runs int, limit time.Duration) ([]row, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, size := range sizes {
		results := make([][]peers.Result, len(list))
		for range runs {
			for i, p := range list {
				r, err := measureApart(ctx, self, p.Name, size, limit)
				if err != nil {
					return nil, fmt.Errorf("%s at %v: %w", p.Name, size, err)
				}
				results[i] = append(results[i], r)
				fmt.Fprintf(os.Stderr, "measured %s at %v\n", p.Name, size)
			}
		}
		for i, p := range list {
			rows = append(rows, row{size, p.Name, limit, medians(results[i])})
		}
	}
	return rows, nil
}

// medians are those of each figure, of the lower half where runs are even. Answers are the first run's that gave any.
func medians(list []peers.Result) peers.Result {
	answers := ""
	for _, r := range list {
		answers = cmp.Or(answers, r.Answers)
	}
	return peers.Result{
		Load:    median(list, func(r peers.Result) time.Duration { return r.Load }),
		Heap:    median(list, func(r peers.Result) int64 { return r.Heap }),
		Answers: answers,
		Hot:     median(list, func(r peers.Result) float64 { return r.Hot }),
		Random:  median(list, func(r peers.Result) float64 { return r.Random }),
		Change:  median(list, func(r peers.Result) time.Duration { return r.Change }),
	}
}

func median[T cmp.Ordered](of []peers.Result, figure func(peers.Result) T) T {
	var list []T
	for _, r := range of {
		list = append(list, figure(r))
	}
	slices.Sort(list)
	return list[(len(list)-1)/2]
}

// measureApart measures in a process and a directory of their own: memory is counted alone, and netpol-analyzer leaves a file.
func measureApart(ctx context.Context, self, name string, size synthetic.Size, limit time.Duration) (r peers.Result, err error) {
	dir, err := os.MkdirTemp("", "bench-peers-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out := filepath.Join(dir, "result.json")
	cmd := exec.CommandContext(limited, self, "-measure", name, "-sizes", size.String(), "-out", out)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	if err := cmd.Run(); err != nil && limited.Err() == nil {
		return r, err
	}
	text, err := os.ReadFile(out)
	if errors.Is(err, os.ErrNotExist) { // Not even loaded in time.
		return r, nil
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}
