package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// apiServer is as much of an API server as a mirror needs: lists and watches of six resources, in JSON.
type apiServer struct {
	front *httptest.Server

	mu      sync.Mutex
	version int
	objects map[string]map[string]map[string]any // by resource and name
	events  []event
	changed chan struct{}
	refuses map[string]int // HTTP status by resource
	hangs   bool
	only    string // the one namespace that may be read; empty for all
}

// event is a change at a resource version.
type event struct {
	version  int
	resource string
	text     string
}

// resourcePaths are where the API has each kind.
func resourcePaths() map[string]string {
	return map[string]string{
		"Pod": "/api/v1/pods", "Namespace": "/api/v1/namespaces", "Node": "/api/v1/nodes",
		"Service":       "/api/v1/services",
		"NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
		"EndpointSlice": "/apis/discovery.k8s.io/v1/endpointslices",
	}
}

// startAPIServer serves the objects of YAML documents until the test ends.
func startAPIServer(t *testing.T, documents string) *apiServer {
	t.Helper()
	s := &apiServer{version: 100, objects: map[string]map[string]map[string]any{}, changed: make(chan struct{}),
		refuses: map[string]int{}}
	s.front = httptest.NewServer(s)
	t.Cleanup(func() {
		s.front.CloseClientConnections()
		s.front.Close()
	})
	s.apply(t, documents)
	return s
}

// apply creates or updates objects, and gives them back as kubectl prints them.
func (s *apiServer) apply(t *testing.T, documents string) string {
	t.Helper()
	var printed strings.Builder
	decoder := yaml.NewDecoder(strings.NewReader(documents))
	for {
		var object map[string]any
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return printed.String()
		} else if err != nil {
			t.Fatal(err)
		}
		if object == nil {
			continue
		}
		text, err := yaml.Marshal(s.put(t, object))
		if err != nil {
			t.Fatal(err)
		}
		printed.WriteString("---\n" + string(text))
	}
}

func (s *apiServer) put(t *testing.T, object map[string]any) map[string]any {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	meta := object["metadata"].(map[string]any)
	meta["resourceVersion"] = strconv.Itoa(s.version)
	name := fmt.Sprint(meta["namespace"], "/", meta["name"])
	resource := resourcePaths()[object["kind"].(string)]
	kind := "MODIFIED"
	if s.objects[resource] == nil {
		s.objects[resource] = map[string]map[string]any{}
	}
	if s.objects[resource][name] == nil {
		kind = "ADDED"
	}
	s.objects[resource][name] = object
	text, err := json.Marshal(map[string]any{"type": kind, "object": object})
	if err != nil {
		t.Fatal(err)
	}
	s.events = append(s.events, event{s.version, resource, string(text)})
	s.turn()
	return object
}

// turn wakes all who wait. mu is held.
func (s *apiServer) turn() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// refuse answers all calls for the resources of some kinds with an HTTP status; 0 for no more.
func (s *apiServer) refuse(status int, kinds ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range kinds {
		s.refuses[resourcePaths()[kind]] = status
	}
}

// hang answers no call any more until its caller gives up.
func (s *apiServer) hang() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = true
}

// ServeHTTP answers lists and watches.
func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	refusal, hangs := s.refuses[r.URL.Path], s.hangs
	s.mu.Unlock()
	query := r.URL.Query()
	path, namespace := withoutNamespace(r.URL.Path)
	s.mu.Lock()
	elsewhere := s.only != "" && s.only != namespace
	s.mu.Unlock()
	kind := ""
	for k, p := range resourcePaths() {
		if p == path {
			kind = k
		}
	}
	switch {
	case r.URL.Path == "/apis": // without cluster-wide policies
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"networking.k8s.io","versions":[`+
			`{"groupVersion":"networking.k8s.io/v1","version":"v1"}]}]}`)
	case elsewhere:
		fail(w, http.StatusForbidden, "Forbidden")
	case path == "/api/v1/namespaces" && namespace != "":
		s.get(w, path, namespace)
	case hangs:
		<-r.Context().Done()
	case kind == "":
		fail(w, http.StatusNotFound, "NotFound")
	case refusal == http.StatusUnauthorized:
		fail(w, refusal, "Unauthorized")
	case refusal == http.StatusForbidden:
		fail(w, refusal, "Forbidden")
	case refusal != 0:
		fail(w, refusal, "InternalError")
	case query.Get("sendInitialEvents") == "true": // as older API servers do
		fail(w, http.StatusUnprocessableEntity, "Invalid")
	case query.Get("watch") != "":
		s.watch(w, r, kind)
	default:
		s.list(w, r, kind)
	}
}

// withoutNamespace splits the path of a list in one namespace, or of one Namespace: "/api/v1/pods" and "shop"
// of "/api/v1/namespaces/shop/pods".
func withoutNamespace(path string) (string, string) {
	before, after, found := strings.Cut(path, "/namespaces/")
	if !found {
		return path, ""
	}
	namespace, resource, found := strings.Cut(after, "/")
	if !found {
		return before + "/namespaces", namespace
	}
	return before + "/" + resource, namespace
}

// allowOnly refuses whatever is not in one namespace, as a Role does.
func (s *apiServer) allowOnly(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.only = namespace
}

// get answers with one Namespace.
func (s *apiServer) get(w http.ResponseWriter, path, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object, ok := s.objects[path]["<nil>/"+name]
	if !ok {
		fail(w, http.StatusNotFound, "NotFound")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object)
}

func fail(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	message := "not today"
	if code == http.StatusForbidden {
		message = `it is forbidden: User "jane" cannot list it`
	}
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":%q,"code":%d}`,
		reason, message, code)
}

func (s *apiServer) list(w http.ResponseWriter, r *http.Request, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []any{}
	path, namespace := withoutNamespace(r.URL.Path)
	for _, object := range s.objects[path] {
		if in := object["metadata"].(map[string]any)["namespace"]; namespace == "" || in == namespace {
			items = append(items, object)
		}
	}
	if r.URL.Query().Get("limit") == "1" {
		items = items[:min(len(items), 1)]
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": kind + "List", "apiVersion": apiVersion(path), "items": items,
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)},
	})
}

func apiVersion(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path[:strings.LastIndexByte(path, '/')], "/apis/"), "/api/")
}

// watch sends what changed since, and what changes. A short watch is told at once where it stands.
func (s *apiServer) watch(w http.ResponseWriter, r *http.Request, kind string) {
	path, _ := withoutNamespace(r.URL.Path)
	since, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	seconds, _ := strconv.Atoi(r.URL.Query().Get("timeoutSeconds"))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	for {
		s.mu.Lock()
		for _, e := range s.events {
			if e.resource == path && e.version > since {
				fmt.Fprintln(w, e.text)
			}
		}
		since = s.version
		if seconds > 0 && seconds < 10 {
			fmt.Fprintf(w, `{"type":"BOOKMARK","object":{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"%d"}}}`+"\n",
				kind, apiVersion(path), since)
		}
		changed := s.changed
		s.mu.Unlock()
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// kubeconfig writes a kubeconfig with the contexts "here", this API server, and "elsewhere", where there is
// none.
func (s *apiServer) kubeconfig(t *testing.T) string {
	t.Helper()
	return writeFile(t, "kubeconfig", `
apiVersion: v1
kind: Config
current-context: here
clusters:
- {name: here, cluster: {server: "`+s.front.URL+`"}}
- {name: elsewhere, cluster: {server: "http://127.0.0.1:1"}}
contexts:
- {name: here, context: {cluster: here, user: me}}
- {name: elsewhere, context: {cluster: elsewhere, user: me}}
users:
- {name: me, user: {}}
`)
}
