package server

import (
	"context"
	"errors"
	"time"

	"github.com/netpold/netpold/engine"
)

// Source is where the cluster's state comes from. Its methods are called from many goroutines at once.
type Source interface {
	// State is the present state; false before the first full sync (S26). Later states have a higher revision.
	State() (State, bool)
	// Ready is closed at the first full sync, when State has a state for the first time.
	Ready() <-chan struct{}
	// Wait returns the first state that is not older than token, the present one where that will do.
	// Its error is [ErrTokenMalformed], [ErrTokenUnknown] or, only when it would have had to wait longer, ctx's error. That may
	// be wrapped in one with a method Lagging() []string, which names the resources that are older than token.
	Wait(ctx context.Context, token string) (State, error)
	// Stale tells whether the state may be older than the limit that was set, and gives a channel that is closed when that
	// changes; nil where it never does.
	Stale() (stale bool, changed <-chan struct{})
	// Status is what GetStatus and the metrics show. It is called at each scrape, and for each question that is refused because
	// the state is stale; it must not block.
	Status() Status
}

// The errors of [Source.Wait].
var (
	// ErrTokenMalformed says that a token is none that netpold gave.
	ErrTokenMalformed = errors.New("not a token of netpold")
	// ErrTokenUnknown says that a token is well formed but of another source, so that waiting for it would never end.
	ErrTokenUnknown = errors.New("token of another source")
)

// State is one state of the cluster.
type State struct {
	Snapshot *engine.Snapshot
	// Token names the state across replicas, for at_least. Opaque.
	Token string
	// Published is when Snapshot became the present one.
	Published time.Time
}

// Status is how the source is doing.
type Status struct {
	// Source says where the state comes from. Example: "manifests examples/shop".
	Source string
	// Ready says that the first full sync is complete.
	Ready bool
	// Resources are in a fixed order.
	Resources []Resource
	// Problems are what is wrong in the cluster's objects or with reading them (S23).
	Problems []Problem
	// IgnoredKinds counts the objects of kinds that play no part.
	IgnoredKinds map[string]int
}

// Resource is the mirror of one resource.
type Resource struct {
	// Name is plural and in lower case. Example: "networkpolicies".
	Name string
	// Synced says that the first list is complete and applied.
	Synced bool
	// Objects is how many are mirrored.
	Objects int
	// Age is the time since the last proof that the mirror is current.
	Age time.Duration
	// Stale says that Age is past the limit. That of files is shown, and no more: only [Source.Stale] changes what is answered.
	Stale bool
	// Error is the last error and its remedy; empty for none.
	Error string
}

// Problem is one thing wrong in the cluster's objects, or with reading them (S23). Fields that do not apply are empty.
type Problem struct {
	// File, and the Document's place in it, from 1.
	File     string
	Document int
	// Kind, Namespace and Name are the object's, and Field is the path in it.
	Kind, Namespace, Name, Field string
	// Message says what is wrong, with the value and the remedy.
	Message string
	// Warning says that the object is read all the same.
	Warning bool
}
