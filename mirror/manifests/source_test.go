package manifests

import (
	"bytes"
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
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/netpold/netpold/mirror"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit ends a test whose event never comes.
const limit = 20 * time.Second

func newSource(t *testing.T, o SourceOptions) *Source {
	t.Helper()
	s, err := NewSource(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func loaded(t *testing.T, o SourceOptions) *Source {
	t.Helper()
	s := newSource(t, o)
	if err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

func pods(t *testing.T, s *Source) int {
	t.Helper()
	state, ok := s.State()
	if !ok {
		t.Fatal("no state")
	}
	return state.Snapshot.Counts().Pods
}

// running runs the source until the test ends.
func running(t *testing.T, s *Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// published waits for the state after an edit.
func (s *Source) published(t *testing.T, edit func()) mirror.State {
	t.Helper()
	s.mu.Lock()
	changed := s.changed
	s.mu.Unlock()
	edit()
	select {
	case <-changed:
	case <-time.After(limit):
		t.Fatal("no state is published")
	}
	state, _ := s.State()
	return state
}

func TestS26NothingBeforeTheFirstRead(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": podNamed("a")})
	s := newSource(t, SourceOptions{Options: Options{Path: dir}})
	if _, ok := s.State(); ok || s.Status().Ready {
		t.Fatal("there is a state before the first read")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Wait(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	waited := make(chan mirror.State, 1)
	go func() {
		state, err := s.Wait(context.Background(), "")
		if err != nil {
			t.Errorf("Wait: %v", err)
		}
		waited <- state
	}()
	if err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	state, ok := s.State()
	if got := <-waited; !ok || got != state || state.Snapshot.Revision() != 1 || state.Published.IsZero() || state.Token == "" {
		t.Errorf("state %+v, waited for %+v", state, got)
	}
}

func TestLoadFailsWithoutAState(t *testing.T) {
	for name, text := range map[string]string{"problems": podNamed("A"), "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t, SourceOptions{Options: Options{Path: write(t, map[string]string{"a.yaml": text})}})
			if err := s.Load(context.Background()); err == nil {
				t.Error("no error")
			}
			if _, ok := s.State(); ok || s.Status().Ready || len(s.Status().Problems) != 1 {
				t.Errorf("status %+v", s.Status())
			}
		})
	}
}

func TestEditsAreTakenWholeOrNotAtAll(t *testing.T) {
	var log bytes.Buffer
	dir := write(t, map[string]string{"a.yaml": podNamed("a"), "c.yaml": "apiVersion: v1\nkind: ConfigMap\n"})
	s := loaded(t, SourceOptions{Options: Options{Path: dir}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	first, _ := s.State()

	put(t, filepath.Join(dir, "b.yaml"), podNamed("b"))
	put(t, filepath.Join(dir, "a.yaml"), podNamed("A")+"---\n"+podNamed("B"))
	for range 3 {
		if err := s.Load(context.Background()); err == nil {
			t.Fatal("an edit with problems is taken")
		}
	}
	if now, _ := s.State(); now != first {
		t.Error("the last good state is not served on")
	}
	status := s.Status()
	if len(status.Problems) != 2 || status.Problems[1].Name != "B" || !status.Ready || status.Resources[0].Error != "" {
		t.Errorf("status %+v", status)
	}
	if n := strings.Count(log.String(), "manifests refused"); n != 2 {
		t.Errorf("%d lines of 2 problems:\n%s", n, log.String())
	}

	put(t, filepath.Join(dir, "a.yaml"), podNamed("a"))
	if err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	status = s.Status()
	if pods(t, s) != 2 || len(status.Problems) != 0 || status.Resources[0].Objects != 2 || status.IgnoredKinds["ConfigMap"] != 1 {
		t.Errorf("status %+v", status)
	}
	if now, _ := s.State(); now.Snapshot.Revision() != 2 || now.Token == first.Token {
		t.Errorf("state %+v", now)
	}
}

func TestAnEmptiedFileIsNoDeletion(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": podNamed("a"), "b.yaml": podNamed("b"), "c.yaml": ""})
	s := loaded(t, SourceOptions{Options: Options{Path: dir}})
	put(t, filepath.Join(dir, "a.yaml"), "")
	invalid, ok := errors.AsType[*ProblemsError](s.Load(context.Background()))
	if !ok || len(invalid.Problems) != 1 || invalid.Problems[0].File != filepath.Join(dir, "a.yaml") || pods(t, s) != 2 {
		t.Errorf("%v, %d Pods", invalid, pods(t, s))
	}
	if diff := cmp.Diff(invalid.Problems, s.Status().Problems); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := s.Load(context.Background()); err != nil || pods(t, s) != 1 {
		t.Errorf("%v, %d Pods", err, pods(t, s))
	}
}

func TestAVanishedPathKeepsTheState(t *testing.T) {
	dir := write(t, map[string]string{"m/a.yaml": podNamed("a")})
	s := loaded(t, SourceOptions{Options: Options{Path: filepath.Join(dir, "m")}})
	if err := os.RemoveAll(filepath.Join(dir, "m")); err != nil {
		t.Fatal(err)
	}
	if err := s.Load(context.Background()); err == nil || pods(t, s) != 1 {
		t.Errorf("%v, %d Pods", err, pods(t, s))
	}
	if status := s.Status(); len(status.Problems) != 1 || status.Resources[2].Error == "" {
		t.Errorf("status %+v", status)
	}
}

func TestTheSameObjectsAreTheSameSnapshot(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": podNamed("a")})
	s := loaded(t, SourceOptions{Options: Options{Path: dir}})
	first, _ := s.State()
	put(t, filepath.Join(dir, "a.yaml"), "# the same\n"+podNamed("a"))
	if err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	now, _ := s.State()
	if now.Snapshot != first.Snapshot || now.Published != first.Published || now.Token == first.Token {
		t.Errorf("state %+v, was %+v", now, first)
	}
}

func TestTokens(t *testing.T) {
	files := map[string]string{"a.yaml": podNamed("a")}
	dir := write(t, files)
	s, replica := loaded(t, SourceOptions{Options: Options{Path: dir}}), loaded(t, SourceOptions{Options: Options{Path: write(t, files)}})
	other := loaded(t, SourceOptions{Options: Options{Path: dir, Namespace: "shop"}})
	first, _ := s.State()
	put(t, filepath.Join(dir, "a.yaml"), podNamed("b"))
	if err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	second, _ := s.State()
	later, err := parseToken(second.Token)
	if err != nil {
		t.Fatal(err)
	}
	later.generation++
	later.content[0]++
	ofReplica, _ := replica.State()
	tests := map[string]struct {
		at    *Source
		token string
		want  error
	}{
		"none":                                {s, "", nil},
		"an older one of its own":             {s, first.Token, nil},
		"its present one":                     {s, second.Token, nil},
		"one that it never gave":              {s, later.String(), mirror.ErrTokenUnknown},
		"a replica's of other files":          {s, ofReplica.Token, mirror.ErrTokenUnknown},
		"a replica's of the same files":       {replica, first.Token, nil},
		"a replica's newer one":               {replica, second.Token, mirror.ErrTokenUnknown},
		"of the same files read in other way": {other, first.Token, mirror.ErrTokenUnknown},
		"no base64":                           {s, "?", mirror.ErrTokenMalformed},
		"too short":                           {s, first.Token[:20], mirror.ErrTokenMalformed},
		"of another kind of mirror":           {s, "k" + first.Token[1:], mirror.ErrTokenMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			state, err := test.at.Wait(context.Background(), test.token)
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if now, _ := test.at.State(); err == nil && state != now {
				t.Error("not the present state")
			}
		})
	}
}

func TestStdinIsReadOnce(t *testing.T) {
	s := loaded(t, SourceOptions{Options: Options{Path: "-", Stdin: strings.NewReader(podNamed("a"))}})
	running(t, s)
	if status := s.Status(); pods(t, s) != 1 || status.Source != "manifests -" || status.Resources[0].Age != 0 {
		t.Errorf("status %+v", status)
	}
}

func TestReadingStopsWithItsContext(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Read(ctx, Options{Path: "-", Stdin: r}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	for name, o := range map[string]SourceOptions{"no path": {}, "quiet": {Options: Options{Path: "x"}, Quiet: -1}, "check": {Options: Options{Path: "x"}, Check: -1}} {
		if _, err := NewSource(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestWatch edits files as people and machines do, with the comparison too rare to help.
func TestWatch(t *testing.T) {
	tests := map[string]struct {
		path string // below the directory
		edit func(t *testing.T, dir string)
		pods int
	}{
		"a file is written": {"", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "a.yaml"), docs(podNamed("a"), podNamed("b")))
		}, 3},
		"a file is added":      {"", func(t *testing.T, dir string) { put(t, filepath.Join(dir, "b.yaml"), podNamed("b")) }, 3},
		"a directory is added": {"", func(t *testing.T, dir string) { put(t, filepath.Join(dir, "x", "y", "b.yaml"), podNamed("b")) }, 3},
		"a file below is written": {"", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "sub", "s.yaml"), docs(podNamed("s"), podNamed("b")))
		}, 3},
		"a file is removed":         {"", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "sub", "s.yaml"))) }, 1},
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
			s := loaded(t, SourceOptions{Options: Options{Path: filepath.Join(dir, test.path)}, Quiet: time.Millisecond, Check: time.Hour})
			running(t, s)
			for state := s.published(t, func() { test.edit(t, dir) }); state.Snapshot.Counts().Pods != test.pods; {
				state = s.published(t, func() {}) // part of the edit came first
			}
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

func TestWatchOfAConfigMap(t *testing.T) {
	for name, below := range map[string]string{"directory": "", "file": "a.yaml"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mount(t, dir, "..1", map[string]string{"a.yaml": podNamed("a")})
			s := loaded(t, SourceOptions{Options: Options{Path: filepath.Join(dir, below)}, Quiet: time.Millisecond, Check: time.Hour})
			running(t, s)
			for i, version := range []string{"..2", "..3"} { // the second swap finds the watches of the first
				state := s.published(t, func() {
					mount(t, dir, version, map[string]string{"a.yaml": docs(podNamed("a"), podNamed("b"), podNamed("c"))[:len(podNamed("a"))*(i+2)+i*5+5]})
				})
				if got := state.Snapshot.Counts().Pods; got != i+2 {
					t.Errorf("swap %d: %d Pods", i, got)
				}
			}
		})
	}
}

// TestComparison: where the system tells nothing, the files are compared; and where it tells much, they are read once.
func TestComparison(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": podNamed("a")})
	synctest.Test(t, func(t *testing.T) {
		s := loaded(t, SourceOptions{Options: Options{Path: dir}, Quiet: time.Second, Check: time.Minute})
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
		time.Sleep(59 * time.Second) // of the bubble's clock
		if got := pods(t, s); got != 1 {
			t.Errorf("%d Pods before the comparison", got)
		}
		if age := s.Status().Resources[0].Age; age != 59*time.Second {
			t.Errorf("age %v", age)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := pods(t, s); got != 2 {
			t.Errorf("%d Pods after the comparison", got)
		}

		put(t, filepath.Join(dir, "c.yaml"), podNamed("c"))
		for range 9 { // 9 events, each within the rest after the one before
			events <- fsnotify.Event{Name: filepath.Join(dir, "c.yaml"), Op: fsnotify.Write}
			time.Sleep(900 * time.Millisecond)
		}
		if got := pods(t, s); got != 2 {
			t.Errorf("%d Pods while the files do not rest", got)
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if got := pods(t, s); got != 3 {
			t.Errorf("%d Pods after the rest", got)
		}

		put(t, filepath.Join(dir, "d.yaml"), podNamed("d"))
		for range 12 { // never at rest
			events <- fsnotify.Event{Name: filepath.Join(dir, "d.yaml"), Op: fsnotify.Write}
			time.Sleep(900 * time.Millisecond)
		}
		if got := pods(t, s); got != 4 {
			t.Errorf("%d Pods though the files never rest", got)
		}

		put(t, filepath.Join(dir, "e.yaml"), podNamed("e"))
		events <- fsnotify.Event{Name: "/elsewhere/e.yaml", Op: fsnotify.Write}
		events <- fsnotify.Event{Name: filepath.Join(dir, "e.yaml"), Op: fsnotify.Chmod}
		time.Sleep(2 * time.Second)
		if got := pods(t, s); got != 4 {
			t.Errorf("%d Pods by events that do not concern", got)
		}
		errs <- errors.New("queue overflow")
		time.Sleep(time.Second)
		synctest.Wait()
		if got := pods(t, s); got != 5 {
			t.Errorf("%d Pods after events were lost", got)
		}
		cancel()
		synctest.Wait()
	})
}
