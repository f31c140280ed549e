//go:build linux

package reality

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netpold/netpold/test/kube/random"
)

// A faulty is a netpold with a fault, which is built while other tests run.
type faulty struct {
	path  string
	err   error
	built chan struct{}
}

// startFaulty starts to build a netpold whose ipBlocks match outside of their cidr too (S19).
func startFaulty(t *testing.T) *faulty {
	t.Helper()
	f := &faulty{path: filepath.Join(t.TempDir(), "netpold"), built: make(chan struct{})}
	const right, wrong = "return b.CIDR.Contains(addr) && !slices", "return b.CIDR.Contains(addr) || !slices"
	go func() {
		defer close(f.built)
		f.err = buildWith(t.Context(), f.path, "engine/policy.go", right, wrong)
	}()
	t.Cleanup(func() { <-f.built })
	return f
}

// seededFault proves that the comparison finds faults: packets disagree with the answers of a faulty netpold.
func seededFault(t *testing.T, c *cluster, f *faulty) {
	if <-f.built; f.err != nil {
		t.Fatal(f.err)
	}
	faulty := c.serve(f.path, "--like="+c.plugin.name())
	for seed := 3; seed < 8; seed++ { // the first clusters do not show it
		r := random.New(uint64(seed))
		c.populate(r)
		c.settle()
		list := c.between(askedPorts(r, 1)...)
		if found := c.judge(faulty, list, 1); len(found) > 0 {
			t.Logf("seed %d: %d of %d connections disagree, the first: %s", seed, len(found), len(list), found[0])
			return
		}
	}
	t.Error("no cluster showed the fault")
}

// buildWith builds netpold at path, with a text of one file replaced outside of the repository.
func buildWith(ctx context.Context, path, file, from, to string) error {
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	source, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return err
	}
	if n := strings.Count(string(source), from); n != 1 {
		return fmt.Errorf("%s has %q %d times, want once", file, from, n)
	}
	changed, overlay := path+".go", path+".overlay"
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, file): changed}})
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		changed: []byte(strings.Replace(string(source), from, to, 1)), overlay: text,
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return err
		}
	}
	// The flags are those of every other build of it, so that all but the engine and what uses it is compiled already.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-overlay="+overlay, "-o", path, "./cmd/netpold")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building a faulty netpold: %w\n%s", err, output)
	}
	return nil
}
