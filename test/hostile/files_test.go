//go:build linux

package hostile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// maxSeries is how many time series a netpold with a small cluster has at most, whatever is in its files.
const maxSeries = 2000

// A damage is what happens to a file of the cluster, and whether that is a problem.
type damage struct {
	name, file string
	// done does it, to the file at path. It may go on until ctx ends.
	done    func(ctx context.Context, path string) error
	problem bool
}

func damages() []damage {
	inPlace := func(content string) func(context.Context, string) error {
		return func(_ context.Context, path string) error { return os.WriteFile(path, []byte(content), 0o600) }
	}
	instead := func(put func(path string) error) func(context.Context, string) error {
		return func(_ context.Context, path string) error { return errors.Join(os.Remove(path), put(path)) }
	}
	many := func(n int, format string) func(context.Context, string) error {
		text := &strings.Builder{}
		for i := range n {
			fmt.Fprintf(text, format, i)
		}
		return inPlace(text.String())
	}
	return []damage{
		{"truncated", policyFile, inPlace(policy[:len(policy)/2]), true},
		{"empty", policyFile, inPlace(""), true},
		{"a newline", policyFile, inPlace("\n"), true},
		{"a comment", policyFile, inPlace("# to come\n"), true},
		{"zeros", policyFile, inPlace(strings.Repeat("\x00", 4096)), true},
		{"written slowly", policyFile, writeSlowly, true},
		{"a pipe", policyFile, instead(func(path string) error { return syscall.Mkfifo(path, 0o600) }), true},
		{"a device", policyFile, instead(func(path string) error { return os.Symlink("/dev/zero", path) }), true},
		{"a directory", policyFile, instead(func(path string) error { return os.Mkdir(path, 0o700) }), true},
		{"very many problems", "more.yaml", many(200_000,
			"---\n{apiVersion: v1, kind: Pod, metadata: {name: p%d}, status: {podIP: wrong}}\n"), true},
		{"very many kinds", "more.yaml", many(20_000, "---\n{apiVersion: example.org/v1, kind: Kind%d, metadata: {name: x}}\n"), false},
		{"a hole of 1.5 GiB", "more.yaml", func(_ context.Context, path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 3<<29))
		}, true},
	}
}

// writeSlowly writes the policy anew, and never gets to its end.
func writeSlowly(ctx context.Context, path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for _, line := range strings.SplitAfter(policy[:len(policy)-40], "\n") {
		if _, err := f.WriteString(line); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	<-ctx.Done()
	return nil
}

// Whatever becomes of a file, what was denied stays so, and netpold tells of it. Afterwards a good file is taken.
func TestDamagedFiles(t *testing.T) {
	for _, d := range damages() {
		t.Run(d.name, func(t *testing.T) {
			dir := writeCluster(t)
			n, path := start(t, dir), filepath.Join(dir, d.file)
			var told atomic.Bool
			n.enough = told.Load
			n.besiege(t, attackTime/2, func(ctx context.Context) {
				done := make(chan error, 1)
				go func() { done <- d.done(ctx, path) }()
				for ctx.Err() == nil && !told.Load() {
					told.Store(n.tells(t, ctx, d.problem))
				}
				<-ctx.Done()
				if err := <-done; err != nil {
					t.Error(err)
				}
				n.mends(t, path, d.file == policyFile)
			})
			if !told.Load() {
				t.Error("netpold does not tell of it")
			}
		})
	}
}

// tells reports whether netpold has read its files again, with problems or without, as far as that can be seen. What it
// tells is bounded.
func (n *child) tells(t *testing.T, ctx context.Context, problem bool) bool {
	t.Helper()
	series, err := n.metrics(ctx)
	if err != nil {
		return false // it is looked at again
	}
	if len(series) > maxSeries {
		t.Errorf("%d time series", len(series))
	}
	if (series[`netpold_problems{severity="error"}`] > 0) != problem {
		return false
	}
	conn, err := plainOrTLS(n.addr, n.ca)
	if err != nil {
		t.Error(err)
		return false
	}
	status, err := netpoldv1.NewStatusServiceClient(conn).GetStatus(ctx, &netpoldv1.GetStatusRequest{})
	if err := errors.Join(err, conn.Close()); err != nil {
		return false // it is asked again, or is told at the end
	}
	if problem {
		return len(status.GetProblems()) > 0
	}
	return len(status.GetIgnoredKinds()) > 0
}

// mends puts a good file over a damaged one, or removes it, and awaits that netpold has no problem.
func (n *child) mends(t *testing.T, path string, policed bool) {
	t.Helper()
	whole := path + ".new"
	err := os.WriteFile(whole, []byte(policy), 0o600)
	if info, statErr := os.Lstat(path); statErr == nil && info.IsDir() {
		err = errors.Join(err, os.Remove(path))
	}
	if policed {
		err = errors.Join(err, os.Rename(whole, path))
	} else {
		err = errors.Join(err, os.Remove(whole), os.Remove(path))
	}
	if err != nil {
		t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		if series, err := n.metrics(ctx); err == nil && series[`netpold_problems{severity="error"}`] == 0 {
			return
		}
	}
	t.Errorf("a good file is not taken\n%s", n.log.text())
}
