package manifests

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Run watches the files until the context ends, and publishes their edits. What the system does not tell of, as with mounted
// volumes, is found by comparing the files from time to time.
func (s *Source) Run(ctx context.Context) error {
	if len(s.watched) == 0 {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-s.reload:
				s.log.Info("manifests are not read again: they came from a stream, which can be read once")
			}
		}
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn("the system does not tell of changed files; they are compared instead", "every", s.options.Check, "error", err)
		w := &watch{source: s}
		return w.loop(ctx, nil, nil)
	}
	defer func() {
		if err := notify.Close(); err != nil {
			s.log.Warn("ending the watch of files", "error", err)
		}
	}()
	w := &watch{source: s, notify: notify}
	w.follow()
	return w.loop(ctx, notify.Events, notify.Errors)
}

// Reload has the files read again soon, whether or not they seem to have changed. It does not block. It is safe for
// concurrent use.
func (s *Source) Reload() {
	select {
	case s.reload <- struct{}{}:
	default:
	}
}

// watch is one run over the files.
type watch struct {
	source *Source
	// notify has the system's events; nil if it gives none.
	notify *fsnotify.Watcher
	// dirs are the directories in which every change counts, names are paths that count wherever they are.
	dirs, names map[string]bool
}

// loop waits for changes, for rest after them, and compares. The first comparison is at once: files may have changed since
// they were loaded.
func (w *watch) loop(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error) error {
	quiet, check := w.source.options.Quiet, w.source.options.Check
	ticker := time.NewTicker(check)
	defer ticker.Stop()
	rest := time.NewTimer(0)
	defer rest.Stop()
	var first time.Time // of the events that were heard and not looked at
	hear := func() {
		now := time.Now()
		if first.IsZero() {
			first = now
		}
		rest.Reset(max(0, min(quiet, first.Add(10*quiet).Sub(now))))
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			if e.Op != fsnotify.Chmod && w.concerns(e.Name) {
				hear()
			}
		case err := <-errs:
			w.source.log.Warn("watching files", "error", err)
			hear() // events may be lost
		case <-rest.C:
			first = time.Time{}
			if errors.Is(w.compare(ctx), errMoving) {
				hear()
			}
		case <-w.source.reload:
			w.source.tried = sum{} // so that all files are read
			if err := w.compare(ctx); errors.Is(err, errMoving) {
				hear()
			} else if err != nil {
				w.source.log.Error("manifests were read again and are rejected still", "error", err)
			}
		case <-ticker.C:
			if errors.Is(w.compare(ctx), errMoving) {
				hear()
			}
		}
	}
}

// concerns reports whether a changed path may change what is read. Mounted volumes are changed by links that begin with "..".
func (w *watch) concerns(path string) bool {
	return w.dirs[filepath.Dir(path)] || w.names[path] || strings.HasPrefix(filepath.Base(path), "..")
}

// compare loads the files if they are not those that were tried last. Watches are set before the files are read, so that a
// change is seen by the one or causes an event of the other.
func (w *watch) compare(ctx context.Context) error {
	w.follow()
	s := w.source
	if now, err := fingerprint(s.options.Paths, s.streams); err == nil && now == s.tried {
		s.mu.Lock()
		s.verified = time.Now()
		s.mu.Unlock()
		return nil
	}
	return s.load(ctx)
}

// follow sets watches anew: a directory that was replaced has its old name and another life.
func (w *watch) follow() {
	if w.notify == nil {
		return
	}
	w.dirs, w.names = map[string]bool{}, map[string]bool{}
	parents := map[string]bool{}
	for _, path := range w.source.watched {
		w.names[path] = true
		parents[filepath.Dir(path)] = true
		if l, err := list([]string{path}); err == nil {
			for _, d := range l.dirs {
				w.dirs[d] = true
			}
		}
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			w.names[resolved] = true
			parents[filepath.Dir(resolved)] = true
		}
	}
	for _, d := range w.notify.WatchList() {
		if err := w.notify.Remove(d); err != nil && !errors.Is(err, fsnotify.ErrNonExistentWatch) {
			w.source.log.Debug("ending the watch of a directory", "directory", d, "error", err)
		}
	}
	for _, set := range []map[string]bool{w.dirs, parents} {
		for d := range set {
			if err := w.notify.Add(d); err != nil {
				w.source.log.Debug("a directory is compared, and not watched", "directory", d, "every", w.source.options.Check, "error", err)
			}
		}
	}
}
