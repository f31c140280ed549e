package server_test

import (
	"net/http"
	"testing"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/servertest"
)

// S26: /readyz says whether questions are answered, and what is missing; /healthz only that the process is
// alive.
func TestS26Readyz(t *testing.T) {
	t.Parallel()
	source := servertest.NewSource()
	r := start(t, source, nil)
	expect := func(path string, wantCode int, wantBody string) {
		t.Helper()
		if code, body := get(t, r, path); code != wantCode || body != wantBody {
			t.Errorf("%s: %d %q, want %d %q", path, code, body, wantCode, wantBody)
		}
	}
	expect("/healthz", http.StatusOK, "ok\n")
	expect("/readyz", http.StatusServiceUnavailable, "not ready: the first full sync is not complete\n")
	source.SetStatus(mirror.Status{Resources: []mirror.Resource{
		{Name: "pods"}, {Name: "namespaces", Synced: true},
		{Name: "nodes", Error: "forbidden: grant list on nodes"},
	}})
	expect("/readyz", http.StatusServiceUnavailable,
		"not ready: the first full sync is not complete; waiting for pods, nodes (forbidden: grant list on nodes)\n")
	source.Apply()
	expect("/readyz", http.StatusOK, "ready: revision 1\n")
}

func TestAdminPages(t *testing.T) {
	t.Parallel()
	r := start(t, synced(), nil)
	for path, want := range map[string]int{
		"/":                            http.StatusOK,
		"/debug/pprof/":                http.StatusOK,
		"/debug/pprof/goroutine":       http.StatusOK,
		"/debug/pprof/symbol":          http.StatusOK,
		"/debug/pprof/trace?seconds=0": http.StatusOK,
		// It would show the arguments.
		"/debug/pprof/cmdline": http.StatusNotFound,
		"/nothing":             http.StatusNotFound,
	} {
		if code, _ := get(t, r, path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
}
