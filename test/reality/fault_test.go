//go:build linux

package reality

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netpold/netpold/test/kube/random"
)

// seededFault proves that the comparison finds faults: in a netpold whose ipBlocks match outside of their
// cidr too (S19), packets disagree with answers.
func seededFault(t *testing.T, c *cluster) {
	const right, wrong = "return b.CIDR.Contains(addr) && !slices", "return b.CIDR.Contains(addr) || !slices"
	faulty := c.serve(buildWith(t, "engine/policy.go", right, wrong), "--like=kube-router")
	for seed := range 5 {
		r := random.New(uint64(seed))
		c.populate(r, kind{})
		c.settle()
		list := c.between(askedPorts(r, 1)...)
		if found := c.judge(faulty, list, 1); len(found) > 0 {
			t.Logf("seed %d: %d of %d connections disagree, the first: %s", seed, len(found), len(list), found[0])
			return
		}
	}
	t.Error("no cluster showed the fault")
}

// buildWith builds netpold with a text of one file replaced, outside of the repository, and returns where it is.
func buildWith(t *testing.T, file, from, to string) (path string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), from) != 1 {
		t.Fatalf("%s has %q %d times, want once", file, from, strings.Count(string(source), from))
	}
	dir := t.TempDir()
	changed, overlay, path := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay"), filepath.Join(dir, "netpold")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, file): changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		changed: []byte(strings.Replace(string(source), from, to, 1)), overlay: text,
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-overlay="+overlay, "-o", path, "./cmd/netpold")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building a faulty netpold: %v\n%s", err, output)
	}
	return path
}
