// Package details adds what people want to know beside a verdict to the answers of every door.
package details

import (
	"sync/atomic"
	"weak"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/wire"
)

// maxAdvised is how many errors of a batch get advice. Advice takes up to some milliseconds each. A batch
// with more errors has another problem than a name.
const maxAdvised = 32

// A Source remembers what details of all calls share. It is safe for concurrent use.
type Source struct {
	// status is the mirror's.
	status func() mirror.Status
	known  knownNotes
}

// NewSource returns a source of the details of the states of a mirror.
func NewSource(of mirror.Source) *Source { return &Source{status: of.Status} }

// Of returns a detailer for one call, which answers from state.
func (s *Source) Of(state *current.State) Detailer { return Detailer{source: s, state: state} }

// A Detailer adds details for people to the answers of one call. It reads the status when first needed. It is
// not safe for concurrent use.
type Detailer struct {
	source  *Source
	state   *current.State
	status  *mirror.Status
	advised int
}

// Advise returns the engine's error with advice, for the first maxAdvised errors of a call. req is nil for a
// question by IP.
func (d *Detailer) Advise(query engine.Query, req *netpoldv1.AllowedRequest, err error) error {
	if d.advised >= maxAdvised {
		return err
	}
	d.advised++
	return wire.Advised(d.state.Snapshot, query, req, err)
}

// Fill adds the details to the answer of a question, unless goOn ends it.
func (d *Detailer) Fill(goOn func() bool, r *netpoldv1.AllowedResponse, query engine.Query) {
	details, err := d.state.Snapshot.Details(goOn, query)
	if err != nil {
		return
	}
	if d.status == nil {
		status := d.source.status()
		d.status = &status
	}
	known := d.source.known.of(d.status, d.state.Snapshot)
	ofState := mirror.NotesAbout(d.status, d.state.Snapshot, known, details.Src.Namespace, details.Dst.Namespace)
	wire.FillDetails(r, &details, ofState)
}

// knownNotes remembers the notes of the last snapshot that details were asked of. It is safe for concurrent
// use, and keeps no snapshot alive.
type knownNotes struct {
	last atomic.Pointer[notesOfSnapshot]
}

// A notesOfSnapshot is the notes of one snapshot. Snapshots of one revision may differ: by changes that a
// request lays over one.
type notesOfSnapshot struct {
	snapshot weak.Pointer[engine.Snapshot]
	notes    mirror.SnapshotNotes
}

func (k *knownNotes) of(status *mirror.Status, snapshot *engine.Snapshot) mirror.SnapshotNotes {
	if last := k.last.Load(); last != nil && last.snapshot.Value() == snapshot {
		return last.notes
	}
	fresh := &notesOfSnapshot{weak.Make(snapshot), mirror.NotesOf(status, snapshot)}
	k.last.Store(fresh)
	return fresh.notes
}
