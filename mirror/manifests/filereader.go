package manifests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// maxNesting limits the depth of lists in lists.
const maxNesting = 8

// A fileReader collects the content of the files. Its methods report problems and continue.
type fileReader struct {
	// namespace is the namespace of objects that name none.
	namespace string
	problems  []mirror.Problem
	ignored   map[string]int
	// beside are the namespaces of objects that play no part.
	beside map[string]bool
	// unmodelled counts objects that decide traffic and that netpold does not model.
	unmodelled mirror.UnmodelledCount
	// maxDocuments is the most that one file may have; 0 for no limit. Of a file with more, none is read, and unread is how
	// many there are.
	maxDocuments, unread int
	// inDirectory means that the present file was found in a directory, not named.
	inDirectory bool
	// kustomizations may change all files beside them.
	kustomizations []kustomization
	// leftOut are the files that were not read, by reason.
	leftOut map[string][]string
	// versioned has the objects of kinds that are read in several API versions, as they were read first.
	versioned map[identity][]byte
	// ignoreTiers is [Options.IgnoreTiers].
	ignoreTiers bool
	// seen is the first location of each object.
	seen map[identity]location
	// objects are complete: all but Pods, workloads and Services.
	objects   []engine.Object
	pods      []*pod
	workloads []*workload
	// templatePods is the number of Pods that the workloads stand for so far.
	templatePods int
	// unknownTemplates are the templates of kinds that netpold does not know.
	unknownTemplates []unknownTemplate
	services         []*corev1.Service
	// endpoints are the Endpoints objects. They count for Services without selector and EndpointSlices (S24).
	endpoints []placedEndpoints
	// madeEndpoints is the number of endpoints made for Services so far; mostEndpoints limits it.
	madeEndpoints, mostEndpoints int
	// sliced are the Services that have EndpointSlices.
	sliced map[identity]bool
	// text is the present document, if it is YAML.
	text []byte
	// held says what each file holds.
	held map[string]*held
	// left is how many bytes of unpacked text may still be read.
	left int64
	// over is what the files are laid over; nil for files that are a cluster by themselves.
	over *laying
}

// An identity identifies an object among all.
type identity struct{ kind, namespace, name string }

func newReading(o Options) *fileReader {
	return &fileReader{
		namespace: o.Namespace, ignoreTiers: o.IgnoreTiers, versioned: map[identity][]byte{},
		ignored: map[string]int{}, beside: map[string]bool{}, leftOut: map[string][]string{},
		seen: map[identity]location{}, sliced: map[identity]bool{}, held: map[string]*held{},
		mostEndpoints: maxMadeEndpoints, left: o.most(),
	}
}

// A location is where an object was read, and which object it is.
type location struct {
	file     string
	document int
	// line is where the document begins, from 1.
	line int
	// items is the path through lists that leads to it. Example: items[3].
	items string
	// version is the apiVersion as written.
	version, kind, namespace, name string
	// uid and resourceVersion identify the object's state in a cluster; empty unless the file is a dump of
	// one.
	uid, resourceVersion string
}

// locate returns the location of the object with this head.
func (at location) locate(h head, namespace string) location {
	at.uid, at.resourceVersion = string(h.Metadata.UID), string(h.Metadata.ResourceVersion)
	at.version, at.kind, at.name = string(h.APIVersion), string(h.Kind), string(h.Metadata.Name)
	at.namespace = ""
	if isNamespaced(at.kind) {
		at.namespace = string(h.Metadata.Namespace)
		if at.namespace == "" {
			at.namespace = namespace
		}
	}
	return at
}

func isNamespaced(name string) bool {
	kind, ok := convert.KindNamed(name)
	return ok && kind.Namespaced
}

func (at location) identity() identity { return identity{at.kind, at.namespace, at.name} }

func (at location) String() string {
	s := at.file
	if at.document > 0 {
		s += ", document " + strconv.Itoa(at.document)
	}
	if at.items != "" {
		s += ", " + at.items
	}
	return s
}

// problem adds a problem. If the object has no name, its path through lists is part of the field.
func (r *fileReader) problem(at location, field, message string) {
	message = templateMessage(message)
	if at.name == "" && at.items != "" {
		field = strings.TrimSuffix(at.items+"."+field, ".")
	}
	r.problems = append(r.problems, mirror.Problem{
		File: at.file, Document: at.document, Kind: at.kind, Namespace: at.namespace, Name: at.name, Field: field,
		Message: message,
	})
}

// warn adds a warning: something that may be a mistake, but does not make the state unusable.
func (r *fileReader) warn(at location, field, message string) {
	r.problem(at, field, message)
	r.problems[len(r.problems)-1].Warning = true
}

// accept adds the problems of a conversion, and reports whether all are warnings.
func (r *fileReader) accept(at location, prefix string, problems []mirror.Problem) bool {
	ok := true
	for _, p := range problems {
		ok = ok && p.Warning
		r.problem(at, prefix+p.Field, p.Message)
		r.problems[len(r.problems)-1].Warning = p.Warning
	}
	return ok
}

// document reads one document: nothing, an object, or a list of objects.
func (r *fileReader) document(at location, raw []byte) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	if raw[0] != '{' {
		if r.inDirectory && isForeignList(raw) {
			r.leaveOut(at.file, notKubernetes)
			return
		}
		r.problem(at, "", "is no Kubernetes object: it has to be a mapping with apiVersion, kind and metadata")
		return
	}
	r.object(at, raw)
}

// object reads an object by its kind.
func (r *fileReader) object(at location, raw []byte) {
	h := headOf(raw)
	at = at.locate(h, r.namespace)
	if isKustomization(at.file) && (h.Kind == "" || h.APIVersion == "") || isKustomize(h) {
		r.countIgnored("Kustomization", 1)
		r.kustomizations = append(r.kustomizations, kustomization{at, raw})
		return
	}
	if h.Kind == "" || h.APIVersion == "" {
		r.reportUntyped(at, h, raw)
		return
	}
	if r.ignoresTier(h) {
		return
	}
	part := partOf(h)
	if h.twice != "" && part != partObject { // a partObject is decoded strictly as a whole
		r.problem(at, h.twice, "duplicate field: it is given twice; remove one of them")
		return
	}
	switch part {
	case partNone:
		r.ignore(at, h)
		r.reportCarried(at, h, raw)
	case partMisspelled:
		r.reportMisspelled(at, h)
	case partUnknown:
		at.namespace = string(h.Metadata.Namespace)
		r.problem(at, "kind", fmt.Sprintf(
			"Unsupported value: %q: Kubernetes has no such kind in %s: check its spelling", string(h.Kind),
			string(h.APIVersion)))
	case partItems:
		r.items(at, h, raw)
	case partUnversioned:
		kind := strings.TrimSuffix(string(h.Kind), "List")
		if versionOf(string(h.Kind)) != "" {
			kind = string(h.Kind)
		}
		r.problem(at, "apiVersion", fmt.Sprintf("Unsupported value: %q: %s is read as %s", string(h.APIVersion),
			kind, versionsOf(kind)))
	case partObject:
		kind, _ := convert.KindNamed(at.kind)
		if len(kind.Versions) > 1 {
			if r.isOtherVersion(at, raw) {
				return
			}
			if r.versioned[at.identity()] == nil {
				r.versioned[at.identity()] = raw
			}
		}
		if r.isNew(at) {
			if namespace := string(h.Metadata.Namespace); namespace != "" && !kind.Namespaced {
				r.warn(at, "metadata.namespace", fmt.Sprintf("%q plays no part: a %s has no namespace, and an API "+
					"server drops the field; remove it", namespace, at.kind))
			}
			r.convert(at, kind, raw)
		}
	}
}

// reportUntyped reports a document without kind or apiVersion.
func (r *fileReader) reportUntyped(at location, h head, raw []byte) {
	if r.inDirectory && h.isForeign(raw) {
		r.leaveOut(at.file, notKubernetes)
		r.reportCarried(at, h, raw)
		return
	}
	if isChart(at.file) {
		r.problem(at, "", fmt.Sprintf("is a Helm chart: run 'helm template %s | netpold ... --manifests -'",
			filepath.Dir(at.file)))
		return
	}
	missing := "kind"
	if h.Kind != "" {
		missing = "apiVersion"
	}
	r.problem(at, missing, "Required value: without it this is no Kubernetes object; if the file is "+
		"something else, keep it elsewhere or name the files to read, each with a --manifests of its own")
}

// reportMisspelled reports an object whose kind is misspelled and that decisions would depend on.
func (r *fileReader) reportMisspelled(at location, h head) {
	written := h.Kind
	kind, version := spelled(h)
	h.Kind = text(kind)
	at = at.locate(h, r.namespace)
	at.kind = string(written)
	if kind != at.kind {
		r.problem(at, "kind", fmt.Sprintf("Unsupported value: %q: write %s of %s", at.kind, kind, version))
		return
	}
	r.problem(at, "apiVersion", fmt.Sprintf("Unsupported value: %q: %s is read as %s", string(h.APIVersion),
		kind, version))
}

// ignore counts an object that decisions do not depend on. Kinds that decide traffic in a cluster are counted
// separately. It warns of other kinds called NetworkPolicy, which may be a mistake.
func (r *fileReader) ignore(at location, h head) {
	if namespace := r.namespaceBeside(h); namespace != "" {
		r.beside[namespace] = true
	}
	if of, ok := mirror.FindUnmodelled(groupOf(string(h.APIVersion)), string(h.Kind)); ok {
		namespace := string(h.Metadata.Namespace)
		if namespace == "" && of.Namespaced {
			namespace = r.namespace
		}
		r.unmodelled.Add(of, namespace)
		return
	}
	r.countIgnored(ignoredAs(h), 1)
	if h.Kind == "NetworkPolicy" {
		r.warn(at, "apiVersion", fmt.Sprintf(
			"%q plays no part: only NetworkPolicies of networking.k8s.io/v1 are read",
			string(h.APIVersion)))
	}
}

// items reads the objects of a list. In a typed list they need no apiVersion and kind.
func (r *fileReader) items(at location, h head, raw []byte) {
	if h.Items == nil {
		var body struct {
			Items any `json:"items"`
		}
		if json.Unmarshal(raw, &body) != nil || body.Items != nil {
			r.problem(at, "items", "Invalid type: must be a list of objects")
		}
		return
	}
	if strings.Count(at.items, "[") >= maxNesting {
		r.problem(at, "items", fmt.Sprintf("lists are nested deeper than %d", maxNesting))
		return
	}
	kind := strings.TrimSuffix(string(h.Kind), "List")
	for i, item := range h.Items {
		in := location{file: at.file, document: at.document, line: at.line,
			items: strings.TrimPrefix(at.items+".items["+strconv.Itoa(i)+"]", ".")}
		if kind != "" && beginsJSON(item) {
			ih := headOf(item)
			if ih.Kind == "" && ih.APIVersion == "" {
				item = withHead(item, string(h.APIVersion), kind)
			}
		}
		r.document(in, item)
	}
}

// withHead returns an item of a typed list with its version and kind.
func withHead(item json.RawMessage, version, kind string) json.RawMessage {
	open := strings.IndexByte(string(item), '{')
	rest := strings.TrimLeft(string(item[open+1:]), " \t\r\n")
	comma := ","
	if strings.HasPrefix(rest, "}") {
		comma = ""
	}
	return json.RawMessage(`{"apiVersion":` + strconv.Quote(version) + `,"kind":` + strconv.Quote(kind) +
		comma + rest)
}

// isNew reports whether the object was not read before. Overlapping dumps have the same state of an object
// twice, which counts once. Any other repetition is a problem.
func (r *fileReader) isNew(at location) bool {
	if at.name == "" {
		return true // reported when it is read
	}
	first, seen := r.seen[at.identity()]
	if !seen {
		r.seen[at.identity()] = at
		r.held[at.file].count(at.kind)
		return true
	}
	switch {
	case r.over != nil && first.file != at.file: // a later change replaces what an earlier one applies
		r.seen[at.identity()] = at
		return true
	case at.uid == "" || at.resourceVersion == "" || first.uid == "" || first.resourceVersion == "":
		r.problem(at, "metadata.name",
			fmt.Sprintf("Duplicate value: %q: it is also in %s; remove one of them", at.name, first))
	case at.uid != first.uid:
		r.problem(at, "metadata.uid", fmt.Sprintf(
			"Duplicate value: %q: another object of that name, with uid %q, is in %s; remove the older one",
			at.uid, first.uid, first))
	case at.resourceVersion != first.resourceVersion:
		r.problem(at, "metadata.resourceVersion",
			fmt.Sprintf("Duplicate value: %q: the object is also in %s, with resourceVersion %q: keep the newer one",
				at.resourceVersion, first, first.resourceVersion))
	}
	return false
}

// locations returns where the policies among objects were read.
func (r *fileReader) locations(objects []engine.Object) map[engine.ObjectKey]mirror.Location {
	locations := map[engine.ObjectKey]mirror.Location{}
	for _, o := range objects {
		kind, key := convert.KindOf(o), engine.KeyOf(o)
		if !kind.Policy {
			continue
		}
		at := r.seen[identity{kind.Name, key.Namespace, key.Name}]
		locations[key] = mirror.Location{File: at.file, Document: at.document, Line: at.line}
	}
	return locations
}
