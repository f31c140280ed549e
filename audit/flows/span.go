package flows

import "time"

// A Span is when the first and the last of some records happened. Both are zero if none says. The zero Span is
// that of no records.
type Span struct{ First, Last time.Time }

// Add widens s to a time. A zero time is not known, and changes nothing.
func (s *Span) Add(t time.Time) { s.Join(Span{t, t}) }

// Join widens s to another span.
func (s *Span) Join(o Span) {
	if s.First.IsZero() || !o.First.IsZero() && o.First.Before(s.First) {
		s.First = o.First
	}
	if o.Last.After(s.Last) {
		s.Last = o.Last
	}
}
