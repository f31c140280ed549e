package manifests

import (
	"context"

	"github.com/netpold/netpold/mirror"
)

// OverlayFiles returns a change for each file under the paths of the options, to be read by [ReadOverlay]. Files
// that are found in a directory and hold no Kubernetes object are left out. The error is a [*PathError] or a
// [*ProblemsError].
func OverlayFiles(ctx context.Context, o Options) ([]mirror.OverlayChange, error) {
	l, err := list(o.Paths)
	if err != nil {
		return nil, err
	}
	if len(l.problems) > 0 {
		return nil, &ProblemsError{Problems: l.problems}
	}
	streams := newStreams(o.Stdin)
	var changes []mirror.OverlayChange
	for _, f := range l.files {
		data, err := streams.content(ctx, f)
		if err != nil {
			return nil, err
		}
		if data, err = unpacked(data); err == nil {
			data, err = utf8Of(data)
		}
		if err != nil {
			return nil, &PathError{f.path, err}
		}
		name := f.path
		if name == stdinPath {
			name = "stdin"
		}
		if f.relative != "" && holdsNothing(name, data) {
			continue
		}
		changes = append(changes, mirror.OverlayChange{Apply: string(data), File: name})
	}
	if len(changes) == 0 {
		return nil, &PathError{o.paths(), ErrNoObjects}
	}
	return changes, nil
}

// holdsNothing reports whether a file that was found in a directory holds no Kubernetes object, without any
// problem.
func holdsNothing(name string, data []byte) bool {
	r := newReading(Options{Namespace: "default"})
	r.file(name, data, true)
	return len(r.problems)+len(r.seen)+len(r.kustomizations) == 0
}
