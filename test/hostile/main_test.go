//go:build linux

// Package hostile attacks a netpold of its own, in a process with the limits of the Helm chart, while an innocent caller
// asks beside. What the attack costs the innocent, and the server's memory, are what its tests look at.
//
// A test's way:
//
//	[start]: a netpold serves the manifests of [writeCluster], at the chart's GOMEMLIMIT
//	[child.besiege]: the innocent, a process of its own, asks 100 questions a second; then the attack begins
//	the attack ends: none lost, none wrong, none late; the memory at its peak; all as before soon after
//
// HOSTILE_NETPOLD=PROGRAM attacks another netpold, such as one from before a fix.
package hostile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for what should come at once.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if target := os.Getenv(innocentTarget); target != "" {
		beInnocent(target, os.Stdin, os.Stdout)
		return
	}
	dir, err := os.MkdirTemp("", "netpold-hostile-")
	if err == nil {
		err = raiseFileLimit()
	}
	program = sync.OnceValues(func() (string, error) {
		if err != nil {
			return "", err
		}
		path, err := build(dir)
		return path, errors.Join(err, yieldProcessors())
	})
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code) //nolint:forbidigo // as goleak does where it is not told what to do
	}))
}

// program returns the netpold that is attacked.
var program func() (string, error)

// build builds netpold in dir.
func build(dir string) (string, error) {
	if other := os.Getenv("HOSTILE_NETPOLD"); other != "" {
		return other, nil
	}
	path := filepath.Join(dir, "netpold")
	cmd := exec.Command("go", "build", "-C", "../..", "-trimpath", "-o", path, "./cmd/netpold")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building netpold: %w\n%s", err, out)
	}
	return path, nil
}
