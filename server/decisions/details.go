package decisions

import (
	"context"
	"sync/atomic"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/wire"
)

// maxAdvised is how many errors of a batch get advice. Advice takes up to some milliseconds each. A batch
// with more errors has another problem than a name.
const maxAdvised = 32

// A detailer adds details for people to the answers of one call. It reads the status when first needed.
type detailer struct {
	service *Service
	state   *current.State
	status  *mirror.Status
	advised int
}

// advise returns the engine's error with advice, for the first maxAdvised errors of a call. req is nil for a
// question by IP.
func (d *detailer) advise(query engine.Query, req *netpoldv1.AllowedRequest, err error) error {
	if d.advised >= maxAdvised {
		return err
	}
	d.advised++
	return wire.Advised(d.state.Snapshot, query, req, err)
}

// fill adds the details to the answer of a question, unless the caller has given up.
func (d *detailer) fill(ctx context.Context, r *netpoldv1.AllowedResponse, query engine.Query) {
	details, err := d.state.Snapshot.Details(ctx.Done(), query)
	if err != nil {
		return
	}
	if d.status == nil {
		status := d.service.status()
		d.status = &status
	}
	known := d.service.known.of(d.status, d.state.Snapshot)
	ofState := mirror.NotesAbout(d.status, d.state.Snapshot, known, details.Src.Namespace, details.Dst.Namespace)
	wire.FillDetails(r, &details, ofState)
}

// knownNotes remembers the notes of the last snapshot that details were asked of. It is safe for concurrent
// use.
type knownNotes struct {
	last atomic.Pointer[notesOfRevision]
}

type notesOfRevision struct {
	revision uint64
	notes    mirror.SnapshotNotes
}

func (k *knownNotes) of(status *mirror.Status, snapshot *engine.Snapshot) mirror.SnapshotNotes {
	if last := k.last.Load(); last != nil && last.revision == snapshot.Revision() {
		return last.notes
	}
	fresh := &notesOfRevision{snapshot.Revision(), mirror.NotesOf(status, snapshot)}
	k.last.Store(fresh)
	return fresh.notes
}
