package live

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/netpold/netpold/mirror"
)

// A foreignKinds is an API server of kinds of other projects. It has answers, or an HTTP status, by path.
type foreignKinds struct {
	mu      sync.Mutex
	answers map[string]any
	accepts []string
}

func (f *foreignKinds) set(path string, answer any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[path] = answer
}

func (f *foreignKinds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.URL.Query().Has("limit") {
		f.accepts = append(f.accepts, r.Header.Get("Accept"))
	}
	path := r.URL.Path
	if next := r.URL.Query().Get("continue"); next != "" {
		path += "?" + next
	}
	w.Header().Set("Content-Type", "application/json")
	switch answer := f.answers[path].(type) {
	case string:
		fmt.Fprint(w, answer)
	case int:
		w.WriteHeader(answer)
		reason := map[int]string{http.StatusForbidden: "Forbidden",
			http.StatusServiceUnavailable: "ServiceUnavailable"}[answer]
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason,
			answer)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func metadataList(next string, namespaces ...string) string {
	items := ""
	for i, ns := range namespaces {
		if i > 0 {
			items += ","
		}
		items += fmt.Sprintf(`{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"p%d","namespace":%q}}`, i, ns)
	}
	return fmt.Sprintf(`{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"7","continue":%q},"items":[%s]}`,
		next, items)
}

const (
	groupsWithCilium = `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"cilium.io",
		"versions":[{"groupVersion":"cilium.io/v2","version":"v2"}],"preferredVersion":{"groupVersion":"cilium.io/v2","version":"v2"}},
		{"name":"example.com","versions":[{"groupVersion":"example.com/v1","version":"v1"}],
		"preferredVersion":{"groupVersion":"example.com/v1","version":"v1"}},{"name":"networking.k8s.io"}]}`
	noGroups         = `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"networking.k8s.io"}]}`
	ciliumsResources = `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"cilium.io/v2","resources":[
		{"name":"ciliumnetworkpolicies","kind":"CiliumNetworkPolicy","namespaced":true,"verbs":["list"]},
		{"name":"ciliumclusterwidenetworkpolicies","kind":"CiliumClusterwideNetworkPolicy","namespaced":false,"verbs":["list"]},
		{"name":"ciliumnodes","kind":"CiliumNode","namespaced":false,"verbs":["list"]}]}`
	ciliumPath      = "/apis/cilium.io/v2"
	policiesPath    = ciliumPath + "/ciliumnetworkpolicies"
	clusterwidePath = ciliumPath + "/ciliumclusterwidenetworkpolicies"
)

// TestSeekUnmodelled proves that kinds come, are counted by metadata over all pages, are named without the
// right to list them, stay when calls fail, and go.
func TestSeekUnmodelled(t *testing.T) {
	f := &foreignKinds{answers: map[string]any{"/apis": groupsWithCilium, ciliumPath: ciliumsResources}}
	front := httptest.NewServer(f)
	defer front.Close()
	c, err := newClient(&rest.Config{Host: front.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	u, err := newUnmodelledSeeker(c, "")
	if err != nil {
		t.Fatal(err)
	}
	counted := mirror.UnmodelledKind{
		Kind: "CiliumNetworkPolicy", Group: "cilium.io", Counted: true, Count: 3,
		Namespaces: []string{"pay", "shop"},
	}
	uncounted := mirror.UnmodelledKind{Kind: "CiliumClusterwideNetworkPolicy", Group: "cilium.io"}
	var before []mirror.UnmodelledKind
	for _, step := range []struct {
		name   string
		change map[string]any
		fails  bool
		want   []mirror.UnmodelledKind
	}{
		{"counted, and one without the right", map[string]any{
			policiesPath: metadataList("next", "shop", "pay"), policiesPath + "?next": metadataList("", "shop"),
			clusterwidePath: http.StatusForbidden,
		}, false, []mirror.UnmodelledKind{uncounted, counted}},
		{"none of a kind", map[string]any{clusterwidePath: metadataList("")}, false,
			[]mirror.UnmodelledKind{counted}},
		{"an answer that fails", map[string]any{policiesPath: http.StatusServiceUnavailable}, true,
			[]mirror.UnmodelledKind{counted}},
		{"discovery of the group fails", map[string]any{ciliumPath: http.StatusServiceUnavailable}, true,
			[]mirror.UnmodelledKind{counted}},
		{"discovery fails", map[string]any{"/apis": http.StatusServiceUnavailable}, true,
			[]mirror.UnmodelledKind{counted}},
		{"the kinds are gone", map[string]any{"/apis": noGroups}, false, nil},
	} {
		for path, answer := range step.change {
			f.set(path, answer)
		}
		got, err := u.seek(context.Background(), before)
		if (err != nil) != step.fails {
			t.Errorf("%s: error is %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		before = got
	}
	for _, accept := range f.accepts {
		if !strings.Contains(accept, "as=PartialObjectMetadataList") {
			t.Errorf("a list is asked for as %q, want metadata alone", accept)
		}
	}
	if len(f.accepts) == 0 {
		t.Error("nothing was counted")
	}
}
