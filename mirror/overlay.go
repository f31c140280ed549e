package mirror

import (
	"fmt"
	"strings"

	"github.com/netpold/netpold/engine"
)

// An Overlay is a list of changes that one request lays over a snapshot (A4).
type Overlay struct {
	// Changes are made in order, as one batch.
	Changes []OverlayChange
	// Prune also deletes the NetworkPolicies that Changes do not apply, in the namespaces of the objects that
	// they apply. Objects that play no part count too, as with kubectl.
	Prune bool
}

// An OverlayChange is one change. Exactly one of Apply, Delete and Labels is set.
type OverlayChange struct {
	// Apply is documents of YAML or JSON, as in the files of manifests.
	Apply string
	// File is where Apply was read; empty for none.
	File   string
	Delete *OverlayTarget
	Labels *LabelChange
}

// IsApply reports whether the change applies documents.
func (c *OverlayChange) IsApply() bool { return c.Delete == nil && c.Labels == nil }

// An OverlayTarget names an object, or a workload, which is all of its Pods.
type OverlayTarget struct {
	// Kind is as manifests write it. Namespace is empty for a kind without namespaces.
	Kind, Namespace, Name string
}

// A LabelChange changes labels of a Pod, of a Namespace, or of all Pods of a workload.
type LabelChange struct {
	OverlayTarget
	Set    map[string]string
	Remove []string
}

// An OverlayReader returns the changes that an overlay makes to a snapshot, for [engine.Snapshot.With], and the
// warnings about its documents. It modifies nothing. The error is an [*OverlayError], which lists all that is
// wrong, or an [*OverlayTooLargeError]. It is safe for concurrent use.
type OverlayReader func(base *engine.Snapshot, o *Overlay) ([]engine.Change, []OverlayProblem, error)

// MaxOverlayObjects is the number of objects that an overlay may change (A8). The Pods of a workload that is
// there count as one, those of a template each.
const MaxOverlayObjects = 10_000

// An OverlayError says what is wrong in an overlay. Nothing of such an overlay is used.
type OverlayError struct{ Problems []OverlayProblem }

// Error returns every problem, one a line.
func (e *OverlayError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// An OverlayProblem is one thing that is wrong in an overlay, or a warning.
type OverlayProblem struct {
	Problem
	// Path is the field of the overlay. Examples: "changes", "changes[1].apply".
	Path string
	// Missing means that the overlay names what is not there.
	Missing bool
}

// An OverlayTooLargeError means that an overlay changes more than [MaxOverlayObjects].
type OverlayTooLargeError struct{ Actual int }

// Error says how many objects there are, and how many there may be.
func (e *OverlayTooLargeError) Error() string {
	return fmt.Sprintf("the overlay has more than %d objects: at least %d: leave out what does not change, or make "+
		"several requests of it", MaxOverlayObjects, e.Actual)
}
