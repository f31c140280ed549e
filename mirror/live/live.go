// Package live mirrors a running Kubernetes cluster, and keeps it right through everything that an API server does.
//
//		API server ── list, watch ──> tracked ──> stream ──> reflector ──> store ─┐
//		              one of each resource: cuts objects down, notes life         ├─> feed ──> Source ──> State
//		                                                                         ─┘  coalesced  one Apply a batch
//
//	  - tracked wraps the calls to the API server: no call waits without end, each failure is told with its remedy.
//	  - stream wraps a watch: it turns objects into the engine's as they are decoded, so that no full object is kept, and ends
//	    watches that went silent.
//	  - client-go's Reflector decides when to list and when to watch.
//	  - store knows by a digest what the engine has of each object: a list that is read again becomes its differences.
//	  - feed holds what is not applied yet, the last change of each object. The Source takes all of it and applies it at once:
//	    without delay when idle, in larger batches under load. A full feed holds the reflectors back.
//
// Nothing is published before every resource has its first full list (S26). From then on there is always a state.
package live

import (
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

// DefaultMaxStaleness is three of the bookmarks that an API server sends every minute.
const DefaultMaxStaleness = 3 * time.Minute

// Config tells which cluster to mirror, and how.
type Config struct {
	// REST is how to reach the API server: see [Connect]. It is not changed. Protobuf is asked for, whatever it says.
	REST *rest.Config
	// ListerWatchers gives the lister and watcher of a resource, such as "pods", in place of REST.
	ListerWatchers func(resource string) (cache.ListerWatcher, error)
	// Namespace is the one namespace that is mirrored, for rights that reach no further; empty for all. Answers then know of
	// no policy, Pod or Service elsewhere, and [mirror.Status.OnlyNamespace] says so.
	Namespace string
	// Name is what [Source.Status] calls the cluster; the API server's address where it is empty.
	Name string
	// MaxStaleness is the age of a resource's last proof of life past which it is stale; 0 for never.
	MaxStaleness time.Duration
	// Engine are the options of the cluster that the source owns.
	Engine engine.Options
	// Logger hears of syncs, failures and wrong objects; nil for none.
	Logger *slog.Logger
}

// Source serves the state of a running cluster. [Source.Run] is for one goroutine, once; the other methods are for any.
type Source struct {
	name         string
	namespace    string // empty for all
	maxStaleness time.Duration
	log          *slog.Logger
	resources    []*resource
	made         time.Time
	client       *client           // nil where Config.ListerWatchers is used
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

// published is a state and how far it reaches.
type published struct {
	mirror.State
	// reached are the resource versions up to which the state is right; the token's are where it last changed.
	reached positions
	// next is closed when another one is published.
	next chan struct{}
}

// New returns a source that has read nothing yet.
func New(c Config) (*Source, error) {
	if c.MaxStaleness < 0 {
		return nil, fmt.Errorf("mirror of a cluster: max staleness %v must not be negative; 0 means never", c.MaxStaleness)
	}
	if (c.REST == nil) == (c.ListerWatchers == nil) {
		return nil, errors.New("mirror of a cluster: give either how to reach the API server, or listers and watchers")
	}
	s := &Source{
		name: c.Name, namespace: c.Namespace, made: time.Now(), maxStaleness: c.MaxStaleness, log: c.Logger, feed: newFeed(), cluster: engine.NewCluster(c.Engine),
		ready: make(chan struct{}), sought: make(chan struct{}), lifeSign: make(chan struct{}, 1), staleChanged: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var secret secret
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, fmt.Errorf("mirror of a cluster: random secret of this process: %w", err)
	}
	of := c.ListerWatchers
	if c.REST != nil {
		var err error
		if s.client, err = newClient(c.REST); err != nil {
			return nil, fmt.Errorf("mirror of the cluster at %s: %w", c.REST.Host, err)
		}
		if s.seeker, err = newUnmodelledSeeker(s.client, c.Namespace); err != nil {
			return nil, fmt.Errorf("mirror of the cluster at %s: %w", c.REST.Host, err)
		}
		of = func(resource string) (cache.ListerWatcher, error) {
			return s.client.listerWatcher(resource, c.Namespace)
		}
		if s.name == "" {
			s.name = c.REST.Host
		}
	}
	kinds := convert.Kinds()
	for i := range kinds {
		k := &kinds[i]
		lw, err := of(k.Resource)
		if err != nil {
			return nil, fmt.Errorf("mirror of the cluster: %s: %w", k.Resource, err)
		}
		s.resources = append(s.resources, s.newResource(resourceIndex(i), k, lw, secret))
	}
	s.present.Store(&published{next: make(chan struct{})})
	s.unmodelled.Store(new([]mirror.UnmodelledKind))
	return s, nil
}
