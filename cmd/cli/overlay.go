package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/manifests"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
)

// withFlag is the name of the flag --with.
const withFlag = "with"

// addWith adds --with.
func addWith(cmd *cobra.Command, paths *[]string) {
	cmd.Flags().Var(config.NewPaths(paths), withFlag,
		"answer as if the manifests in `FILE` were applied, a file, a directory or -; nothing is changed; repeatable")
}

// An overlay is the changes that a command lays over the state (A4), and where each was given.
type overlay struct {
	*netpoldv1.Overlay
	// flag is the flag of the changes as a whole. Example: "--with".
	flag string
	// origins has the origin of each change, for errors: its file, or its flag and value.
	origins []string
}

// add adds a change. The origin is its file, or its flag and value, for errors.
func (o *overlay) add(change *netpoldv1.OverlayChange, origin string) {
	o.Changes, o.origins = append(o.Changes, change), append(o.origins, origin)
}

// readOverlay returns the overlay that applies the manifests under paths, nil for no path. flag is their flag,
// without dashes. It prints warnings about the files, and what in them plays no part. The error names every
// problem of every file.
func (inv *invocation) readOverlay(ctx context.Context, flag string, paths []string) (*overlay, error) {
	return inv.readToPrune(ctx, flag, paths, false)
}

// readToPrune does the work of readOverlay. With prune, files count by their namespaces that have nothing that
// plays a part.
func (inv *invocation) readToPrune(
	ctx context.Context, flag string, paths []string, prune bool,
) (*overlay, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	if slices.Contains(paths, "-") && slices.Contains(inv.config.State.Manifests, "-") {
		return nil, usageError(inv.running, "--manifests - and --%s - exclude each other: standard input can be read once",
			flag)
	}
	options := inv.manifestOptions()
	options.Paths = paths
	files, err := manifests.ReadOverlayFiles(ctx, options, prune)
	if err != nil {
		return nil, inv.filesError("--"+flag, paths, err)
	}
	inv.printProblems(files.Report.Problems)
	if len(files.Report.Ignored) > 0 {
		inv.notice("--%s: these kinds play no part: %s", flag, kindsText(files.Report.Ignored))
	}
	if text := mirror.FilesLeftOut(files.Report.LeftOut); text != "" {
		inv.notice("note: --%s: %s", flag, text)
	}
	o := &overlay{Overlay: &netpoldv1.Overlay{}, flag: "--" + flag}
	for _, c := range files.Changes {
		apply := &netpoldv1.OverlayChange_Apply{Apply: c.Apply} // without Secrets
		o.add(&netpoldv1.OverlayChange{Change: apply}, c.File)
	}
	if size := proto.Size(o.Overlay); size > audits.MaxOverlayBytes {
		return nil, fmt.Errorf("--%s %s: %d bytes are more than the %d that one request takes: leave out what does not "+
			"change", flag, strings.Join(paths, ", "), size, audits.MaxOverlayBytes)
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

// printHeader prints what a person has to know of the state that an audit rests on. o may be nil, and h too.
func (inv *invocation) printHeader(o *overlay, h *netpoldv1.AuditHeader) {
	inv.printWarnings(o, h.GetOverlayWarnings())
	if h.GetJoinedDirections() {
		inv.notice("warning: the rules of each direction are looked at alone here, and --joined-directions is set: " +
			"between Pods that one policy for both directions selects, netpold check may allow more")
	}
}

// printWarnings prints what may be a mistake in the changes. o may be nil.
func (inv *invocation) printWarnings(o *overlay, warnings []*netpoldv1.OverlayWarning) {
	if o == nil {
		return
	}
	for _, w := range warnings {
		inv.notice("%s", o.locate(w.GetField(), w.GetDescription()))
	}
}

// isRefused reports whether a call failed because of its overlay. o may be nil.
func (o *overlay) isRefused(err error) bool { return o != nil && len(overlayViolations(err)) > 0 }

// overlayViolations returns what is wrong with the overlay of a call.
func overlayViolations(err error) (list []*errdetails.BadRequest_FieldViolation) {
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.BadRequest:
			for _, v := range detail.GetFieldViolations() {
				if v.GetField() == "overlay" || strings.HasPrefix(v.GetField(), "overlay.") {
					list = append(list, v)
				}
			}
		case *errdetails.ErrorInfo:
			if detail.GetMetadata()["field"] == "overlay" && len(list) == 0 { // AUDIT_TOO_LARGE
				_, text, _ := strings.Cut(status.Convert(err).Message(), "overlay: ")
				list = append(list, &errdetails.BadRequest_FieldViolation{Field: "overlay", Description: text})
			}
		}
	}
	return list
}

// overlayError returns the error of a call with an overlay for people: every problem has a line, and names its
// file or flag in place of a field. o may be nil.
func (inv *invocation) overlayError(o *overlay, err error) error {
	if !o.isRefused(err) {
		return inv.callError(err)
	}
	var lines []string
	for _, v := range overlayViolations(err) {
		lines = append(lines, o.locate(v.GetField(), v.GetDescription()))
	}
	return &statusError{strings.Join(lines, "\n"), status.Convert(err)}
}

var (
	// changeField matches the change at the beginning of a field of an overlay.
	changeField = regexp.MustCompile(`^overlay\.changes\[(\d+)\]`)
	// changeNamed matches the name of an applied change within a text.
	changeNamed = regexp.MustCompile(`\bchanges\[(\d+)\]\.apply\b`)
	// documentFirst matches the document at the beginning of a description.
	documentFirst = regexp.MustCompile(`^document (\d+): `)
)

// locate returns what is said of a field of the overlay, with the file or flag in place of the field. Example:
//
//	shop.yaml, document 2: Deployment "shop/web": spec.replicas: ...
func (o *overlay) locate(field, description string) string {
	description = changeNamed.ReplaceAllStringFunc(description, func(named string) string {
		return o.originOf(changeNamed.FindStringSubmatch(named)[1], named)
	})
	origin := o.flag
	if match := changeField.FindStringSubmatch(field); match != nil {
		origin = o.originOf(match[1], field)
	}
	if match := documentFirst.FindStringSubmatch(description); match != nil {
		return origin + ", document " + match[1] + ": " + strings.TrimPrefix(description, match[0])
	}
	return origin + ": " + description
}

// originOf returns the origin of a change, or otherwise if there is none.
func (o *overlay) originOf(index, otherwise string) string {
	i, err := strconv.Atoi(index)
	if err != nil || i >= len(o.origins) {
		return otherwise
	}
	return o.origins[i]
}

// overlayReader returns what reads overlays in this process.
func (inv *invocation) overlayReader() mirror.OverlayReader {
	options := inv.manifestOptions()
	options.Paths = nil
	return func(base *engine.Snapshot, o *mirror.Overlay) ([]engine.Change, []mirror.OverlayProblem, error) {
		return manifests.ReadOverlay(base, o, options)
	}
}
