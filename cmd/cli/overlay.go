package cli

import (
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/manifests"
)

// overlayReader returns what reads overlays in this process.
func (inv *invocation) overlayReader() mirror.OverlayReader {
	options := inv.manifestOptions()
	options.Paths = nil
	return func(base *engine.Snapshot, o *mirror.Overlay) ([]engine.Change, []mirror.Problem, error) {
		return manifests.ReadOverlay(base, o, options)
	}
}
