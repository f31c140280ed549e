package server

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/netpold/netpold/mirror"
)

// noteInterval is how often the notes of the state are compared with those that were logged.
const noteInterval = time.Minute

// noteLog logs the notes of the whole state: each when it begins to hold and when its message changes, and its end.
type noteLog struct {
	source mirror.Source
	log    *slog.Logger
	// logged has the messages by code.
	logged map[string]string
}

// followNotes logs the notes of the state at the first full sync and whenever they have changed, until ctx ends.
func (s *Server) followNotes(ctx context.Context) {
	select {
	case <-s.source.Ready():
	case <-ctx.Done():
		return
	}
	ticks := s.noteTicks
	if ticks == nil {
		ticker := time.NewTicker(noteInterval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	l := noteLog{source: s.source, log: s.log, logged: map[string]string{}}
	for {
		l.look()
		select {
		case <-ticks:
		case <-ctx.Done():
			return
		}
	}
}

// look logs what has changed since the last look. A panic ends the look alone, as one in a call ends that call alone.
func (l *noteLog) look() {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("a panic while looking at the notes of the state", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	state, ok := l.source.State()
	if !ok {
		return
	}
	status := l.source.Status()
	holds := map[string]string{}
	for _, note := range mirror.Notes(&status, state.Snapshot) {
		holds[note.Code] = note.Message
		if l.logged[note.Code] != note.Message {
			l.log.Warn("a note of the whole state", "message", note.Message, "note", note.Code)
		}
	}
	for code := range l.logged {
		if holds[code] == "" {
			l.log.Info("a note no longer holds", "note", code)
		}
	}
	l.logged = holds
}
