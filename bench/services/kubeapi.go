package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/mirror/convert/converttest"
)

// An apiServer is as much of an API server as netpold needs to follow a cluster: lists and watches, in JSON.
type apiServer struct {
	front *http.Server
	addr  string

	mu      sync.Mutex
	version int
	// objects are by path of their resource.
	objects map[string][]convert.Object
	events  []event
	// changed is closed when there are more events.
	changed chan struct{}
}

// An event is a change at a version.
type event struct {
	version int
	path    string
	text    []byte
}

// startAPI serves objects until it is closed.
func startAPI(changes []engine.Change) (*apiServer, error) {
	s := &apiServer{version: 1, objects: map[string][]convert.Object{}, changed: make(chan struct{})}
	for _, c := range changes {
		o := converttest.Object(c.Object)
		o.SetResourceVersion("1")
		s.objects[pathOf(o)] = append(s.objects[pathOf(o)], o)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.addr = listener.Addr().String()
	s.front = &http.Server{Handler: s} //nolint:gosec // its only client is a child of this process
	go s.front.Serve(listener)         //nolint:errcheck // it ends with close
	return s, nil
}

func (s *apiServer) close() error { return s.front.Close() }

// paths are where the API has each kind that every cluster serves.
func paths() map[string]*convert.Kind {
	to := map[string]*convert.Kind{}
	for _, k := range convert.Kinds()[:convert.RequiredCount] {
		to[pathOfKind(&k)] = &k
	}
	return to
}

func pathOfKind(k *convert.Kind) string {
	if v := k.Versions[0].GroupVersion; v.Group != "" {
		return fmt.Sprintf("/apis/%s/%s/%s", v.Group, v.Version, k.Resource)
	}
	return "/api/v1/" + k.Resource
}

func pathOf(o convert.Object) string {
	kind, _ := convert.KindNamed(o.GetObjectKind().GroupVersionKind().Kind)
	return pathOfKind(kind)
}

// tell adds an object, or removes it, and tells who watches.
func (s *apiServer) tell(object engine.Object, gone bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	o := converttest.Object(object)
	o.SetResourceVersion(strconv.Itoa(s.version))
	path, kind := pathOf(o), "ADDED"
	same := func(other convert.Object) bool {
		return other.GetNamespace() == o.GetNamespace() && other.GetName() == o.GetName()
	}
	s.objects[path] = slices.DeleteFunc(s.objects[path], same)
	if gone {
		kind = "DELETED"
	} else {
		s.objects[path] = append(s.objects[path], o)
	}
	text, err := json.Marshal(map[string]any{"type": kind, "object": o})
	s.events = append(s.events, event{s.version, path, text})
	close(s.changed)
	s.changed = make(chan struct{})
	return err
}

// ServeHTTP answers lists and watches.
func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, known := paths()[r.URL.Path]
	query := r.URL.Query()
	switch {
	case r.URL.Path == "/apis": // without cluster-wide policies
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"networking.k8s.io","versions":[`+
			`{"groupVersion":"networking.k8s.io/v1","version":"v1"}]}]}`)
	case !known:
		fail(w, http.StatusNotFound, "NotFound")
	case query.Get("sendInitialEvents") == "true": // as older API servers do: netpold lists then
		fail(w, http.StatusUnprocessableEntity, "Invalid")
	case query.Get("watch") != "":
		s.watch(w, r, kind)
	default:
		s.list(w, r.URL.Path, kind)
	}
}

func fail(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code)
}

func (s *apiServer) list(w http.ResponseWriter, path string, kind *convert.Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := s.objects[path]
	if items == nil {
		items = []convert.Object{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // who has gone need not be told
		"kind": kind.Name + "List", "apiVersion": kind.Versions[0].String(), "items": items,
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)},
	})
}

// watch sends what has changed since, and what changes. A short watch is told at once where it stands.
func (s *apiServer) watch(w http.ResponseWriter, r *http.Request, kind *convert.Kind) {
	since, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	seconds, _ := strconv.Atoi(r.URL.Query().Get("timeoutSeconds"))
	w.Header().Set("Content-Type", "application/json")
	var text strings.Builder
	for {
		text.Reset()
		s.mu.Lock()
		for _, e := range s.events {
			if e.path == r.URL.Path && e.version > since {
				text.Write(e.text)
				text.WriteByte('\n')
			}
		}
		since = s.version
		changed := s.changed
		s.mu.Unlock()
		if seconds > 0 && seconds < 10 {
			fmt.Fprintf(&text, `{"type":"BOOKMARK","object":{"kind":%q,"apiVersion":%q,`+
				`"metadata":{"resourceVersion":"%d"}}}`+"\n", kind.Name, kind.Versions[0].GroupVersion, since)
		}
		fmt.Fprint(w, text.String())
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}
