package decisions

import (
	"context"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/wire"
)

// detailer fills the details of the answers of one call. Its zero status is not read yet.
type detailer struct {
	service *Service
	state   *current.State
	status  *mirror.Status
}

// fill adds the details to the answer of a question. A question that the caller gave up meanwhile gets none.
func (d *detailer) fill(ctx context.Context, r *netpoldv1.AllowedResponse, query engine.Query) {
	details, err := d.state.Snapshot.Details(ctx.Done(), query)
	if err != nil {
		return
	}
	if d.status == nil {
		status := d.service.status()
		d.status = &status
	}
	wire.FillDetails(r, &details, mirror.NotesAbout(d.status, d.state.Snapshot, details.Src.Namespace, details.Dst.Namespace))
}
