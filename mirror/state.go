package mirror

import (
	"errors"
	"time"

	"github.com/netpold/netpold/engine"
)

var (
	// ErrTokenMalformed says that a token was never given by any mirror.
	ErrTokenMalformed = errors.New("malformed token")
	// ErrTokenUnknown says that a token names a state that this mirror can not compare with its own.
	ErrTokenUnknown = errors.New("unknown token")
)

// State is what answers rest on (S25).
type State struct {
	Snapshot *engine.Snapshot
	// Token names the state across replicas; opaque.
	Token string
	// Published is when Snapshot became the present one.
	Published time.Time
}

// Status tells how a mirror does.
type Status struct {
	// Source is where the state comes from: "manifests examples/shop".
	Source string
	// Ready says that the first full read is published (S26).
	Ready bool
	// Resources are the mirrored resources, in a fixed order.
	Resources []Resource
	// Problems are what is wrong at present; empty when all is well.
	Problems []Problem
	// IgnoredKinds counts the objects that play no part, by kind.
	IgnoredKinds map[string]int
}

// Resource is the status of one mirrored resource.
type Resource struct {
	// Resource is plural and lower case: "networkpolicies".
	Resource string
	// Synced says that its first list is complete and applied.
	Synced bool
	// Objects are those that are mirrored.
	Objects int
	// Age is the time since the last proof that the mirror is current.
	Age time.Duration
	// Stale says that Age is past the limit.
	Stale bool
	// Error is the last error and its remedy; empty when there is none.
	Error string
}
