package hubble

import (
	"time"
)

// A cursor knows which flows were yielded: where to go on after a break, and which flows of the new
// connection are repeated. It is not safe for concurrent use.
//
// Clocks of nodes differ, so times are compared within a node alone. Each node sends its flows in order.
type cursor struct {
	nodes map[string]*node
	seen  memory
	// start is from when flows are wanted: zero is from the first connection on, whose time by Relay's clock
	// is then base.
	start, base time.Time
	// heard is when any node was last heard.
	heard time.Time
}

// A node is one that flows came from.
type node struct {
	// first and last are the times of its earliest and latest flow, by its own clock.
	first, last time.Time
	// heard is when its last flow came, by the clock of this process.
	heard time.Time
	// known is last at the moment when memory began its younger half. forgotten is what known was before:
	// whatever is not after it may have been yielded and forgotten.
	known, forgotten time.Time
	// replaying means that it may send flows again that were forgotten, until one is after forgotten.
	replaying bool
}

const (
	// slack is how much a node's flows may be out of order.
	slack = time.Second
	// quiet is how long a node may be silent until others are not held back for it. What it has seen
	// meanwhile is after the flows of others.
	quiet = 5 * time.Minute
	// maxNodes is how many nodes are kept, since names of nodes come and go. It is twice the largest cluster.
	maxNodes = 10_000
)

// since returns the time to ask for on a new connection; zero for "from now on".
func (c *cursor) since() time.Time {
	var since time.Time
	for _, n := range c.nodes {
		if n.last.IsZero() || c.heard.Sub(n.heard) > quiet {
			continue
		}
		from := n.last.Add(-slack)
		if from.Before(n.first) {
			from = n.first
		}
		if since.IsZero() || from.Before(since) {
			since = from
		}
	}
	switch {
	case since.IsZero() && c.start.IsZero():
		return c.base
	case since.Before(c.start):
		return c.start
	default:
		return since
	}
}

// resumed notes that a connection was made anew: every node may repeat what it sent.
func (c *cursor) resumed() {
	c.seen.connection++
	for _, n := range c.nodes {
		n.replaying = true
	}
}

// replays notes that a node may repeat what it sent since the connection began.
func (c *cursor) replays(names []string) {
	for _, name := range names {
		if n := c.nodes[name]; n != nil {
			n.replaying = true
		}
	}
}

// accept reports whether a flow is new. at is its time, zero if it has none; now is the time of this process.
func (c *cursor) accept(name string, at time.Time, id identity, now time.Time) bool {
	if c.seen.full() {
		c.forget()
	}
	n := c.node(name)
	n.heard, c.heard = now, now
	repeated := c.seen.repeats(id)
	if n.replaying && !at.IsZero() {
		if at.After(n.forgotten) {
			n.replaying = false
		} else {
			repeated = true
		}
	}
	if repeated || at.IsZero() {
		return !repeated
	}
	if n.first.IsZero() || at.Before(n.first) {
		n.first = at
	}
	if at.After(n.last) {
		n.last = at
	}
	return true
}

func (c *cursor) node(name string) *node {
	n := c.nodes[name]
	if n != nil {
		return n
	}
	if len(c.nodes) >= maxNodes {
		c.dropNode()
	}
	if c.nodes == nil {
		c.nodes = map[string]*node{}
	}
	n = &node{}
	c.nodes[name] = n
	return n
}

// dropNode drops the node that was silent for longest.
func (c *cursor) dropNode() {
	var oldest string
	var at time.Time
	for name, n := range c.nodes {
		if at.IsZero() || n.heard.Before(at) {
			oldest, at = name, n.heard
		}
	}
	delete(c.nodes, oldest)
}

// forget makes room in memory.
func (c *cursor) forget() {
	c.seen.halve()
	for _, n := range c.nodes {
		n.forgotten, n.known = n.known, n.last
	}
}
