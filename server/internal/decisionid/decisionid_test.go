package decisionid_test

import (
	"regexp"
	"sync"
	"testing"

	"github.com/netpold/netpold/server/internal/decisionid"
)

// TestNewP4G1 proves that ids are 32 hex digits and differ, also those made at once.
func TestNewP4G1(t *testing.T) {
	t.Parallel()
	const makers, each = 8, 1000
	form := regexp.MustCompile(`^[0-9a-f]{32}$`)
	var seen sync.Map
	var running sync.WaitGroup
	for range makers {
		running.Go(func() {
			for range each {
				id := decisionid.New().String()
				if _, twice := seen.LoadOrStore(id, true); twice || !form.MatchString(id) {
					t.Errorf("%q", id)
				}
			}
		})
	}
	running.Wait()
}

// TestPlus proves that ids which count up differ, and come back to the first one.
func TestPlus(t *testing.T) {
	t.Parallel()
	id := decisionid.New()
	if next := id.Plus(1); next == id || next.Plus(^uint64(0)) != id || next.String()[:16] != id.String()[:16] {
		t.Errorf("%v after %v", next, id)
	}
}
