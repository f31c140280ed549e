package manifests

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// denying returns a policy that denies everything to and from the Pods with a label.
func denying(name string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + name + "}\nspec:\n" +
		"  podSelector:\n    matchLabels: {app: " + name + "}\n  policyTypes:\n  - Ingress\n  - Egress\n"
}

// TestHalfAnEditRemovesNothing proves that what a file loses while it is written in place stays for the time that it
// must stand still, whatever a writer has got done by then, and that other edits are taken at once.
func TestHalfAnEditRemovesNothing(t *testing.T) {
	policies := docs(denying("a"), denying("b"), denying("c"))
	inPlace := func(content string) func(*testing.T, string) {
		return func(t *testing.T, path string) { put(t, path, content) }
	}
	tests := map[string]struct {
		edit func(t *testing.T, path string)
		// waits is in the problem; empty for an edit that is taken at once.
		waits string
		// policies is how many there are afterwards; -1 for as many as before, rejected for good.
		policies int
	}{
		"truncated to nothing":     {inPlace(""), "is empty and was not", 0},
		"one newline":              {inPlace("\n"), "held 3 objects and holds none", 0},
		"only comments":            {inPlace("# to come\n"), "held 3 objects and holds none", 0},
		"zeros":                    {inPlace(strings.Repeat("\x00", 4096)), "is not YAML", -1},
		"only other kinds":         {inPlace("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"), "holds none", 0},
		"cut between documents":    {inPlace(policies[:strings.Index(policies, "---")]), "no longer holds default/b, default/c", 1},
		"cut inside a document":    {inPlace(policies[:len(policies)-len("  - Egress\n")]), "ends where it went on before", 3},
		"cut inside a line":        {inPlace(policies[:len(policies)-len("Egress\n")]), "Unsupported value", -1},
		"made anew and not filled": {madeAnew(""), "is empty and was not", 0},
		"a policy less, in place":  {inPlace(docs(denying("a"), denying("c"))), "no longer holds default/b", 2},
		"a policy less, renamed":   {renamed(docs(denying("a"), denying("c"))), "", 2},
		"nothing, renamed":         {renamed("# nothing\n"), "", 0},
		"a policy more":            {inPlace(docs(policies, denying("d"))), "", 4},
		"shorter and other":        {inPlace(strings.ReplaceAll(policies, "  - Ingress\n", "")), "", 3},
		"removed":                  {func(t *testing.T, path string) { must(t, os.Remove(path)) }, "", 0},
		"moved to another file": {func(t *testing.T, path string) {
			put(t, filepath.Join(filepath.Dir(path), "other.yaml"), denying("c"))
			put(t, path, docs(denying("a"), denying("b")))
		}, "ends where it went on before", 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"pods.yaml": podNamed("a"), "policies.yaml": policies})
			path := filepath.Join(dir, "policies.yaml")
			synctest.Test(t, func(t *testing.T) {
				s := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}}, Quiet: time.Second,
					Check: time.Hour, Settle: 10 * time.Second})
				touch, stop := s.looping(t, dir)
				defer stop()

				test.edit(t, path)
				touch()
				<-time.After(2 * time.Second)
				if test.waits != "" {
					problems := s.Status().Problems
					if len(problems) != 1 || problems[0].File != path || !strings.Contains(problems[0].Message, test.waits) {
						t.Errorf("problems %v, want one with %q", problems, test.waits)
					}
					if got := s.policies(t); got != 3 {
						t.Errorf("%d policies while the file does not stand still, want all 3", got)
					}
					<-time.After(10 * time.Second)
					synctest.Wait()
				}
				if test.policies >= 0 && len(s.Status().Problems) > 0 {
					t.Errorf("problems %v in the end", s.Status().Problems)
				}
				if got, want := s.policies(t), test.policies; got != want && (want >= 0 || got != 3) {
					t.Errorf("%d policies in the end, want %d", got, want)
				}
			})
		})
	}
}

// TestAFileThatIsStillWritten proves that the time begins again with each write, and that a whole file at last is
// taken at once.
func TestAFileThatIsStillWritten(t *testing.T) {
	dir := write(t, map[string]string{"pods.yaml": podNamed("a"), "policies.yaml": docs(denying("a"), denying("b"))})
	path := filepath.Join(dir, "policies.yaml")
	synctest.Test(t, func(t *testing.T) {
		s := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}}, Quiet: time.Second, Check: time.Hour,
			Settle: 10 * time.Second})
		touch, stop := s.looping(t, dir)
		defer stop()
		for i := range 5 {
			put(t, path, strings.Repeat("# written slowly\n", i))
			touch()
			<-time.After(9 * time.Second)
			if got := s.policies(t); got != 2 {
				t.Fatalf("write %d: %d policies, want 2", i, got)
			}
		}
		put(t, path, docs(denying("a"), denying("b"), denying("c")))
		touch()
		<-time.After(2 * time.Second)
		if got, problems := s.policies(t), s.Status().Problems; got != 3 || len(problems) > 0 {
			t.Errorf("%d policies, problems %v, want 3 and none", got, problems)
		}
	})
}

// looping runs the watch without the system's events. touch sends one.
func (s *Source) looping(t *testing.T, dir string) (touch, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	events := make(chan fsnotify.Event)
	w := &watch{source: s, dirs: map[string]bool{dir: true}}
	go func() {
		if err := w.loop(ctx, events, nil); err != nil {
			t.Errorf("loop: %v", err)
		}
	}()
	synctest.Wait()
	touch = func() { events <- fsnotify.Event{Name: filepath.Join(dir, "policies.yaml"), Op: fsnotify.Write} }
	return touch, func() { cancel(); synctest.Wait() }
}

func (s *Source) policies(t *testing.T) int {
	t.Helper()
	state, ok := s.State()
	if !ok {
		t.Fatal("no state")
	}
	return state.Snapshot.Counts().Policies
}

// renamed returns an edit that renames a whole file over the old one.
func renamed(content string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		put(t, path+".new", content)
		must(t, os.Rename(path+".new", path))
	}
}

// madeAnew returns an edit that removes the file and writes another.
func madeAnew(content string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		must(t, os.Rename(path, filepath.Join(t.TempDir(), "old"))) // its inode stays in use
		put(t, path, content)
	}
}
