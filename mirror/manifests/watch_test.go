package manifests

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// TestWatch proves that edits of people and machines are seen by events alone: comparisons are too rare to
// help.
func TestWatch(t *testing.T) {
	tests := map[string]struct {
		path string // under the directory
		edit func(t *testing.T, dir string)
		pods int
	}{
		"a file is written": {"", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "a.yaml"), docs(podNamed("a"), podNamed("b")))
		}, 3},
		"a file is added": {"", func(t *testing.T,
			dir string) {
			put(t, filepath.Join(dir, "b.yaml"), podNamed("b"))
		}, 3},
		"a directory is added": {"", func(t *testing.T,
			dir string) {
			put(t, filepath.Join(dir, "x", "y", "b.yaml"), podNamed("b"))
		}, 3},
		"a file below is written": {"", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "sub", "s.yaml"), docs(podNamed("s"), podNamed("b")))
		}, 3},
		"a file is removed": {"",
			func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "sub", "s.yaml"))) }, 1},
		"an editor renames over it": {"", renamesOver, 3},
		"a single file is written": {"a.yaml", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "a.yaml"), docs(podNamed("a"), podNamed("b")))
		}, 2},
		"a single file is replaced": {"a.yaml", renamesOver, 2},
		"a directory is replaced": {"sub", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "new", "s.yaml"), docs(podNamed("s"), podNamed("b"), podNamed("c")))
			must(t, os.Rename(filepath.Join(dir, "sub"), filepath.Join(dir, "old")))
			must(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "sub")))
		}, 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"a.yaml": podNamed("a"), "sub/s.yaml": podNamed("s")})
			s := loaded(t, SourceOptions{Options: Options{Paths: []string{filepath.Join(dir, test.path)}},
				Quiet: time.Millisecond, Check: time.Hour})
			running(t, s)
			test.edit(t, dir)
			s.awaitPods(t, test.pods)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func renamesOver(t *testing.T, dir string) {
	put(t, filepath.Join(dir, ".a.yaml.tmp"), docs(podNamed("a"), podNamed("b")))
	must(t, os.Rename(filepath.Join(dir, ".a.yaml.tmp"), filepath.Join(dir, "a.yaml")))
}

// TestWatchSeesADanglingLink proves that a dangling link is seen when it comes and goes, not only at the next
// comparison.
func TestWatchSeesADanglingLink(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": podNamed("a")})
	logged := make(loggedTo, 10)
	s := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}}, Quiet: time.Millisecond,
		Check: time.Hour, Logger: slog.New(slog.NewTextHandler(logged, nil))})
	running(t, s)
	link := filepath.Join(dir, "b.yaml")
	must(t, os.Symlink("gone", link))
	logged.await(t, "cannot be read: no such file or directory; make it readable, or remove it")
	if status := s.Status(); len(status.Problems) != 1 || status.Problems[0].File != link || pods(t, s) != 1 {
		t.Errorf("status %+v", status)
	}
	s.published(t, func() { must(t, os.Remove(link)) })
	if status := s.Status(); len(status.Problems) != 0 {
		t.Errorf("status %+v", status)
	}
}

// loggedTo passes on what is logged.
type loggedTo chan string

func (h loggedTo) Write(p []byte) (int, error) {
	h <- string(p)
	return len(p), nil
}

func (h loggedTo) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(limit)
	for {
		select {
		case line := <-h:
			if strings.Contains(line, text) {
				return
			}
		case <-deadline:
			t.Fatalf("%q is not logged", text)
		}
	}
}

func TestWatchOfAConfigMap(t *testing.T) {
	for name, below := range map[string]string{"directory": "", "file": "a.yaml"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mount(t, dir, "..1", map[string]string{"a.yaml": podNamed("a")})
			s := loaded(t, SourceOptions{Options: Options{Paths: []string{filepath.Join(dir, below)}},
				Quiet: time.Millisecond, Check: time.Hour})
			running(t, s)
			for i, version := range []string{"..2", "..3"} { // the second swap finds the watches of the first
				state := s.published(t, func() {
					mount(t, dir, version, map[string]string{"a.yaml": docs(podNamed("a"), podNamed("b"),
						podNamed("c"))[:len(podNamed("a"))*(i+2)+i*5+5]})
				})
				if got := state.Snapshot.Counts().Pods; got != i+2 {
					t.Errorf("swap %d: %d Pods", i, got)
				}
			}
		})
	}
}

// TestComparison proves that files are compared if the system sends no events, and that they are read once
// after many events.
func TestComparison(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": podNamed("a")})
	synctest.Test(t, func(t *testing.T) {
		s := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}}, Quiet: time.Second,
			Check: time.Minute})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		events, errs := make(chan fsnotify.Event), make(chan error)
		w := &watch{source: s, dirs: map[string]bool{dir: true}}
		go func() {
			if err := w.loop(ctx, events, errs); err != nil {
				t.Errorf("loop: %v", err)
			}
		}()
		synctest.Wait()

		put(t, filepath.Join(dir, "b.yaml"), podNamed("b"))
		<-time.After(59 * time.Second) // of the bubble's clock
		if got := pods(t, s); got != 1 {
			t.Errorf("%d Pods before the comparison", got)
		}
		if age := s.Status().Resources[0].Age; age != 59*time.Second {
			t.Errorf("age %v", age)
		}
		<-time.After(time.Second)
		synctest.Wait()
		if got := pods(t, s); got != 2 {
			t.Errorf("%d Pods after the comparison", got)
		}

		put(t, filepath.Join(dir, "c.yaml"), podNamed("c"))
		for range 9 { // 9 events, each within the quiet time after the one before
			events <- fsnotify.Event{Name: filepath.Join(dir, "c.yaml"), Op: fsnotify.Write}
			<-time.After(900 * time.Millisecond)
		}
		if got := pods(t, s); got != 2 {
			t.Errorf("%d Pods while the files do not rest", got)
		}
		<-time.After(100 * time.Millisecond)
		synctest.Wait()
		if got := pods(t, s); got != 3 {
			t.Errorf("%d Pods after the rest", got)
		}

		put(t, filepath.Join(dir, "d.yaml"), podNamed("d"))
		for range 12 { // never quiet
			events <- fsnotify.Event{Name: filepath.Join(dir, "d.yaml"), Op: fsnotify.Write}
			<-time.After(900 * time.Millisecond)
		}
		if got := pods(t, s); got != 4 {
			t.Errorf("%d Pods though the files never rest", got)
		}

		put(t, filepath.Join(dir, "e.yaml"), podNamed("e"))
		events <- fsnotify.Event{Name: "/elsewhere/e.yaml", Op: fsnotify.Write}
		events <- fsnotify.Event{Name: filepath.Join(dir, "e.yaml"), Op: fsnotify.Chmod}
		<-time.After(2 * time.Second)
		if got := pods(t, s); got != 4 {
			t.Errorf("%d Pods by events that do not concern", got)
		}
		errs <- errors.New("queue overflow")
		<-time.After(time.Second)
		synctest.Wait()
		if got := pods(t, s); got != 5 {
			t.Errorf("%d Pods after events were lost", got)
		}
		cancel()
		synctest.Wait()
	})
}

// TestWatchOfSeveralPaths proves that an edit under any path is seen, and that content that can be read only
// once stays.
func TestWatchOfSeveralPaths(t *testing.T) {
	dir := write(t, map[string]string{"one/a.yaml": podNamed("a"), "two/b.yaml": podNamed("b")})
	s := loaded(t, SourceOptions{
		Options: Options{
			Paths: []string{filepath.Join(dir, "one"), "-", filepath.Join(dir, "two", "b.yaml")},
			Stdin: strings.NewReader(podNamed("in")),
		},
		Quiet: time.Millisecond, Check: time.Hour,
	})
	running(t, s)
	for i, file := range []string{"one/c.yaml", "two/b.yaml", "one/d.yaml"} {
		text := podNamed(strings.ReplaceAll(file[:5], "/", "-"))
		if file == "two/b.yaml" {
			text = docs(podNamed("b"), podNamed("e"))
		}
		state := s.published(t, func() { // moved in whole: otherwise half a file might be read
			put(t, filepath.Join(dir, "new"), text)
			if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, file)); err != nil {
				t.Error(err)
			}
		})
		if got := state.Snapshot.Counts().Pods; got != 4+i {
			t.Errorf("%s: %d Pods, want %d", file, got, 4+i)
		}
	}
	if got := s.Status().Source; got !=
		"manifests "+filepath.Join(dir, "one")+", -, "+filepath.Join(dir, "two", "b.yaml") {
		t.Errorf("source is %q", got)
	}
}
