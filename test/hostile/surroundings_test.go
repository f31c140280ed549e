//go:build linux

package hostile

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fewFiles are so few that idle connections would use them up.
const fewFiles = 600

// Idle connections do not take the last files: the admin page answers, and the innocent connects.
func TestIdleConnectionsLeaveFiles(t *testing.T) {
	n := startAs(t, func(cmd *exec.Cmd) {
		args := append([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, fewFiles)}, cmd.Args...)
		cmd.Path, cmd.Args = "/bin/sh", args
	}, writeCluster(t))
	var opened atomic.Int64
	n.besiege(t, 2*attackTime, func(ctx context.Context) {
		var attacking sync.WaitGroup
		attacking.Go(func() {
			each(ctx, 2*fewFiles, func(ctx context.Context, from string) { silent(nil)(ctx, n, from, &opened) })
		})
		for ctx.Err() == nil {
			alive, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			_, err := n.get(alive, "/healthz")
			cancel()
			if err != nil {
				t.Errorf("/healthz beside %d idle connections: %v", opened.Load(), err)
				break
			}
		}
		attacking.Wait()
	})
	if opened.Load() < fewFiles {
		t.Errorf("%d connections were opened, fewer than files", opened.Load())
	}
}

// Whoever reads standard error goes away, and the terminal hangs up: netpold goes on.
func TestWithoutTerminal(t *testing.T) {
	n := start(t, writeCluster(t))
	if err := errors.Join(n.stderr.Close(), n.cmd.Process.Signal(syscall.SIGHUP), n.cmd.Process.Signal(syscall.SIGHUP)); err != nil {
		t.Fatal(err)
	}
	n.besiege(t, attackTime, func(ctx context.Context) {
		for ctx.Err() == nil { // each is a line of the log
			if err := n.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-n.gone:
				t.Errorf("netpold has ended: %v", n.cmd.ProcessState)
				return
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}
