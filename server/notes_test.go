package server_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

// Notes of the whole state are logged when they begin to hold, when their words change, and when they end;
// never again meanwhile.
func TestNotesAreLogged(t *testing.T) {
	t.Parallel()
	var log logBuffer
	ticks := make(chan time.Time)
	source := servertest.NewSource()
	startWith(t, source, func(c *server.Config) { c.Logger = log.logger() }, func(s *server.Server) {
		server.SetNoteTicks(s, ticks)
	})
	// A look is over when the next but one has started.
	look := func() {
		for range 2 {
			select {
			case ticks <- time.Time{}:
			case <-time.After(30 * time.Second):
				t.Fatal("the notes are not looked at")
			}
		}
	}
	levels := regexp.MustCompile(`level=(\w+) msg=.* note=(\w+)\n`)
	logged := func() (lines []string) {
		for _, m := range levels.FindAllStringSubmatch(log.String(), -1) {
			lines = append(lines, m[1]+" "+m[2])
		}
		return lines
	}
	expect := func(want ...string) {
		t.Helper()
		look()
		if got := logged(); !slices.Equal(got, want) {
			t.Errorf("%q, want %q in\n%s", got, want, log.String())
		}
	}
	source.Apply(engine.Change{Object: &engine.Pod{Namespace: "shop", Name: "web-0"}})
	expect("WARN NO_POLICIES")
	source.Apply(engine.Change{Object: &engine.Policy{Namespace: "empty", Name: "a"}})
	expect("WARN NO_POLICIES", "WARN POLICY_SELECTS_NOTHING", "INFO NO_POLICIES")
	source.Apply(engine.Change{Object: &engine.Policy{Namespace: "empty", Name: "b"}})
	source.SetStatus(mirror.Status{OnlyNamespace: "shop"})
	expect("WARN NO_POLICIES", "WARN POLICY_SELECTS_NOTHING", "INFO NO_POLICIES", "WARN PARTIAL_VIEW",
		"WARN POLICY_SELECTS_NOTHING")
	before := len(logged())
	if look(); len(logged()) != before {
		t.Errorf("logged again without a change:\n%s", log.String())
	}
}
