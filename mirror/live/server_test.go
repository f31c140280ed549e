package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/netpold/netpold/mirror/convert"
)

// An apiServer is an API server in memory, with resource versions, lists, watches with bookmarks, lists by
// watch, compaction and faults. It is safe for concurrent use.
type apiServer struct {
	mu        sync.Mutex
	version   int
	founded   int
	resources map[string]*apiResource
	// served has the versions in which optional resources are served. undiscovered is the error of discovery.
	// hidden is the number of calls to come that do not find them.
	served       map[string][]string
	undiscovered error
	hidden       int
}

type apiResource struct {
	kind      convert.Kind
	objects   map[string]convert.Object
	history   []watch.Event
	compacted int
	watches   map[*apiWatch]bool
	faults    faults
}

// faults holds the faults of a resource.
type faults struct {
	// list and watch are the errors of calls. gate blocks calls until it is closed or their context ends.
	list, watch error
	gate        chan struct{}
	// noStream refuses lists by watch, as old servers do. endless leaves out their end. cut ends their
	// connection.
	noStream, endless, cut bool
	// pages splits lists.
	pages int
	// mute sends nothing in new watches.
	mute bool
}

func newAPIServer() *apiServer {
	s := &apiServer{version: 100, resources: map[string]*apiResource{}, served: map[string][]string{}}
	for _, k := range convert.Kinds() {
		s.resources[k.Resource] = &apiResource{kind: k, objects: map[string]convert.Object{},
			watches: map[*apiWatch]bool{}}
	}
	s.found()
	return s
}

// found creates what every cluster has.
func (s *apiServer) found() {
	s.founded++
	s.apply(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system",
		UID: types.UID(fmt.Sprint("cluster-", s.founded))}})
}

func resourceOf(o runtime.Object) string {
	if u, ok := o.(*unstructured.Unstructured); ok {
		kind, _ := convert.KindNamed(u.GetKind())
		return kind.Resource
	}
	for _, k := range convert.Kinds() {
		if _, _, err := k.Convert(o); err == nil {
			return k.Resource
		}
	}
	panic(fmt.Sprintf("no resource of %T", o))
}

func keyOf(o metav1.Object) string { return o.GetNamespace() + "/" + o.GetName() }

// apply creates or updates an object, and returns its resource version.
func (s *apiServer) apply(o convert.Object) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.resources[resourceOf(o)]
	s.version++
	o = o.DeepCopyObject().(convert.Object)
	o.SetResourceVersion(strconv.Itoa(s.version))
	kind := watch.Added
	if r.objects[keyOf(o)] != nil {
		kind = watch.Modified
	}
	r.objects[keyOf(o)] = o
	r.tell(watch.Event{Type: kind, Object: o})
	return o.GetResourceVersion()
}

// remove deletes an object, and returns the resource version of the deletion.
func (s *apiServer) remove(resource, key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.resources[resource]
	s.version++
	if o := r.objects[key]; o != nil {
		o = o.DeepCopyObject().(convert.Object)
		o.SetResourceVersion(strconv.Itoa(s.version))
		delete(r.objects, key)
		r.tell(watch.Event{Type: watch.Deleted, Object: o})
	}
	return strconv.Itoa(s.version)
}

func (r *apiResource) tell(e watch.Event) {
	r.history = append(r.history, e)
	for w := range r.watches {
		if w.stopped() {
			delete(r.watches, w)
			continue
		}
		w.send(e)
	}
}

// bookmark sends the present resource version in all watches of a resource.
func (s *apiServer) bookmark(resource string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	for w := range s.resources[resource].watches {
		w.send(bookmarkOf(s.resources[resource].kind, s.version, false))
	}
	return strconv.Itoa(s.version)
}

// breakWatches ends all watches of a resource, with err in the stream unless it is nil.
func (s *apiServer) breakWatches(resource string, err *apierrors.StatusError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.resources[resource]
	for w := range r.watches {
		if err != nil {
			w.send(watch.Event{Type: watch.Error, Object: &err.ErrStatus})
		}
		w.end()
	}
	clear(r.watches)
}

// compact drops the history, and fails watches as API servers do.
func (s *apiServer) compact(resource string) {
	s.mu.Lock()
	s.resources[resource].compacted = s.version
	s.resources[resource].history = nil
	s.mu.Unlock()
	s.breakWatches(resource, apierrors.NewResourceExpired("too old resource version"))
}

// reset gives the API server another history: an empty etcd, or a restored one with the same objects.
func (s *apiServer) reset(version int, restored bool) {
	s.mu.Lock()
	s.version = version
	for _, r := range s.resources {
		if !restored {
			clear(r.objects)
		}
		r.history, r.compacted = nil, version
	}
	s.mu.Unlock()
	if !restored {
		s.found()
	}
	for name := range s.resources {
		s.breakWatches(name, nil)
	}
}

// fault changes the faults of a resource.
func (s *apiServer) fault(resource string, change func(*faults)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.resources[resource].faults)
}

func (s *apiServer) faultAll(change func(*faults)) {
	for r := range s.resources {
		s.fault(r, change)
	}
}

func (s *apiServer) watching(resource string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for w := range s.resources[resource].watches {
		if !w.stopped() {
			n++
		}
	}
	return n
}

// listerWatcher returns the calls for [live.Config].
func (s *apiServer) listerWatcher(resource, version string) (cache.ListerWatcher, error) {
	r := s.resources[resource]
	if r == nil {
		return nil, fmt.Errorf("no resource %q", resource)
	}
	absent := func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.kind.Optional && !slices.Contains(s.served[resource], version) {
			return apierrors.NewGenericServerResponse(http.StatusNotFound, "list", schema.GroupResource{}, "", "not found", 0, true)
		}
		return nil
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			if err := absent(); err != nil {
				return nil, err
			}
			return s.list(ctx, r, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if err := absent(); err != nil {
				return nil, err
			}
			return s.watch(ctx, r, o)
		},
	}, nil
}

// serve serves an optional resource in these versions alone; in none, its objects are gone and its watches end.
func (s *apiServer) serve(resource string, versions ...string) {
	s.mu.Lock()
	s.served[resource] = versions
	if len(versions) == 0 {
		s.version++
		r := s.resources[resource]
		clear(r.objects)
		r.history, r.compacted = nil, s.version
	}
	s.mu.Unlock()
	s.breakWatches(resource, nil)
}

// failDiscovery makes discovery fail until err is nil.
func (s *apiServer) failDiscovery(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.undiscovered = err
}

// hide lets discovery not find the optional resources in its next n calls.
func (s *apiServer) hide(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden = n
}

// discover answers a path of the discovery API, for [live.Config].
func (s *apiServer) discover(_ context.Context, path string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.undiscovered != nil {
		return nil, s.undiscovered
	}
	byVersion := map[string][]metav1.APIResource{}
	for resource, versions := range s.served {
		for _, v := range versions {
			byVersion[v] = append(byVersion[v], metav1.APIResource{Name: resource})
		}
	}
	const group = convert.ClusterPolicyGroup
	if path != "/apis" {
		version := strings.TrimPrefix(path, "/apis/"+group+"/")
		return json.Marshal(metav1.APIResourceList{GroupVersion: group + "/" + version, APIResources: byVersion[version]})
	}
	list := metav1.APIGroupList{Groups: []metav1.APIGroup{{Name: "networking.k8s.io"}}}
	if s.hidden > 0 {
		s.hidden--
		return json.Marshal(list)
	}
	if len(byVersion) > 0 {
		of := metav1.APIGroup{Name: group}
		for _, v := range slices.Sorted(maps.Keys(byVersion)) {
			of.Versions = append(of.Versions, metav1.GroupVersionForDiscovery{GroupVersion: group + "/" + v, Version: v})
		}
		list.Groups = append(list.Groups, of)
	}
	return json.Marshal(list)
}

func (f faults) pass(ctx context.Context, err error) error {
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (s *apiServer) list(ctx context.Context, r *apiResource, o metav1.ListOptions) (runtime.Object, error) {
	s.mu.Lock()
	f := r.faults
	s.mu.Unlock()
	if err := f.pass(ctx, f.list); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if least, _ := strconv.Atoi(o.ResourceVersion); least > s.version {
		return nil, tooLarge(least, s.version)
	}
	keys := slices.Sorted(maps.Keys(r.objects))
	if name, ok := strings.CutPrefix(o.FieldSelector, "metadata.name="); ok {
		keys = slices.DeleteFunc(keys, func(k string) bool { return k != "/"+name })
	}
	next := ""
	if f.pages > 0 && o.Limit > 0 {
		from, _ := strconv.Atoi(o.Continue)
		to := min(from+f.pages, len(keys))
		if to < len(keys) {
			next = strconv.Itoa(to)
		}
		keys = keys[from:to]
	}
	return listOf(r, keys, strconv.Itoa(s.version), next)
}

func listOf(r *apiResource, keys []string, version, next string) (runtime.Object, error) {
	if r.kind.Optional {
		list := &unstructured.UnstructuredList{Object: map[string]any{}}
		for _, k := range keys {
			list.Items = append(list.Items, *r.objects[k].DeepCopyObject().(*unstructured.Unstructured))
		}
		list.SetResourceVersion(version)
		list.SetContinue(next)
		return list, nil
	}
	scheme := runtime.NewScheme()
	v := r.kind.Versions[0]
	if err := v.AddToScheme(scheme); err != nil {
		return nil, err
	}
	list, err := scheme.New(v.WithKind(r.kind.Name + "List"))
	if err != nil {
		return nil, err
	}
	items := make([]runtime.Object, 0, len(keys))
	for _, k := range keys {
		items = append(items, r.objects[k].DeepCopyObject())
	}
	if err := meta.SetList(list, items); err != nil {
		return nil, err
	}
	m, err := meta.ListAccessor(list)
	if err != nil {
		return nil, err
	}
	m.SetResourceVersion(version)
	m.SetContinue(next)
	return list, nil
}

func tooLarge(wanted, present int) error {
	err := apierrors.NewTimeoutError(
		fmt.Sprintf("Too large resource version: %d, current: %d", wanted, present), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge,
		Message: "Too large resource version"}}
	return err
}

func (s *apiServer) watch(ctx context.Context, r *apiResource,
	o metav1.ListOptions) (watch.Interface, error) {
	lists := o.SendInitialEvents != nil && *o.SendInitialEvents
	s.mu.Lock()
	f := r.faults
	s.mu.Unlock()
	if lists && f.noStream {
		return nil, &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure,
			Code:   http.StatusUnprocessableEntity,
			Reason: metav1.StatusReasonInvalid, Message: "sendInitialEvents: Forbidden"}}
	}
	if err := f.pass(ctx, f.watch); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, _ := strconv.Atoi(o.ResourceVersion)
	switch {
	case lists && from > s.version:
		return nil, tooLarge(from, s.version)
	case !lists && from < r.compacted:
		return nil, apierrors.NewResourceExpired("too old resource version")
	}
	w := newAPIWatch(ctx)
	if !lists {
		w.after = from // for a future version the server waits in silence
	}
	if lists {
		for _, k := range slices.Sorted(maps.Keys(r.objects)) {
			w.send(watch.Event{Type: watch.Added, Object: r.objects[k]})
		}
		if f.cut {
			w.end()
			return w, nil
		}
		if !f.endless {
			w.send(bookmarkOf(r.kind, s.version, true))
		}
	} else {
		for _, e := range r.history {
			if at, _ := strconv.Atoi(e.Object.(convert.Object).GetResourceVersion()); at > from {
				w.send(e)
			}
		}
		if o.TimeoutSeconds != nil && *o.TimeoutSeconds < 10 { // the bookmark comes two seconds before the end
			w.send(bookmarkOf(r.kind, s.version, false))
		}
	}
	if !f.mute {
		r.watches[w] = true
	}
	return w, nil
}
