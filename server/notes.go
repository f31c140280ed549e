package server

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/netpold/netpold/mirror"
)

// noteInterval is how often the notes of the state are compared with those already logged.
const noteInterval = time.Minute

// A noteLog logs the notes of the whole state: when a note begins to hold, when its message changes, and when
// it ends.
type noteLog struct {
	source mirror.Source
	log    *slog.Logger
	// logged holds the logged messages by code.
	logged map[string]string
}

// followNotes logs the notes of the state at the first full sync and whenever they change, until ctx ends.
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

// look logs what has changed since the last look. A panic ends only this look, as a panic in a call ends only
// that call.
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
