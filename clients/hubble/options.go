package hubble

import (
	"crypto/tls"
	"time"
)

// Options say what to follow. Target is required.
type Options struct {
	// Target is Hubble Relay, or the agent of one node: HOST:PORT, or any target of gRPC. An agent on its own
	// node is "unix:///var/run/cilium/hubble.sock".
	Target string
	// TLS secures the connection; nil is plaintext.
	TLS *tls.Config
	// Since is from when flows are wanted, as far as Hubble still has them; zero is from now on.
	Since time.Time
	// Until is up to when they are wanted; zero is for as long as they are read. If it has passed, Next returns
	// [io.EOF] after what Hubble has. Otherwise it does so when Until has passed here.
	Until time.Time
	// Timeout is how long it may take to connect, and to answer when nothing comes. Default: 10 s.
	Timeout time.Duration
	// Event is told what happens to the connection and behind it, by Next and Open. It may be nil.
	Event func(Event)
	// timing is set by tests alone; the zero value is defaultTiming.
	timing timing
}

// timing is how long things take.
type timing struct {
	// answer is how long a server may take to connect, and to answer a probe.
	answer time.Duration
	// silence is how long nothing may come until the server is probed.
	silence time.Duration
	// firstPause and longestPause limit the pause before a new connection. A pause is random, between none and
	// a limit that doubles from the one to the other.
	firstPause, longestPause time.Duration
	// late is how long after Until flows may still come.
	late time.Duration
}

var defaultTiming = timing{
	answer: 10 * time.Second, silence: 30 * time.Second,
	firstPause: 100 * time.Millisecond, longestPause: 5 * time.Second, late: 5 * time.Second,
}
