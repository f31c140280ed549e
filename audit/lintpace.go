package audit

import "github.com/netpold/netpold/engine"

// LintProgress is how far a lint is: its longest part goes through the policies.
type LintProgress struct {
	// PoliciesDone are done of PoliciesTotal, which is 0 before that part.
	PoliciesDone, PoliciesTotal int
}

// A lintPace lets a lint pause, and end before it is done.
type lintPace struct {
	done     <-chan struct{}
	pause    func(LintProgress)
	progress LintProgress
	steps    int
	// abandoned reports whether done was seen to be closed.
	abandoned bool
}

// stepsBetweenPauses is how many pieces of work, of some microseconds each, are done between two pauses.
const stepsBetweenPauses = 256

// errAbandoned is returned once done is closed.
var errAbandoned = &engine.QueryError{
	Code: engine.Abandoned, Subject: "lint", Detail: "was given up: the caller did not wait",
}

// step counts one piece of work, now and then pauses, and reports whether the lint is abandoned.
func (p *lintPace) step() bool {
	if p.steps++; p.steps%stepsBetweenPauses != 0 {
		return p.abandoned
	}
	if p.pause != nil {
		p.pause(p.progress)
	}
	return p.isAbandoned()
}

// isAbandoned reports whether done is closed.
func (p *lintPace) isAbandoned() bool {
	select {
	case <-p.done:
		p.abandoned = true
	default:
	}
	return p.abandoned
}
