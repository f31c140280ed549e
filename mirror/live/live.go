// Package live mirrors a running Kubernetes cluster. The mirror survives every failure of the API server.
//
//		API server ── list, watch ──> tracked ──> stream ──> reflector ──> store ─┐
//		              one of each resource: trims objects, records life           ├─> feed ──> Source ──> State
//		                                                                         ─┘  coalesced, one Apply a batch
//
//	  - tracked wraps the calls to the API server. No call waits for ever, and each failure is logged with its
//	    remedy.
//	  - stream wraps a watch. It trims objects as they are decoded, so that no full object is kept, and it ends
//	    watches that have gone silent.
//	  - client-go's Reflector decides when to list and when to watch.
//	  - store has a digest of each object that the engine knows. It turns a repeated list into the differences.
//	  - feed holds changes that are not applied yet, only the last one of each object. The Source applies all of
//	    them at once: immediately when idle, in larger batches under load. A full feed blocks the reflectors.
//
// Nothing is published before every resource has its first full list (S26). After that there is always a
// state.
package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// DefaultMaxStaleness is the time of three bookmarks: an API server sends one every minute.
const DefaultMaxStaleness = 3 * time.Minute

// Config says which cluster to mirror, and how.
type Config struct {
	// REST says how to reach the API server: see [Connect]. It is not modified. The content type is always
	// Protobuf.
	REST *rest.Config
	// ListerWatchers and Discovery replace REST. ListerWatchers returns the lister and watcher of a resource in
	// an API version, such as "pods" in "v1". Discovery returns a path of the discovery API, such as /apis, as
	// JSON.
	ListerWatchers func(resource, version string) (cache.ListerWatcher, error)
	Discovery      func(ctx context.Context, path string) ([]byte, error)
	// IgnoreTiers leaves out the cluster-wide policies (S31).
	IgnoreTiers bool
	// Namespace is the one namespace to mirror, if the rights reach no further; empty for all. Then answers
	// ignore policies, Pods and Services elsewhere, and [mirror.Status.OnlyNamespace] says so.
	Namespace string
	// Name is the name of the cluster in [Source.Status]; if empty, the API server's address.
	Name string
	// MaxStaleness is the age at which a resource is stale, counted from the last proof that the mirror is
	// current; 0 means never.
	MaxStaleness time.Duration
	// Engine holds the options of the engine's cluster, which the source owns.
	Engine engine.Options
	// Meaning is what those options follow, for [Source.Status].
	Meaning mirror.Meaning
	// Logger gets syncs, failures and problems in objects; nil for no log.
	Logger *slog.Logger
}

// Source implements [mirror.Source] for a running cluster. [Source.Run] may be called once. The other methods
// are safe for concurrent use.
type Source struct {
	name         string
	namespace    string // empty for all
	meaning      mirror.Meaning
	maxStaleness time.Duration
	log          *slog.Logger
	resources    []*resource
	made         time.Time
	client       *client // nil if Config.ListerWatchers is used
	discovery    discoverer
	wantsLook    chan struct{}     // somebody waits for discovery
	seeker       *unmodelledSeeker // nil without a client
	unmodelled   atomic.Pointer[[]mirror.UnmodelledKind]
	sought       chan struct{} // closed after the first look for unmodelled kinds
	feed         *feed
	cluster      *engine.Cluster // of the goroutine that applies

	running atomic.Bool
	present atomic.Pointer[published]
	ready   chan struct{}

	lifeSign  chan struct{} // a proof of life while stale
	staleHint atomic.Bool   // signs of life are wanted: stale holds, or is being looked at
	mu        sync.Mutex
	// Guarded by mu:
	stale        bool
	staleChanged chan struct{}
}

// A published is a state and how far it reaches.
type published struct {
	mirror.State
	// reached are the resource versions up to which the state is complete. Those of the token are where it
	// last changed.
	reached positions
	// next is closed when another state is published.
	next chan struct{}
}

// New returns a source that has not called the API server yet.
func New(c Config) (*Source, error) {
	if c.MaxStaleness < 0 {
		return nil, fmt.Errorf("mirror of a cluster: max staleness %v must not be negative; 0 means never",
			c.MaxStaleness)
	}
	if (c.REST == nil) == (c.ListerWatchers == nil) || (c.ListerWatchers == nil) != (c.Discovery == nil) {
		return nil, errors.New("mirror of a cluster: give either how to reach the API server, or listers and " +
			"watchers with discovery")
	}
	kinds := convert.Kinds()
	if c.IgnoreTiers {
		kinds = convert.RequiredKinds()
	}
	s := &Source{
		name: c.Name, namespace: c.Namespace, meaning: c.Meaning, made: time.Now(), maxStaleness: c.MaxStaleness, log: c.Logger,
		feed: newFeed(len(kinds)), cluster: engine.NewCluster(c.Engine), discovery: c.Discovery,
		ready: make(chan struct{}), sought: make(chan struct{}), lifeSign: make(chan struct{}, 1),
		wantsLook: make(chan struct{}, 1), staleChanged: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var secret secret
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, fmt.Errorf("mirror of a cluster: random secret of this process: %w", err)
	}
	of := func(k *convert.Kind, v *convert.Version) (cache.ListerWatcher, error) {
		return c.ListerWatchers(k.Resource, v.Version)
	}
	if c.REST != nil {
		var err error
		if s.client, err = newClient(c.REST); err != nil {
			return nil, fmt.Errorf("mirror of the cluster at %s: %w", c.REST.Host, err)
		}
		if s.seeker, err = newUnmodelledSeeker(s.client, c.Namespace); err != nil {
			return nil, fmt.Errorf("mirror of the cluster at %s: %w", c.REST.Host, err)
		}
		s.discovery = s.client.discover
		of = func(k *convert.Kind, v *convert.Version) (cache.ListerWatcher, error) {
			return s.client.listerWatcher(k, v, c.Namespace), nil
		}
		if s.name == "" {
			s.name = c.REST.Host
		}
	}
	for i := range kinds {
		k := &kinds[i]
		r, err := s.newResource(resourceIndex(i), k,
			func(v *convert.Version) (cache.ListerWatcher, error) { return of(k, v) }, secret)
		if err != nil {
			return nil, fmt.Errorf("mirror of the cluster: %w", err)
		}
		s.resources = append(s.resources, r)
	}
	s.present.Store(&published{next: make(chan struct{})})
	s.unmodelled.Store(new([]mirror.UnmodelledKind))
	return s, nil
}
