package manifests

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// SourceOptions say what to serve and how to watch it.
type SourceOptions struct {
	Options
	// Engine holds the options of the engine's cluster, which the source owns.
	Engine engine.Options
	// Meaning is what those options follow, for [Source.Status].
	Meaning mirror.Meaning
	// Logger gets states that are accepted or rejected; nil for no log.
	Logger *slog.Logger
	// Quiet is how long the files must be unchanged before they are read again; 0 means 100 ms. Files that
	// keep changing are read after ten times that.
	Quiet time.Duration
	// Check is the interval at which files are compared without an event; 0 means 30 s.
	Check time.Duration
	// Settle is how long a file must be unchanged that was written in place and lost policies, or everything, before
	// that is believed; 0 means that it is believed at once.
	Settle time.Duration
}

// Source implements [mirror.Source] for files. It publishes each edit without problems. Until then the last
// good state stays.
//
// [Source.Load] and [Source.Run] must be called by one goroutine, Load first. The other methods are safe for
// concurrent use.
type Source struct {
	options SourceOptions
	// watched are the absolute paths that can change.
	watched  []string
	streams  *streams
	instance [8]byte
	log      *slog.Logger

	// Used by the goroutine that loads:
	cluster *engine.Cluster
	objects map[engine.ObjectKey]engine.Object
	held    map[string]*held
	// waits are the files that must stand still first, by name.
	waits map[string]waiting
	// tried is the sum of what was read last, accepted or not.
	tried sum

	present atomic.Pointer[published]
	ready   chan struct{} // closed at the first publication
	reload  chan struct{} // has a buffer of one; a value asks to read the files again

	mu sync.Mutex
	// Guarded by mu:
	changed  chan struct{} // closed when present changes
	report   Report        // of the present state
	rejected []mirror.Problem
	failure  string
	verified time.Time // when the files were last known to be what is served, or rejected
}

// A published is a state with the token that names it.
type published struct {
	mirror.State
	token token
}

// NewSource returns a source that has read nothing yet. Standard input, and a path that is neither a file nor
// a directory, is read once and not watched. Its content is kept if other paths can change.
func NewSource(o SourceOptions) (*Source, error) {
	if len(o.Paths) == 0 || slices.Contains(o.Paths, "") {
		return nil, errors.New(`manifests: no path is given; name a file, a directory, or "-" for standard input`)
	}
	if o.Quiet < 0 || o.Check < 0 || o.Settle < 0 {
		return nil, fmt.Errorf("manifests %q: quiet %v, check %v and settle %v must not be negative", o.paths(), o.Quiet,
			o.Check, o.Settle)
	}
	if o.Quiet == 0 {
		o.Quiet = 100 * time.Millisecond
	}
	if o.Check == 0 {
		o.Check = 30 * time.Second
	}
	s := &Source{
		options: o, log: o.Logger, cluster: engine.NewCluster(o.Engine),
		changed: make(chan struct{}), ready: make(chan struct{}), reload: make(chan struct{}, 1),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if _, err := rand.Read(s.instance[:]); err != nil {
		return nil, fmt.Errorf("manifests %q: random name of this process: %w", o.paths(), err)
	}
	s.streams = newStreams(o.Options)
	for _, path := range o.Paths {
		if path == stdinPath {
			continue
		}
		if info, err := os.Stat(path); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
			continue
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, &PathError{Path: path, Err: err}
		}
		s.watched = append(s.watched, absolute)
	}
	s.streams.forget = len(s.watched) == 0
	return s, nil
}

// Load reads the files and publishes their state. If [Read] returns an error, Load returns it and publishes
// nothing.
func (s *Source) Load(ctx context.Context) error {
	for range 5 {
		if err := s.load(ctx); !errors.Is(err, errMoving) {
			return err
		}
	}
	return &PathError{Path: s.options.paths(), Err: errMoving}
}

// errMoving means that the files changed while they were read.
var errMoving = errors.New("the files are being changed; try again when that is over")

// load reads the files and publishes all of them or nothing.
func (s *Source) load(ctx context.Context) error {
	result, content, err := read(ctx, s.options.Options, s.streams)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(s.watched) > 0 {
		if now, ferr := fingerprint(s.options.Paths, s.streams); ferr == nil && content.held != nil &&
			now != content.sum {
			return errMoving
		}
	}
	s.tried = content.sum
	if err == nil {
		err = s.settled(result, content)
	}
	if err != nil {
		s.reject(result.Report, err)
		return err
	}
	s.publish(result, content)
	return nil
}

// reject keeps the last good state and logs why, once for the same problems.
func (s *Source) reject(report Report, err error) {
	problems, failure := report.Problems, ""
	if invalid, ok := errors.AsType[*ProblemsError](err); !ok {
		failure = err.Error()
		problems = []mirror.Problem{{File: s.options.paths(), Message: err.Error()}}
	} else if len(problems) == 0 {
		problems = invalid.Problems
	}
	s.mu.Lock()
	known := slices.Equal(s.rejected, problems)
	s.rejected, s.failure = problems, failure
	if failure == "" {
		s.verified = time.Now()
	}
	s.mu.Unlock()
	if known || s.present.Load() == nil { // the caller gets the error of the first read
		return
	}
	s.logProblems(slog.LevelError, "manifests rejected; still serving the last good state", problems)
}

// publish makes the objects of the files the present state.
func (s *Source) publish(result Result, c content) {
	changes, objects := changesTo(s.objects, result.Objects)
	s.objects, s.held, s.waits = objects, c.held, nil
	was := s.present.Load()
	next := &published{token: token{instance: s.instance, generation: 1, content: s.contentOf(c.sum)}}
	if was != nil {
		next.State, next.token.generation = was.State, was.token.generation+1
	}
	if was == nil || len(changes) > 0 {
		next.Snapshot, next.Published = s.cluster.Apply(changes...), time.Now()
	}
	next.Token = next.token.String()

	s.mu.Lock()
	warned := s.rejected == nil && slices.Equal(s.report.Problems, result.Report.Problems)
	s.report, s.rejected, s.failure, s.verified = result.Report, nil, "", time.Now()
	s.present.Store(next)
	if was == nil {
		close(s.ready)
	}
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()

	if !warned {
		s.logProblems(slog.LevelWarn, "manifests", result.Report.Problems)
	}
	if was != nil {
		mirror.LogPolicies(s.log, was.Snapshot, changes)
	}
	s.logRemovedPolicies(changes, result.Report.policies())
	s.log.Info("manifests taken", "path", s.options.paths(), "files", result.Report.Files, "changes",
		len(changes),
		"revision", next.Snapshot.Revision())
}

// contentOf returns a hash of what determines the state: the files and the options.
func (s *Source) contentOf(files sum) (short [16]byte) {
	h := sha256.New()
	h.Write(files[:])
	h.Write(fmt.Appendf(nil, "%q %t %+v", s.options.Namespace, s.options.IgnoreTiers, s.options.Engine))
	copy(short[:], h.Sum(nil))
	return short
}

// State implements [mirror.Source] (S26).
func (s *Source) State() (mirror.State, bool) {
	p := s.present.Load()
	if p == nil {
		return mirror.State{}, false
	}
	return p.State, true
}

// Changed implements [mirror.Source].
func (s *Source) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Ready implements [mirror.Source].
func (s *Source) Ready() <-chan struct{} { return s.ready }

// Stale implements [mirror.Source]. Files are never stale, because reading them again would not help.
// [Source.Status] has their problems.
func (s *Source) Stale() (stale bool, changed <-chan struct{}) { return false, nil }

// Wait implements [mirror.Source].
func (s *Source) Wait(ctx context.Context, wanted string) (mirror.State, error) {
	var want token
	if wanted != "" {
		var err error
		if want, err = parseToken(wanted); err != nil {
			return mirror.State{}, err
		}
	}
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if p := s.present.Load(); p != nil {
			if wanted != "" {
				if err := p.token.reaches(want); err != nil {
					return mirror.State{}, err
				}
			}
			return p.State, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return mirror.State{}, ctx.Err()
		}
	}
}

// Locate implements [mirror.Locator].
func (s *Source) Locate(key engine.ObjectKey) mirror.Location {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.report.Locations[key]
}

// Status implements [mirror.Source].
func (s *Source) Status() mirror.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := mirror.Status{
		Meaning:      s.options.Meaning,
		Source:       "manifests " + s.options.paths(),
		Ready:        s.present.Load() != nil,
		Problems:     slices.Clip(s.report.Problems),
		IgnoredKinds: maps.Clone(s.report.Ignored),
		Unmodelled:   slices.Clone(s.report.Unmodelled),
		LeftOut:      slices.Clone(s.report.LeftOut),
	}
	if s.rejected != nil {
		status.Problems = slices.Clip(s.rejected)
	}
	for _, k := range convert.Kinds() {
		if k.Optional && s.options.IgnoreTiers {
			continue
		}
		r := mirror.Resource{Name: k.Resource, Synced: status.Ready, Objects: s.report.Counts[k.Resource],
			Error: s.failure}
		if len(s.watched) > 0 && !s.verified.IsZero() {
			r.Age = time.Since(s.verified)
			r.Stale = r.Age > 3*s.options.Check
		}
		if k.Optional && status.Ready {
			r.State = mirror.StateSynced
			if r.Objects == 0 {
				r.State = mirror.StateAbsent
			}
		}
		status.Resources = append(status.Resources, r)
	}
	return status
}
