package flows

import (
	"time"

	"github.com/netpold/netpold/engine"
)

// A Window is a range of time: from Since, up to but without Until. A zero time is no bound.
type Window struct{ Since, Until time.Time }

// Contains reports whether t is in w. A zero t, which nobody knows, is.
func (w Window) Contains(t time.Time) bool {
	return t.IsZero() || (w.Since.IsZero() || !t.Before(w.Since)) && (w.Until.IsZero() || t.Before(w.Until))
}

// NotAsked returns why a record is not asked; empty if it is. A record outside of the window is out of time,
// unless it is Malformed or no flow (F2).
func (w Window) NotAsked(r *Record) Why {
	if r.Why == Malformed || r.Why == NotAFlow || w.Contains(r.Time) {
		return r.Why
	}
	return OutOfTime
}

// An Answer is what the policies say of a record that was asked.
type Answer struct {
	// Reason is the rule that decided; [engine.Unknown] if the question has no answer.
	Reason engine.Reason
	// Src and Dst are what the ends turned out to be.
	Src, Dst Party
	// Policies are those that decided, each once.
	Policies []Policy
}

// A Party is what one end of a record turned out to be.
type Party struct {
	// Name is the party's name in pairs: a workload, or else a Pod, Node, Service or range of addresses.
	Name string
	// Namespace and Pod name the Pod that owns the address, or that was asked by its name. They are empty for
	// what is no Pod, and for what stands for several.
	Namespace, Pod string
	// Created is when that Pod was created; zero if it does not say.
	Created time.Time
	// NewestPolicy is when the newest policy was created that isolates the source for egress, or the
	// destination for ingress; zero if none does, or none says.
	NewestPolicy time.Time
}

// A Policy names a policy. Namespace is empty for a cluster-wide one.
type Policy struct{ Kind, Namespace, Name string }

// Comparison is what comes of holding a verdict against what the network did.
type Comparison uint8

// The results of a comparison (F4).
const (
	NotCompared Comparison = iota
	Agrees
	Disagrees
)

// String returns the result as output has it; empty for NotCompared.
func (c Comparison) String() string {
	switch c {
	case Agrees:
		return "AGREES"
	case Disagrees:
		return "DISAGREES"
	case NotCompared:
	}
	return ""
}

// A Judgement says whether a record agrees with the policies or, if Compared is NotCompared, why that cannot be
// told.
type Judgement struct {
	Compared Comparison
	Why      Why
}

// Judge holds a record that was asked against its answer (F3, F4).
func Judge(r *Record, a *Answer) Judgement {
	switch {
	case a.Reason == engine.Unknown:
		return Judgement{Why: Unresolved}
	case r.Observed == NotObserved:
		return Judgement{Why: NoVerdict}
	case r.Src.movedFrom(&a.Src) || r.Dst.movedFrom(&a.Dst):
		return Judgement{Why: Moved}
	case r.isBefore(a.Src.Created) || r.isBefore(a.Dst.Created):
		return Judgement{Why: PodYounger}
	case agrees(r, a.Reason):
		return Judgement{Compared: Agrees}
	case r.isBefore(a.Src.NewestPolicy) || r.isBefore(a.Dst.NewestPolicy):
		return Judgement{Why: PolicyYounger}
	}
	return Judgement{Compared: Disagrees}
}

// agrees reports whether the network did what the policies say (F4). At egress the network does not show what
// the destination's side did later.
func agrees(r *Record, reason engine.Reason) bool {
	allowed := r.Observed == ObservedAllowed
	if r.Direction == AtEgress {
		return allowed == (reason != engine.DeniedAtEgress)
	}
	return allowed == reason.Allowed()
}

// movedFrom reports whether the record names another Pod than the one that owns the address now. A record
// without a name, or without an address, says nothing of that.
func (e *End) movedFrom(p *Party) bool {
	return e.IP.IsValid() && e.Pod != "" &&
		(e.Pod != p.Pod || e.Namespace != p.Namespace && e.Namespace != "")
}

// isBefore reports whether the record happened before something was created. It reports false if either time is
// not known.
func (r *Record) isBefore(created time.Time) bool {
	return !r.Time.IsZero() && !created.IsZero() && r.Time.Before(created)
}
