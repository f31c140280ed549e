package manifests

import (
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// ReadOverlay is a [mirror.OverlayReader]. Of the options it takes Namespace and IgnoreTiers. Documents are read
// as the files of manifests are, and mean what kubectl apply would make of them:
//
//   - The template of a workload that has Pods changes their labels and ports. One that has none gets Pods.
//   - What a cluster fills in stays where a document leaves it out: the status of a Pod or a Node, the
//     addresses of a Service.
//   - The EndpointSlices of a Service with a selector follow its Pods, unless the overlay has slices of it.
func ReadOverlay(
	base *engine.Snapshot, overlay *mirror.Overlay, options Options,
) ([]engine.Change, []mirror.OverlayProblem, error) {
	if options.Namespace == "" {
		options.Namespace = "default"
	}
	r := overlayReader{laying: newLaying(base), options: options, policies: map[engine.ObjectKey]placed{}}
	if len(overlay.Changes) == 0 {
		r.fail("changes", "Required value: an overlay without changes changes nothing: give one at least")
	}
	for i := 0; i < len(overlay.Changes); {
		c := &overlay.Changes[i]
		switch {
		case c.Delete != nil:
			r.delete(i, c.Delete)
		case c.Labels != nil:
			r.relabel(i, c.Labels)
		default:
			n := 1
			for i+n < len(overlay.Changes) && overlay.Changes[i+n].IsApply() {
				n++
			}
			r.apply(i, overlay.Changes[i:i+n])
			i += n
			continue
		}
		i++
	}
	return r.finish(overlay.Prune)
}

// An overlayReader reads the changes of an overlay, one by one, and collects what is wrong.
type overlayReader struct {
	*laying
	options  Options
	problems []mirror.OverlayProblem
	warnings []mirror.OverlayProblem
	// policies are where the applied NetworkPolicies are.
	policies map[engine.ObjectKey]placed
	// touched counts the objects that the changes name.
	touched int
	// unusable counts objects of kinds that play no part.
	unusable int
}

// fail adds a problem that is not about a document.
func (r *overlayReader) fail(path, message string) {
	r.problems = append(r.problems, mirror.OverlayProblem{Path: path, Problem: mirror.Problem{Message: message}})
}

// miss adds the problem that an object is not there.
func (r *overlayReader) miss(path string, o *mirror.OverlayTarget, message string) {
	r.problems = append(r.problems, mirror.OverlayProblem{Path: path, Missing: true, Problem: mirror.Problem{
		Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, Message: message,
	}})
}

// apply reads the documents of changes that follow each other, the first of which has the index first. They
// are read together, so that a workload finds its Pods, and a Service its slices, in any of them.
func (r *overlayReader) apply(first int, changes []mirror.OverlayChange) {
	files := newReading(r.options)
	files.over, files.maxDocuments = r.laying, mirror.MaxOverlayObjects
	index, read := map[string]int{}, map[string]bool{}
	for i := range changes {
		c := &changes[i]
		name := c.File
		if _, again := index[name]; again || name == "" {
			name = pathOf(first+i, "apply")
		}
		index[name] = first + i
		read[filepath.Clean(name)] = true
		files.file(name, []byte(c.Apply), false)
		if r.touched += len(files.seen) + files.unread; r.touched > mirror.MaxOverlayObjects {
			return // finish reports it
		}
		r.touched -= len(files.seen)
	}
	files.checkKustomizations(read)
	r.touched += len(files.seen)
	for id, at := range files.seen {
		if id.kind == "NetworkPolicy" {
			r.policies[engine.ObjectKey{Kind: engine.KindPolicy, Namespace: id.namespace, Name: id.name}] =
				placed{pathOf(index[at.file], "apply"), at, changes[index[at.file]-first].File != ""}
		}
	}
	before := len(r.order)
	files.layOver()
	r.touched += max(0, len(r.order)-before-len(files.seen)) // Pods of templates
	for _, n := range files.ignored {
		r.unusable += n
	}
	for _, kind := range files.unmodelled.Kinds() {
		r.unusable += kind.Count
		r.warnings = append(r.warnings, mirror.OverlayProblem{Path: "changes", Problem: mirror.Problem{Warning: true,
			Message: kind.String() + " decides traffic too, and netpold does not model it: it is left out, and answers " +
				"may differ from what the cluster does"}})
	}
	for _, p := range files.problems {
		i := index[p.File]
		if changes[i-first].File == "" {
			p.File = ""
		}
		if p.Warning {
			r.warnings = append(r.warnings, mirror.OverlayProblem{Problem: p, Path: pathOf(i, "apply")})
			continue
		}
		r.problems = append(r.problems, mirror.OverlayProblem{Problem: p, Path: pathOf(i, "apply")})
	}
}

// pathOf returns the path of a field of a change.
func pathOf(change int, field string) string { return "changes[" + strconv.Itoa(change) + "]." + field }

// finish returns the result.
func (r *overlayReader) finish(prune bool) ([]engine.Change, []mirror.OverlayProblem, error) {
	if r.touched > mirror.MaxOverlayObjects {
		return nil, nil, &mirror.OverlayTooLargeError{Actual: r.touched}
	}
	if len(r.problems) == 0 && r.touched == 0 && !(prune && len(r.namespaces) > 0) {
		message := "it has " + ErrNoObjects.Error()
		if r.unusable > 0 {
			message = fmt.Sprintf("%s, but %d of other kinds", message, r.unusable)
		}
		r.fail("changes", "Invalid value: "+message)
	}
	if len(r.problems) > 0 {
		return nil, nil, &mirror.OverlayError{Problems: r.problems}
	}
	if prune {
		r.prune()
	}
	r.followPods()
	r.warnLonely()
	return r.changes(), r.warnings, nil
}

// delete deletes an object, all Pods of a workload, or a Namespace with all that is in it.
func (r *overlayReader) delete(i int, o *mirror.OverlayTarget) {
	r.touched++
	path := pathOf(i, "delete")
	kind := r.kindOf(path, o)
	if kind == nil {
		return
	}
	var keys []engine.ObjectKey
	switch {
	case kind.Template != nil:
		keys = r.podsOf(o.Namespace, engine.Workload{Kind: o.Kind, Name: o.Name})
	case o.Kind == "Namespace":
		keys = r.objectsIn(o.Name)
		fallthrough
	default:
		key := engine.KeyOf(kind.Empty(o.Namespace, o.Name))
		if _, ok := r.object(key); ok {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		r.miss(path, o, "is not there, so that it cannot be deleted: check its kind, namespace and name")
		return
	}
	for _, key := range keys {
		r.remove(key)
	}
}

// kindOf returns the kind of what a change names. It adds a problem and returns nil if that is no name of an
// object that plays a part.
func (r *overlayReader) kindOf(path string, o *mirror.OverlayTarget) *convert.Kind {
	kind, ok := convert.KindNamed(o.Kind)
	switch {
	case o.Kind == "":
		r.fail(path+".kind", "Required value: give the kind, as manifests write it")
	case !ok || kind.Template == nil && kind.Empty == nil:
		r.fail(path+".kind", fmt.Sprintf("Unsupported value: %q: no object of this kind plays a part; write it as "+
			"manifests do, for example %q", o.Kind, "NetworkPolicy"))
	case o.Name == "":
		r.fail(path+".name", "Required value: give the name of the "+o.Kind)
	case kind.Namespaced && o.Namespace == "":
		r.fail(path+".namespace", fmt.Sprintf("Required value: give the namespace of %s %q", o.Kind, o.Name))
	case !kind.Namespaced && o.Namespace != "":
		r.fail(path+".namespace", fmt.Sprintf("Invalid value: %q: a %s has no namespace: leave it out", o.Namespace,
			o.Kind))
	case kind.Optional && r.options.IgnoreTiers:
		r.fail(path+".kind", fmt.Sprintf("Unsupported value: %q: policies of the whole cluster are ignored here "+
			"(--policy-tiers)", o.Kind))
	default:
		return kind
	}
	return nil
}

// prune deletes the NetworkPolicies that no document has, in the namespaces of what the documents have.
func (r *overlayReader) prune() {
	for _, p := range r.base.Policies() {
		key := engine.KeyOf(p)
		if _, laid := r.objects[key]; !laid && r.namespaces[p.Namespace] {
			r.remove(key)
		}
	}
}
