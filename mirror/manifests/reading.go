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

// maxNesting is how deep lists of lists are read.
const maxNesting = 8

// reading collects what the files hold. Methods of it report what is wrong and go on.
type reading struct {
	// namespace is that of objects without one.
	namespace string
	problems  []mirror.Problem
	ignored   map[string]int
	// unmodelled counts objects that decide traffic and play no part here.
	unmodelled mirror.UnmodelledCount
	// inDirectory means that the present file was met in a directory, and not named.
	inDirectory bool
	// kustomizations are what may change everything beside them.
	kustomizations []kustomization
	// leftOut are the files that were not read, by reason.
	leftOut map[string][]string
	// seen is where each object was met first.
	seen map[identity]place
	// objects are those that need nothing else: all but Pods, workloads and Services.
	objects   []engine.Object
	pods      []*pod
	workloads []*workload
	// templatePods is how many Pods the workloads stand for so far.
	templatePods int
	// unknownTemplates make Pods that are not known.
	unknownTemplates []unknownTemplate
	services         []*corev1.Service
	// endpoints are the Endpoints objects, which count for Services without a selector and EndpointSlices (S24).
	endpoints []placedEndpoints
	// madeEndpoints is how many endpoints were made of Services so far, of at most mostEndpoints.
	madeEndpoints, mostEndpoints int
	// sliced are the Services that have EndpointSlices.
	sliced map[identity]bool
	// text is the document that is read, if it is YAML.
	text []byte
	// sizes are the bytes of each file.
	sizes map[string]int
}

// An identity names one object among all.
type identity struct{ kind, namespace, name string }

func newReading(namespace string) *reading {
	return &reading{
		namespace: namespace, ignored: map[string]int{}, leftOut: map[string][]string{},
		seen: map[identity]place{}, sliced: map[identity]bool{}, sizes: map[string]int{},
		mostEndpoints: maxMadeEndpoints,
	}
}

// A place is where an object was read, and which object it is.
type place struct {
	file     string
	document int
	// items are the places in lists that lead to it: items[3].
	items string
	// version is the apiVersion, as it was written.
	version, kind, namespace, name string
	// uid and resourceVersion name the object's state in a cluster; empty where the file was not dumped from one.
	uid, resourceVersion string
}

// of returns the place of the object with this head.
func (at place) of(h head, namespace string) place {
	at.uid, at.resourceVersion = string(h.Metadata.UID), string(h.Metadata.ResourceVersion)
	at.version, at.kind, at.name, at.namespace = string(h.APIVersion), string(h.Kind), string(h.Metadata.Name), ""
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

func (at place) identity() identity { return identity{at.kind, at.namespace, at.name} }

func (at place) String() string {
	s := at.file
	if at.document > 0 {
		s += ", document " + strconv.Itoa(at.document)
	}
	if at.items != "" {
		s += ", " + at.items
	}
	return s
}

// problem reports what is wrong at a place. Only where the object has no name is its place in a list part of the field.
func (r *reading) problem(at place, field, message string) {
	message = templateMessage(message)
	if at.name == "" && at.items != "" {
		field = strings.TrimSuffix(at.items+"."+field, ".")
	}
	r.problems = append(r.problems, mirror.Problem{
		File: at.file, Document: at.document, Kind: at.kind, Namespace: at.namespace, Name: at.name, Field: field, Message: message,
	})
}

// warn reports what may not be meant, and does not keep the state from being used.
func (r *reading) warn(at place, field, message string) {
	r.problem(at, field, message)
	r.problems[len(r.problems)-1].Warning = true
}

// found adds the problems of a conversion, and reports whether all are warnings.
func (r *reading) found(at place, prefix string, problems []mirror.Problem) bool {
	ok := true
	for _, p := range problems {
		ok = ok && p.Warning
		r.problem(at, prefix+p.Field, p.Message)
		r.problems[len(r.problems)-1].Warning = p.Warning
	}
	return ok
}

// document reads what one document holds: nothing, an object, or a list of them.
func (r *reading) document(at place, raw []byte) {
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
func (r *reading) object(at place, raw []byte) {
	h := headOf(raw)
	at = at.of(h, r.namespace)
	if isKustomization(at.file) && (h.Kind == "" || h.APIVersion == "") || isKustomize(h) {
		r.ignored["Kustomization"]++
		r.kustomizations = append(r.kustomizations, kustomization{at, raw})
		return
	}
	if h.Kind == "" || h.APIVersion == "" {
		if r.inDirectory && h.isForeign(raw) {
			r.leaveOut(at.file, notKubernetes)
			r.carried(at, h, raw)
			return
		}
		if isChart(at.file) {
			r.problem(at, "", fmt.Sprintf("is a Helm chart: run 'helm template %s | netpold ... --manifests -'", filepath.Dir(at.file)))
			return
		}
		missing := "kind"
		if h.Kind != "" {
			missing = "apiVersion"
		}
		r.problem(at, missing, "Required value: without it this is no Kubernetes object; if the file is something else, keep it elsewhere or name the files to read, each with a --manifests of its own")
		return
	}
	part := partOf(h)
	if h.twice != "" && part != partObject { // of which the whole is read as strictly
		r.problem(at, h.twice, "duplicate field: it is given twice; remove one of them")
		return
	}
	switch part {
	case partNone:
		r.ignore(at, h)
		r.carried(at, h, raw)
	case partMisspelled:
		r.misspelled(at, h)
	case partUnknown:
		at.namespace = string(h.Metadata.Namespace)
		r.problem(at, "kind", fmt.Sprintf("Unsupported value: %q: Kubernetes has no such kind in %s: check its spelling", string(h.Kind), string(h.APIVersion)))
	case partItems:
		r.items(at, h, raw)
	case partUnversioned:
		kind := strings.TrimSuffix(string(h.Kind), "List")
		if versionOf(string(h.Kind)) != "" {
			kind = string(h.Kind)
		}
		r.problem(at, "apiVersion", fmt.Sprintf("Unsupported value: %q: a %s is read as %s", string(h.APIVersion), kind, versionOf(kind)))
	case partObject:
		if r.isNew(at) {
			kind, _ := convert.KindNamed(at.kind)
			r.convert(at, kind, raw)
		}
	}
}

// misspelled reports what would play a part if it were written right.
func (r *reading) misspelled(at place, h head) {
	written := h.Kind
	kind, version := spelled(h)
	h.Kind = text(kind)
	at = at.of(h, r.namespace)
	at.kind = string(written)
	if kind != at.kind {
		r.problem(at, "kind", fmt.Sprintf("Unsupported value: %q: write %s of %s", at.kind, kind, version))
		return
	}
	r.problem(at, "apiVersion", fmt.Sprintf("Unsupported value: %q: a %s is read as %s", string(h.APIVersion), kind, version))
}

// ignore counts an object that plays no part, apart from others if it decides traffic in a cluster. One that is called a
// NetworkPolicy may have been meant to play a part.
func (r *reading) ignore(at place, h head) {
	if of, ok := mirror.FindUnmodelled(groupOf(string(h.APIVersion)), string(h.Kind)); ok {
		namespace := string(h.Metadata.Namespace)
		if namespace == "" && of.Namespaced {
			namespace = r.namespace
		}
		r.unmodelled.Add(of, namespace)
		return
	}
	r.ignored[ignoredAs(h)]++
	if h.Kind == "NetworkPolicy" {
		r.warn(at, "apiVersion", fmt.Sprintf("%q plays no part: only NetworkPolicies of networking.k8s.io/v1 are read",
			string(h.APIVersion)))
	}
}

// items reads the objects of a list. Those of a typed list need not say what they are.
func (r *reading) items(at place, h head, raw []byte) {
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
		in := place{file: at.file, document: at.document, items: strings.TrimPrefix(at.items+".items["+strconv.Itoa(i)+"]", ".")}
		if kind != "" && beginsJSON(item) {
			ih := headOf(item)
			if ih.Kind == "" && ih.APIVersion == "" {
				item = withHead(item, string(h.APIVersion), kind)
			}
		}
		r.document(in, item)
	}
}

// withHead gives an item of a typed list its version and kind.
func withHead(item json.RawMessage, version, kind string) json.RawMessage {
	open := strings.IndexByte(string(item), '{')
	rest := strings.TrimLeft(string(item[open+1:]), " \t\r\n")
	comma := ","
	if strings.HasPrefix(rest, "}") {
		comma = ""
	}
	return json.RawMessage(`{"apiVersion":` + strconv.Quote(version) + `,"kind":` + strconv.Quote(kind) + comma + rest)
}

// isNew reports whether the object was not read before. Dumps that overlap hold one state of an object twice, and it counts
// once; any other object that was read before is a problem.
func (r *reading) isNew(at place) bool {
	if at.name == "" {
		return true // which is told when it is read
	}
	first, seen := r.seen[at.identity()]
	if !seen {
		r.seen[at.identity()] = at
		return true
	}
	switch {
	case at.uid == "" || at.resourceVersion == "" || first.uid == "" || first.resourceVersion == "":
		r.problem(at, "metadata.name", fmt.Sprintf("Duplicate value: %q: it is also in %s; remove one of them", at.name, first))
	case at.uid != first.uid:
		r.problem(at, "metadata.uid", fmt.Sprintf("Duplicate value: %q: another object of that name, with uid %q, is in %s; remove the older one",
			at.uid, first.uid, first))
	case at.resourceVersion != first.resourceVersion:
		r.problem(at, "metadata.resourceVersion", fmt.Sprintf("Duplicate value: %q: the object is also in %s, with resourceVersion %q: keep the newer one",
			at.resourceVersion, first, first.resourceVersion))
	}
	return false
}
