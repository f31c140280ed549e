package manifests

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Run watches the files until the context ends, and publishes their edits. Some systems send no events, as
// for mounted volumes. So Run also compares the files every SourceOptions.Check.
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
		s.log.Warn("the system does not tell of changed files; they are compared instead", "every", s.options.Check,
			"error", err)
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

// Reload makes Run read the files again soon, whether or not they seem changed. It does not block. It is safe
// for concurrent use.
func (s *Source) Reload() {
	select {
	case s.reload <- struct{}{}:
	default:
	}
}

// A watch is one run of [Source.Run].
type watch struct {
	source *Source
	// notify has the events of the system; nil if it has none.
	notify *fsnotify.Watcher
	// dirs are the directories in which every change counts. names are paths that count in any directory.
	dirs, names map[string]bool
}

// loop waits for changes and a quiet time after them, and compares the files. It first compares at once,
// because files may have changed since they were loaded.
func (w *watch) loop(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error) error {
	quiet, check := w.source.options.Quiet, w.source.options.Check
	ticker := time.NewTicker(check)
	defer ticker.Stop()
	rest := time.NewTimer(0)
	defer rest.Stop()
	settle := time.NewTimer(check)
	defer settle.Stop()
	var first time.Time // time of the first event that is not handled yet
	postpone := func() {
		now := time.Now()
		if first.IsZero() {
			first = now
		}
		rest.Reset(max(0, min(quiet, first.Add(10*quiet).Sub(now))))
	}
	compare := func() error {
		err := w.compare(ctx)
		if errors.Is(err, errMoving) {
			postpone()
			return nil
		}
		if left := w.source.settles(); left > 0 {
			settle.Reset(left)
		}
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			if e.Op != fsnotify.Chmod && w.concerns(e.Name) {
				postpone()
			}
		case err := <-errs:
			w.source.log.Warn("watching files", "error", err)
			postpone() // some events may be lost
		case <-rest.C:
			first = time.Time{}
			_ = compare() // the log has why an edit is rejected
		case <-w.source.reload:
			w.source.tried = sum{} // makes compare read all files
			if err := compare(); err != nil {
				w.source.log.Error("manifests read again; still rejected", "error", err)
			}
		case <-ticker.C:
			_ = compare() // the log has why an edit is rejected
		case <-settle.C:
			_ = compare() // the log has why an edit is rejected
		}
	}
}

// concerns reports whether a changed path may affect what is read. In mounted volumes links that begin with
// ".." are changed.
func (w *watch) concerns(path string) bool {
	return w.dirs[filepath.Dir(path)] || w.names[path] || strings.HasPrefix(filepath.Base(path), "..")
}

// compare loads the files if they differ from those that were tried last. It sets watches before it reads, so
// that every change is either read or causes an event.
func (w *watch) compare(ctx context.Context) error {
	w.follow()
	s := w.source
	if now, err := fingerprint(s.options.Paths, s.streams); err == nil && now == s.tried && !s.hasSettled() {
		s.mu.Lock()
		s.verified = time.Now()
		s.mu.Unlock()
		return nil
	}
	return s.load(ctx)
}

// follow sets all watches again: a directory may have been replaced by another of the same name.
func (w *watch) follow() {
	if w.notify == nil {
		return
	}
	w.dirs, w.names = map[string]bool{}, map[string]bool{}
	parents := map[string]bool{}
	for _, path := range w.source.watched {
		w.names[path] = true
		parents[filepath.Dir(path)] = true
		if l, err := list([]string{path}, w.source.streams); err == nil {
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
				w.source.log.Debug("a directory is compared, and not watched", "directory", d, "every",
					w.source.options.Check, "error", err)
			}
		}
	}
}
