package kubetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// buildTimeout is for a machine of one core that has compiled nothing yet.
const buildTimeout = 45 * time.Minute

// program is one that is built from source, once in a process.
type program struct {
	// dir is the module, from the root of the repository, and pkg the package in it.
	dir, pkg string
	once     sync.Once
	path     string
	err      error
}

// The programs under test; $NETPOLD names another netpold, built already, to be tested in place of this one. Those of Kubernetes live in a module of their own, so that they are built from the versions that
// Kubernetes was released with, and so that only a new Kubernetes builds them again.
var (
	etcdProgram      = &program{dir: "test/kube/servers", pkg: "./etcd"}
	apiserverProgram = &program{dir: "test/kube/servers", pkg: "./apiserver"}
	netpoldProgram   = &program{dir: ".", pkg: "./cmd/netpold"}
	reflectorProgram = &program{dir: "test/kube", pkg: "./cmd/reflector"}
)

// build gives the path of the program, up to date.
func (p *program) build(tb testing.TB) string {
	tb.Helper()
	p.once.Do(func() { p.path, p.err = p.compile() })
	if p.err != nil {
		tb.Fatal(p.err)
	}
	return p.path
}

// Build builds a command of a module of this repository, or one that it requires, and returns where it is. dir is
// the module, from the root of the repository.
func Build(tb testing.TB, dir, pkg string) (path string) {
	tb.Helper()
	p, _ := otherPrograms.LoadOrStore([2]string{dir, pkg}, &program{dir: dir, pkg: pkg})
	return p.(*program).build(tb) //nolint:forcetypeassert // there is nothing else in it
}

// otherPrograms has a *program for each dir and pkg that Build was asked for.
var otherPrograms sync.Map

func (p *program) compile() (string, error) {
	if other := os.Getenv("NETPOLD"); other != "" && p == netpoldProgram {
		return other, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	root := repository()
	out := filepath.Join(root, "test", "kube", "bin", filepath.Base(p.pkg))
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", out, p.pkg}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(root, p.dir)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %v in %s: %w\n%s", args, cmd.Dir, err, output)
	}
	return out, nil
}

// repository is the folder of the whole repository: the one above that of this module.
func repository() string {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "test", "kube", "go.mod")); missing == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return "."
}

// Deploy is the folder of the manifests that are shipped.
func Deploy() string { return filepath.Join(repository(), "deploy") }
