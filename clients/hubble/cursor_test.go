package hubble

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"
)

// begin is when the flows of these tests begin.
var begin = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func uuid(n int) identity {
	id := identity{unique: true}
	binary.BigEndian.PutUint64(id.bytes[8:], uint64(n)+1)
	return id
}

func (c *cursor) wantSince(t *testing.T, want time.Time) {
	t.Helper()
	if got := c.since(); !got.Equal(want) {
		t.Errorf("since %v, want %v", got, want)
	}
}

func TestCursorBeforeAnyFlow(t *testing.T) {
	t.Parallel()
	(&cursor{}).wantSince(t, time.Time{})
	(&cursor{base: begin}).wantSince(t, begin)
	(&cursor{start: begin.Add(time.Hour), base: begin}).wantSince(t, begin.Add(time.Hour))
}

// A new connection goes back to the last flow of the node that is farthest behind, but not before the start,
// nor before the first flow of that node.
func TestCursorGoesBackToSlowestNode(t *testing.T) {
	t.Parallel()
	now := begin.Add(time.Minute)
	c := cursor{base: begin}
	c.accept("fast", begin.Add(time.Hour), uuid(1), now) // Its clock is wrong.
	c.accept("slow", begin.Add(10*time.Second), uuid(2), now)
	c.wantSince(t, begin.Add(10*time.Second))
	c.accept("slow", begin.Add(20*time.Second), uuid(3), now)
	c.wantSince(t, begin.Add(19*time.Second))
	c.accept("untimed", time.Time{}, uuid(4), now)
	c.wantSince(t, begin.Add(19*time.Second))
	c.start = begin.Add(30 * time.Second)
	c.wantSince(t, begin.Add(30*time.Second))
}

// A node that is silent for long does not make others repeat all of that time.
func TestCursorLeavesQuietNodes(t *testing.T) {
	t.Parallel()
	c := cursor{}
	c.accept("gone", begin, uuid(1), begin)
	c.accept("busy", begin.Add(quiet), uuid(2), begin.Add(quiet))
	c.wantSince(t, begin)
	c.accept("busy", begin.Add(quiet+time.Minute), uuid(3), begin.Add(quiet+time.Minute))
	c.wantSince(t, begin.Add(quiet+time.Minute-slack))
}

// Events are remembered: the last 262,144 at least. Of a connection made anew, what is too old to be
// remembered is repeated too; of a lasting one it is late.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := cursor{}
	at := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Millisecond) }
	const count = 3 * halfMemory
	for n := range count {
		if !c.accept("a", at(n), uuid(n), at(n)) {
			t.Fatalf("flow %d is repeated", n)
		}
	}
	if got := len(c.seen.young) + len(c.seen.old); got > 2*halfMemory {
		t.Errorf("%d are remembered", got)
	}
	if !c.accept("a", at(0), uuid(count), at(count)) {
		t.Error("a flow that is late is repeated")
	}
	c.resumed()
	for n := range count {
		if c.accept("a", at(n), uuid(n), at(count)) {
			t.Fatalf("flow %d is new", n)
		}
	}
	if !c.accept("a", at(count), uuid(count+1), at(count)) {
		t.Error("a new flow is repeated")
	}
	// Now that the node has caught up, an old time is that of a clock set back.
	if !c.accept("a", at(1), uuid(count+2), at(count)) {
		t.Error("a flow after the clock was set back is repeated")
	}
}

// Relay calls a node again after an error, from where the whole connection began.
func TestNodeReplays(t *testing.T) {
	t.Parallel()
	c := cursor{start: begin}
	c.accept("a", begin.Add(time.Minute), uuid(1), begin)
	c.nodes["a"].forgotten = begin.Add(time.Second)
	c.replays([]string{"a", "unknown"})
	if c.accept("a", begin, uuid(2), begin) {
		t.Error("a forgotten flow is new")
	}
	if c.accept("a", begin.Add(time.Minute), uuid(1), begin) {
		t.Error("a remembered flow is new")
	}
}

func TestNodesAreBounded(t *testing.T) {
	t.Parallel()
	c := cursor{}
	for n := range maxNodes + 2 {
		c.accept(fmt.Sprint("node-", n), begin, uuid(n), begin.Add(time.Duration(n)))
	}
	if len(c.nodes) != maxNodes || c.nodes["node-0"] != nil || c.nodes["node-2"] == nil {
		t.Errorf("%d nodes", len(c.nodes))
	}
}
