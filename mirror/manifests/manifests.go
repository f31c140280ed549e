// Package manifests reads a cluster from files of YAML and JSON, and watches them.
//
//	files -> documents -> items -> Kubernetes objects -> [convert] -> engine objects
//	                                 workload templates -> their Pods   -^
//	                                 Services           -> their slices -^
//
// [Read] reads once. [Source] reads, watches, and publishes each state without problems. Every problem in
// every file is reported. A state with problems is not used at all.
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
	// Paths are read as one. Each is a file, a directory, or "-" for Stdin. In a directory *.yaml, *.yml and
	// *.json are read recursively, without hidden ones. A file under several paths is read once.
	Paths []string
	// Stdin is read for the path "-".
	Stdin io.Reader
	// Namespace is the namespace of objects that name none; empty means "default".
	Namespace string
	// IgnoreTiers leaves the cluster-wide policies out, as kinds that play no part (S31): for a cluster whose
	// network plugin does not know them.
	IgnoreTiers bool
	// MaxBytes is how many bytes all files together may have, and unpacked too; 0 means [DefaultMaxBytes].
	MaxBytes int64
}

// DefaultMaxBytes is how many bytes of files are read unless [Options] say otherwise. A cluster of 50,000 Pods has
// about as many.
const DefaultMaxBytes = 256 << 20

// most returns how many bytes of files may be read.
func (o *Options) most() int64 { return cmp.Or(o.MaxBytes, DefaultMaxBytes) }

// paths returns all paths, for messages.
func (o *Options) paths() string { return strings.Join(o.Paths, ", ") }

// A PathError is the error of a path that cannot be read or is empty.
type PathError struct {
	// Path is the path, or all of them, separated by commas.
	Path string
	// Err says what is wrong, and what to do.
	Err error
	// Warnings tell what was found instead, such as policies inside other objects.
	Warnings []mirror.Problem
}

// Error returns the path and what is wrong with it.
func (e *PathError) Error() string { return fmt.Sprintf("manifests %q: %v", e.Path, e.Err) }

// Unwrap returns Err.
func (e *PathError) Unwrap() error { return e.Err }

// A Result is a cluster as the files describe it.
type Result struct {
	// Objects are for [engine.Cluster.Apply]; the caller owns them. It is empty if a problem is more than a
	// warning.
	Objects []engine.Object
	Report  Report
}

// A Report is what was found in the files besides the objects.
type Report struct {
	// Problems are all problems, including warnings, in order of files and documents.
	Problems []mirror.Problem
	// Ignored counts the objects that decisions do not depend on, by kind.
	Ignored map[string]int
	// Unmodelled are the kinds that decide traffic in a cluster and that netpold does not model.
	Unmodelled []mirror.UnmodelledKind
	// LeftOut are the files under the paths that were not read.
	LeftOut []mirror.LeftOutFiles
	// Counts are the numbers of objects by resource, as "networkpolicies".
	Counts map[string]int
	// Files is the number of files that were read.
	Files int
	// Locations are where the policies were read.
	Locations map[engine.ObjectKey]mirror.Location
}

// A ProblemsError means that the files have problems that are more than warnings.
type ProblemsError struct {
	Problems []mirror.Problem
}

// Error returns every problem, one a line.
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

// ErrNoObjects means that the files have no object that decisions depend on.
var ErrNoObjects = errors.New("no object that plays a part in decisions")

// Read reads the files once. The error is a [*ProblemsError] or a [*PathError], which may wrap
// [ErrNoObjects]. The Report is valid even with an error.
func Read(ctx context.Context, o Options) (Result, error) {
	streams := newStreams(o)
	streams.forget = true
	result, _, err := read(ctx, o, streams)
	return result, err
}

// A content identifies the bytes that were read: their sum, and what each file holds.
type content struct {
	sum  sum
	held map[string]*held
}

// read does the work of Read, and also returns the content.
func read(ctx context.Context, o Options, streams *streams) (Result, content, error) {
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	r := newReading(o)
	s, files, err := r.readAll(ctx, o, streams)
	if err != nil {
		return Result{}, content{}, err
	}
	c := content{s, r.held}
	objects := r.finish()
	sortProblems(r.problems)
	result := Result{Report: Report{
		Problems: r.problems, Ignored: r.ignored, Unmodelled: r.unmodelled.Kinds(), LeftOut: r.leftOutFiles(),
		Counts: counts(objects), Files: files, Locations: r.locations(objects),
	}}
	if fatal := fatalOf(r.problems); len(fatal) > 0 {
		return result, c, &ProblemsError{Problems: fatal}
	}
	if len(objects) == 0 {
		err := fmt.Errorf("%w; %s", ErrNoObjects, result.Report.emptiness())
		return result, c, &PathError{o.paths(), err, r.problems}
	}
	result.Objects = objects
	return result, c, nil
}

// sortProblems sorts by file and document.
func sortProblems(problems []mirror.Problem) {
	slices.SortStableFunc(problems, func(a, b mirror.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Document, b.Document))
	})
}

// fatalOf returns the problems that are more than warnings.
func fatalOf(problems []mirror.Problem) []mirror.Problem {
	var fatal []mirror.Problem
	for _, p := range problems {
		if !p.Warning {
			fatal = append(fatal, p)
		}
	}
	return fatal
}

// emptiness returns what was found instead of objects, in words.
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

// policies returns how many policies of all kinds there are.
func (r *Report) policies() int {
	n := 0
	for _, k := range convert.Kinds() {
		if k.Policy {
			n += r.Counts[k.Resource]
		}
	}
	return n
}

// counts returns the number of objects of each mirrored resource.
func counts(objects []engine.Object) map[string]int {
	n := make(map[string]int, convert.KindCount)
	for _, k := range convert.RequiredKinds() {
		n[k.Resource] = 0
	}
	for _, o := range objects {
		if p, ok := o.(*engine.Pod); !ok || !isStandIn(p) {
			n[convert.KindOf(o).Resource]++
		}
	}
	return n
}
