package mirror

import (
	"context"
	"time"

	"github.com/netpold/netpold/engine"
)

// Source publishes the state of a cluster. Its methods are safe for concurrent use.
type Source interface {
	// State returns the present state; false before the first full sync (S26). Later states have a higher revision.
	State() (State, bool)
	// Ready returns a channel that is closed at the first full sync, when State returns a state for the first time.
	Ready() <-chan struct{}
	// Wait blocks until the state is not older than the one that token names, and returns it. An empty token is reached by
	// the first state. The error is [ErrTokenMalformed], [ErrTokenUnknown] or, if ctx ends first, ctx's error. A source
	// that knows which resources were too old then wraps ctx's error in a [LagError].
	Wait(ctx context.Context, token string) (State, error)
	// Stale reports whether the state may be older than the limit that was set. The channel is closed when that changes; it
	// is nil if it never does.
	Stale() (stale bool, changed <-chan struct{})
	// Status returns what GetStatus and the metrics show. It must not block: it is called at each scrape, and for each
	// question that is refused because the state is stale.
	Status() Status
}

// State is one state of the cluster: what answers are computed from (S25).
type State struct {
	Snapshot *engine.Snapshot
	// Token names the state across replicas, for at_least. Opaque.
	Token string
	// Published is when Snapshot became the present one.
	Published time.Time
}

// Status is how a source is doing.
type Status struct {
	// Source says where the state comes from. Example: "manifests examples/shop".
	Source string
	// Ready is set once the first full sync is published (S26).
	Ready bool
	// Resources are in a fixed order.
	Resources []Resource
	// Problems are what is wrong at present, in the objects or with reading them (S23).
	Problems []Problem
	// IgnoredKinds counts the objects that play no part in decisions, by kind.
	IgnoredKinds map[string]int
	// Unmodelled are the kinds that decide traffic and that netpold does not model, in order of group and kind.
	Unmodelled []UnmodelledKind
	// LeftOut are the files below the manifests' paths that were not read, in order of reason.
	LeftOut []LeftOutFiles
	// OnlyNamespace is the one namespace that is mirrored; empty when all are.
	OnlyNamespace string
}

// Resource is the status of one mirrored resource.
type Resource struct {
	// Name is plural and in lower case. Example: "networkpolicies".
	Name string
	// Synced is set once the first list is complete and applied.
	Synced bool
	// Objects is how many objects are mirrored.
	Objects int
	// Age is the time since the last proof that the mirror is current.
	Age time.Duration
	// Stale means that Age is past the limit. For files it is information only: answers depend on [Source.Stale].
	Stale bool
	// Error is the last error and its remedy; empty if there is none.
	Error string
	// Unauthorized means that the API server refuses the caller's credentials (401) or rights (403).
	Unauthorized bool
	// Forbidden means that it refuses the rights (403).
	Forbidden bool
}
