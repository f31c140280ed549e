//go:build unix

package decisionlog

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestG3OneFileOfTwo proves that two servers that append to one file cut no line of each other.
func TestG3OneFileOfTwo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "decisions")
	const each = 20_000
	var both sync.WaitGroup
	for n := range 2 {
		both.Go(func() {
			l, err := Open(Options{Path: path, Sample: 1})
			if err != nil {
				t.Error(err)
				return
			}
			end := run(l)
			record(l, 1+n*each, each)
			if err := end(); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ports, dropped := linesOf(t, string(text))
	seen := map[int]bool{}
	for _, port := range ports {
		seen[port] = true
	}
	if len(seen) != 2*each || len(ports) != 2*each || dropped > 0 {
		t.Errorf("%d records of %d, %d different, %d dropped", len(ports), 2*each, len(seen), dropped)
	}
}

// TestG3WaitsForTheOther proves that nothing is written into the middle of another process' line, that this is told,
// and that the records are written afterwards.
func TestG3WaitsForTheOther(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "decisions")
	l := open(t, Options{Path: path})
	other, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := other.WriteString(`{"half of`); err != nil {
		t.Fatal(err)
	}
	end := run(l)
	record(l, 1, 3)
	for !strings.Contains(l.Status().Failure, "give each server a file of its own") {
		runtime.Gosched()
		if t.Context().Err() != nil {
			t.Fatalf("%+v", l.Status())
		}
	}
	if _, err := other.WriteString(` a line"}` + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	if ports, _ := linesOf(t, rest); first != `{"half of a line"}` || len(ports) != 3 {
		t.Errorf("the file has %q", text)
	}
}
