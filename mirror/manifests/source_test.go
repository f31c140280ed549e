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
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/netpold/netpold/mirror"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit ends a test whose event does not come.
const limit = time.Minute

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

// running starts the source. It runs until the test ends.
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

// published makes an edit, and waits for the next state.
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

// awaitPods waits for a state with so many Pods: a part of an edit may come first.
func (s *Source) awaitPods(t *testing.T, pods int) {
	t.Helper()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		state, _ := s.State()
		if state.Snapshot.Counts().Pods == pods {
			return
		}
		select {
		case <-changed:
		case <-time.After(limit):
			t.Fatalf("there are %d Pods, want %d", state.Snapshot.Counts().Pods, pods)
		}
	}
}

func TestS26NothingBeforeTheFirstRead(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": podNamed("a")})
	s := newSource(t, SourceOptions{Options: Options{Paths: []string{dir}}})
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
	if got := <-waited; !ok || got != state || state.Snapshot.Revision() != 1 || state.Published.IsZero() ||
		state.Token == "" {
		t.Errorf("state %+v, waited for %+v", state, got)
	}
}

func TestLoadFailsWithoutAState(t *testing.T) {
	for name, text := range map[string]string{"problems": podNamed("A"), "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t, SourceOptions{Options: Options{Paths: []string{write(t,
				map[string]string{"a.yaml": text})}}})
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
	s := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}},
		Logger: slog.New(slog.NewTextHandler(&log, nil))})
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
	if len(status.Problems) != 2 || status.Problems[1].Name != "B" || !status.Ready ||
		status.Resources[0].Error != "" {
		t.Errorf("status %+v", status)
	}
	if n := strings.Count(log.String(), "manifests rejected"); n != 2 {
		t.Errorf("%d lines of 2 problems:\n%s", n, log.String())
	}

	put(t, filepath.Join(dir, "a.yaml"), podNamed("a"))
	if err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	status = s.Status()
	if pods(t, s) != 2 || len(status.Problems) != 0 || status.Resources[0].Objects != 2 ||
		status.IgnoredKinds["ConfigMap"] != 1 {
		t.Errorf("status %+v", status)
	}
	if now, _ := s.State(); now.Snapshot.Revision() != 2 || now.Token == first.Token {
		t.Errorf("state %+v", now)
	}
}

func TestAnEmptiedFileIsNoDeletion(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": podNamed("a"), "b.yaml": podNamed("b"), "c.yaml": ""})
	s := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}}, Settle: time.Hour})
	put(t, filepath.Join(dir, "a.yaml"), "")
	invalid, ok := errors.AsType[*ProblemsError](s.Load(context.Background()))
	if !ok || len(invalid.Problems) != 1 || invalid.Problems[0].File != filepath.Join(dir, "a.yaml") ||
		pods(t, s) != 2 {
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
	s := loaded(t, SourceOptions{Options: Options{Paths: []string{filepath.Join(dir, "m")}}})
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
	s := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}}})
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
	s, replica := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}}}), loaded(t,
		SourceOptions{Options: Options{Paths: []string{write(t, files)}}})
	other := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}, Namespace: "shop"}})
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
		"of a running cluster":                {s, "bAE", mirror.ErrTokenUnknown},
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
	s := loaded(t, SourceOptions{Options: Options{Paths: []string{"-"},
		Stdin: strings.NewReader(podNamed("a"))}})
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
	if _, err := Read(ctx, Options{Paths: []string{"-"}, Stdin: r}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	for name, o := range map[string]SourceOptions{"no path": {},
		"quiet": {Options: Options{Paths: []string{"x"}}, Quiet: -1},
		"check": {Options: Options{Paths: []string{"x"}}, Check: -1}} {
		if _, err := NewSource(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestARelativePath proves that a problem under a relative path is reported, and is not mistaken for a
// change.
func TestARelativePath(t *testing.T) {
	dir := write(t, map[string]string{"m/a.yaml": podNamed("a")})
	must(t, os.Symlink("gone", filepath.Join(dir, "m", "b.yaml")))
	t.Chdir(dir)
	s := newSource(t, SourceOptions{Options: Options{Paths: []string{"m"}}})
	if _, ok := errors.AsType[*ProblemsError](s.Load(context.Background())); !ok {
		t.Errorf("status %+v", s.Status())
	}
}
