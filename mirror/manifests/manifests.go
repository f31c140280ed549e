// Package manifests reads a cluster from files of YAML and JSON, and watches them.
//
//	files -> documents -> items -> Kubernetes objects -> [convert] -> engine objects
//	                                 workload templates -> their Pods   -^
//	                                 Services           -> their slices -^
//
// [Read] reads once. [Source] reads, watches, and publishes each state that has no problems. Everything wrong in every file
// is reported; nothing is used of a state with problems.
package manifests

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// Options say what to read.
type Options struct {
	// Paths are read as one. Each is a file, a directory that is read recursively (*.yaml, *.yml and *.json, without hidden
	// ones), or "-" for Stdin. A file that several of them lead to is read once.
	Paths []string
	// Stdin is read for the path "-".
	Stdin io.Reader
	// Namespace is given to objects that have none; empty means "default".
	Namespace string
}

// paths names all paths, for messages.
func (o *Options) paths() string { return strings.Join(o.Paths, ", ") }

// A PathError is a path that cannot be read, or in which nothing is.
type PathError struct {
	// Path is the path, or all of them with commas between.
	Path string
	// Err says what is wrong, and what to do.
	Err error
}

// Error returns the path and what is wrong with it.
func (e *PathError) Error() string { return fmt.Sprintf("manifests %q: %v", e.Path, e.Err) }

// Unwrap returns Err.
func (e *PathError) Unwrap() error { return e.Err }

// Result is a cluster as the files describe it.
type Result struct {
	// Objects are the caller's to give to [engine.Cluster.Apply]. There are none when a problem is more than a warning.
	Objects []engine.Object
	Report  Report
}

// Report is what was found in the files beside the objects.
type Report struct {
	// Problems are all that is wrong, warnings too, in the order of files and documents.
	Problems []mirror.Problem
	// Ignored counts the objects that play no part, by kind.
	Ignored map[string]int
	// Unmodelled are the kinds that decide traffic in a cluster and play no part here.
	Unmodelled []mirror.UnmodelledKind
	// LeftOut are the files below the paths that were not read.
	LeftOut []mirror.LeftOutFiles
	// Counts are the objects by resource: pods, namespaces, networkpolicies, nodes, services, endpointslices.
	Counts map[string]int
	// Files are the files that were read.
	Files int
}

// ProblemsError says that the files have problems that are more than warnings.
type ProblemsError struct {
	Problems []mirror.Problem
}

// Error lists every problem, one a line.
func (e *ProblemsError) Error() string {
	var b strings.Builder
	if len(e.Problems) == 1 {
		b.WriteString("1 problem in the manifests:")
	} else {
		fmt.Fprintf(&b, "%d problems in the manifests:", len(e.Problems))
	}
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// ErrNoObjects says that there is nothing in the files that plays a part in decisions.
var ErrNoObjects = errors.New("no object that plays a part in decisions")

// Read reads the files once. The error is a [*ProblemsError], or a [*PathError], which may be of [ErrNoObjects]. The Result
// has the Report all the same.
func Read(ctx context.Context, o Options) (Result, error) {
	streams := newStreams(o.Stdin)
	streams.forget = true
	result, _, err := read(ctx, o, streams)
	return result, err
}

// content identifies the bytes that were read: their sum, and how many each file has.
type content struct {
	sum   sum
	sizes map[string]int
}

// read does the work of Read, and also returns what was read.
func read(ctx context.Context, o Options, streams *streams) (Result, content, error) {
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	r := newReading(o.Namespace)
	s, files, err := r.all(ctx, o, streams)
	if err != nil {
		return Result{}, content{}, err
	}
	c := content{s, r.sizes}
	objects := r.finish()
	slices.SortStableFunc(r.problems, func(a, b mirror.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Document, b.Document))
	})
	result := Result{Report: Report{
		Problems: r.problems, Ignored: r.ignored, Unmodelled: r.unmodelled.Kinds(), LeftOut: r.leftOutFiles(),
		Counts: counts(objects), Files: files,
	}}
	var fatal []mirror.Problem
	for _, p := range r.problems {
		if !p.Warning {
			fatal = append(fatal, p)
		}
	}
	if len(fatal) > 0 {
		return result, c, &ProblemsError{Problems: fatal}
	}
	if len(objects) == 0 {
		return result, c, &PathError{o.paths(), fmt.Errorf("%w; %s", ErrNoObjects, result.Report.emptiness())}
	}
	result.Objects = objects
	return result, c, nil
}

// emptiness returns what was found instead of an object.
func (r *Report) emptiness() string {
	switch {
	case r.Files == 0:
		return "there is no *.yaml, *.yml or *.json file in it"
	case len(r.Ignored)+len(r.Unmodelled) == 0:
		return "nothing but empty documents was read"
	}
	kinds := slices.Sorted(maps.Keys(r.Ignored))
	for i := range r.Unmodelled {
		kinds = append(kinds, r.Unmodelled[i].Kind+"."+r.Unmodelled[i].Group)
	}
	return "only these kinds were read: " + strings.Join(kinds, ", ")
}

// counts returns how many of the objects there are of each mirrored resource.
func counts(objects []engine.Object) map[string]int {
	n := make(map[string]int, convert.KindCount)
	for _, k := range convert.Kinds() {
		n[k.Resource] = 0
	}
	for _, o := range objects {
		if p, ok := o.(*engine.Pod); !ok || !isStandIn(p) {
			n[convert.KindOf(o).Resource]++
		}
	}
	return n
}
