package manifests

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"unicode/utf8"

	"github.com/netpold/netpold/mirror"
)

// OverlayFiles are the changes that apply the files under some paths.
type OverlayFiles struct {
	// Changes apply one file each, in order, to be read by [ReadOverlay], without the content that it does not
	// read: see fileWithoutUnread. Files with nothing to apply are not among them. To prune, such a file counts by
	// its namespaces, without its content.
	Changes []mirror.OverlayChange
	// Report has warnings about the files, and what plays no part. ReadOverlay has those about documents.
	Report Report
}

// ReadOverlayFiles returns the changes that apply the files under the paths of the options, which are read as
// [Read] does. ReadOverlay, which knows no names of files, finds further problems only where documents do not
// fit the state below them. prune means that [mirror.Overlay.Prune] will be set. The error is a [*PathError] or a [*ProblemsError].
func ReadOverlayFiles(ctx context.Context, o Options, prune bool) (*OverlayFiles, error) {
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	o.IgnoreTiers = false // who lays the documents over a state decides
	streams := newStreams(o)
	l, err := list(o.Paths, streams)
	if err != nil {
		return nil, err
	}
	whole := newReading(o)
	whole.problems = l.problems
	maps.Copy(whole.leftOut, l.leftOut)
	var result OverlayFiles
	var documents []mirror.Problem
	read := map[string]bool{}
	left := streams.most
	for _, f := range l.files {
		read[filepath.Clean(f.path)] = true
		name := f.path
		if name == stdinPath {
			name = "stdin"
		}
		data, _, err := streams.content(ctx, f, left)
		switch {
		case err != nil && (f.relative == "" || ctx.Err() != nil):
			return nil, err
		case err != nil:
			whole.problems = append(whole.problems, unread(f.path, err))
			continue
		}
		text, err := overlayText(data, left)
		left -= int64(max(len(data), len(text)))
		if err != nil {
			whole.problem(location{file: name}, "", err.Error())
			continue
		}
		r := newReading(o)
		r.file(name, data, f.relative != "")
		documents = append(documents, r.problems...)
		whole.kustomizations = append(whole.kustomizations, r.kustomizations...)
		whole.join(r)
		unmodelled := len(r.unmodelled.Kinds())
		switch nothing := len(r.seen)+len(r.problems)+unmodelled == 0; {
		case nothing && prune:
			text = standInFor(r.beside)
		case nothing:
			text = ""
		case len(r.ignored)+unmodelled > 0: // reading it again costs as much as reading it
			text = fileWithoutUnread(text)
		}
		if text != "" {
			result.Changes = append(result.Changes, mirror.OverlayChange{Apply: text, File: name})
		}
	}
	whole.checkKustomizations(read)
	result.Report = Report{
		Problems: whole.problems, Ignored: whole.ignored, LeftOut: whole.leftOutFiles(), Files: len(l.files),
	}
	if fatal := fatalOf(append(documents, whole.problems...)); len(fatal) > 0 {
		sortProblems(fatal)
		return nil, &ProblemsError{Problems: fatal}
	}
	if len(result.Changes) == 0 {
		err := fmt.Errorf("%w; %s", ErrNoObjects, result.Report.emptiness())
		return nil, &PathError{Path: o.paths(), Err: err}
	}
	return &result, nil
}

// overlayText returns the content of a file as a change has it, which may have most bytes.
func overlayText(data []byte, most int64) (string, error) {
	data, err := unpacked(data, most)
	if err == nil {
		data, err = utf8Of(data)
	}
	if err == nil && !utf8.Valid(data) {
		err = errors.New("is not UTF-8: write it as UTF-8")
	}
	return string(data), err
}

// join adds what plays no part in another reading.
func (r *fileReader) join(other *fileReader) {
	for kind, n := range other.ignored {
		r.countIgnored(kind, n)
	}
	for reason, files := range other.leftOut {
		r.leftOut[reason] = append(r.leftOut[reason], files...)
	}
}
