package mirror

import (
	"context"
	"time"

	"github.com/netpold/netpold/engine"
)

// A Source publishes the states of a cluster. Its methods are safe for concurrent use.
type Source interface {
	// State returns the present state. It returns false before the first full sync (S26). Later states have a
	// higher revision.
	State() (State, bool)
	// Ready returns a channel that is closed at the first full sync. From then on State returns a state.
	Ready() <-chan struct{}
	// Changed returns a channel that is closed when State will return another state; nil if it never will. Taken
	// before a call of State, it misses none.
	Changed() <-chan struct{}
	// Wait blocks until every resource has reached token, and returns that state. The first state reaches an
	// empty token. The error is [ErrTokenMalformed], [ErrTokenUnknown] or, if ctx ends first, ctx's error. A
	// source that knows which resources are too old wraps ctx's error in a [LagError].
	Wait(ctx context.Context, token string) (State, error)
	// Stale reports whether the state may be older than the configured limit. The channel is closed when that
	// changes; nil if it never does.
	Stale() (stale bool, changed <-chan struct{})
	// Status returns what GetStatus and the metrics show. It must not block: it is called for each scrape,
	// and for each question that is refused because the state is stale.
	Status() Status
}

// A Locator is a [Source] that knows where the policies of its present state were read.
type Locator interface {
	// Locate returns where a policy was read; the zero Location if that is not known. It is safe for concurrent
	// use.
	Locate(engine.ObjectKey) Location
}

// A Location is a document of a file. The zero Location is nowhere.
type Location struct {
	File string
	// Document is its number in File, from 1; Line is where it begins, from 1.
	Document, Line int
}

// A State is one state of the cluster. Each answer is computed from one State (S25).
type State struct {
	Snapshot *engine.Snapshot
	// Token names the state across replicas, for at_least. It is opaque.
	Token string
	// Published is the time at which Snapshot became the present one.
	Published time.Time
}

// A Status describes a source.
type Status struct {
	// Source says where the state comes from. Example: "manifests examples/shop".
	Source string
	// Ready is set once the first full sync is published (S26).
	Ready bool
	// Resources are in a fixed order.
	Resources []Resource
	// Problems are the present errors in objects, or in reading them (S23).
	Problems []Problem
	// IgnoredKinds counts the objects that decisions do not depend on, by kind.
	IgnoredKinds map[string]int
	// Unmodelled are the kinds that decide traffic and that netpold does not model, in order of group and kind.
	Unmodelled []UnmodelledKind
	// LeftOut are the files under the paths of manifests that were not read, in order of reason.
	LeftOut []LeftOutFiles
	// OnlyNamespace is the one mirrored namespace; empty if all are.
	OnlyNamespace string
	// Meaning is what decisions follow. Its zero value is the API's own meaning.
	Meaning Meaning
}

// The states of a resource that a cluster need not serve (S31).
const (
	// StateAbsent: no version of it is served, so that it has no objects. Of files: there is none in them.
	StateAbsent = "absent"
	// StateSynced: its first list is complete and applied.
	StateSynced = "synced"
	// StateUnsupported: it is served in no version that netpold reads, which is a failure.
	StateUnsupported = "unsupported"
)

// A Resource is the status of one mirrored resource.
type Resource struct {
	// Name is plural and in lower case. Example: "networkpolicies".
	Name string
	// Synced is set once the first list is complete and applied.
	Synced bool
	// Objects is the number of mirrored objects.
	Objects int
	// Age is the time since the last proof that the mirror is current.
	Age time.Duration
	// Stale means that Age exceeds the limit. For files it is information only: answers depend on
	// [Source.Stale].
	Stale bool
	// Error is the last error and its remedy; empty if there is none.
	Error string
	// Unauthorized means that the API server refuses the caller's credentials (401) or rights (403).
	Unauthorized bool
	// State is [StateAbsent], [StateSynced] or [StateUnsupported] for a resource that a cluster need not serve
	// (S31), once known.
	// It is empty for other resources.
	State string
	// Version is the API version that is read of such a resource. It is empty for files.
	Version string
	// Forbidden means that the server refuses the rights (403).
	Forbidden bool
	// ListForbidden means that it refuses the right to list.
	ListForbidden bool
}
