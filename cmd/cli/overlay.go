package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/manifests"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// An overlay is the changes of the command line, and where each was read.
type overlay struct {
	*netpoldv1.Overlay
	// files has the file of each change; empty for changes that are flags.
	files []string
}

// addWith adds --with.
func addWith(cmd *cobra.Command, paths *[]string) {
	cmd.Flags().StringArrayVar(paths, "with", nil,
		"answer as if the manifests of `PATH`, a file or directory, were applied; nothing is changed. Repeatable")
}

// readOverlay returns the overlay that applies the manifests of the paths, nil for no path. flag is their flag,
// for errors. Kustomizations, charts and files of other tools are judged when the overlay is read.
func (inv *invocation) readOverlay(ctx context.Context, flag string, paths []string) (*overlay, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	if slices.Contains(paths, "") {
		return nil, fmt.Errorf("--%s: its value is empty: give a file or a directory, or leave the flag out", flag)
	}
	if slices.Contains(paths, "-") && slices.Contains(inv.config.State.Manifests, "-") {
		return nil, fmt.Errorf("--manifests - and --%s - exclude each other: standard input can be read once", flag)
	}
	options := inv.manifestOptions()
	options.Paths = paths
	changes, err := manifests.OverlayFiles(ctx, options)
	if err != nil {
		if wrong, ok := errors.AsType[*manifests.PathError](err); ok {
			return nil, fmt.Errorf("--%s %s: %w", flag, wrong.Path, wrong.Err)
		}
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	o := &overlay{Overlay: &netpoldv1.Overlay{}}
	for _, c := range changes {
		o.files = append(o.files, c.File)
		o.Changes = append(o.Changes, &netpoldv1.OverlayChange{Change: &netpoldv1.OverlayChange_Apply{Apply: c.Apply}})
	}
	return o, nil
}

// message returns the overlay as requests have it; nil for none. o may be nil.
func (o *overlay) message() *netpoldv1.Overlay {
	if o == nil {
		return nil
	}
	return o.Overlay
}

// overlayReader returns what reads overlays in this process.
func (inv *invocation) overlayReader() mirror.OverlayReader {
	options := inv.manifestOptions()
	options.Paths = nil
	return func(base *engine.Snapshot, o *mirror.Overlay) ([]engine.Change, []mirror.Problem, error) {
		return manifests.ReadOverlay(base, o, options)
	}
}

// overlayPlace matches the change that an error is about, and the document.
var overlayPlace = regexp.MustCompile(`overlay\.changes\[(\d+)\]\.apply: (document (\d+): )?`)

// inFiles returns the text of an error with the files in place of changes, one problem a line. o may be nil.
func (o *overlay) inFiles(text string) string {
	if o == nil || !overlayPlace.MatchString(text) {
		return text
	}
	text = strings.ReplaceAll(text, "; overlay.changes[", "\noverlay.changes[")
	return overlayPlace.ReplaceAllStringFunc(text, func(place string) string {
		match := overlayPlace.FindStringSubmatch(place)
		i, err := strconv.Atoi(match[1])
		if err != nil || i >= len(o.files) || o.files[i] == "" {
			return place
		}
		if match[3] != "" {
			return fmt.Sprintf("%s, document %s: ", o.files[i], match[3])
		}
		return o.files[i] + ": "
	})
}
