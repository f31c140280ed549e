package test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/netpold/netpold/"

// goPackage is what `go list` says of a package.
type goPackage struct {
	ImportPath, Dir string
	Standard        bool
	Imports         []string
}

// goList returns the packages that `go list` prints.
func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go",
		append([]string{"list", "-json=ImportPath,Dir,Standard,Imports"}, args...)...)
	cmd.Dir = ".."
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []goPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
		noteFiles(t, &p)
	}
}

// noteFiles reads the names and times of our own files, so that the result is not remembered when one
// changes.
func noteFiles(t *testing.T, p *goPackage) {
	t.Helper()
	if !strings.HasPrefix(p.ImportPath, module) {
		return
	}
	files, err := os.ReadDir(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, err := os.Stat(filepath.Join(p.Dir, file.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// The server needs nothing of Kubernetes, at any depth: of mirror/ it takes the root package alone.
func TestServerIsFreeOfKubernetes(t *testing.T) {
	t.Parallel()
	deps := goList(t, "-deps", "./server/...")
	if !slices.ContainsFunc(deps, func(p goPackage) bool { return p.ImportPath == module+"mirror" }) {
		t.Error("the server does not depend on mirror: is this the right list?")
	}
	for _, p := range deps {
		if strings.HasPrefix(p.ImportPath, "k8s.io/") || strings.HasPrefix(p.ImportPath, "sigs.k8s.io/") ||
			strings.HasPrefix(p.ImportPath, module+"mirror/") {
			t.Errorf("server/ depends on %s", p.ImportPath)
		}
	}
}

// Who traces nothing loads nothing for it: what exports traces is loaded by cmd alone (P46).
func TestServerExportsNoTraces(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t, "-deps", "./server") {
		if strings.HasPrefix(p.ImportPath, "go.opentelemetry.io/otel/exporters/otlp/otlptrace") ||
			p.ImportPath == module+"server/tracing/otlp" {
			t.Errorf("server depends on %s", p.ImportPath)
		}
	}
}

// Doors of the server, and what they share, do not import each other's packages: only server/internal/ is
// shared.
func TestDoorsDoNotImportEachOther(t *testing.T) {
	t.Parallel()
	doors := 0
	for _, p := range goList(t, "./server/...") {
		inside, below := strings.CutPrefix(p.ImportPath, module+"server/")
		if !below || inside == "servertest" {
			continue
		}
		doors++
		door, _, _ := strings.Cut(inside, "/")
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported+"/", module+"server/") ||
				strings.HasPrefix(imported, module+"server/internal/") ||
				strings.HasPrefix(imported+"/", module+"server/"+door+"/") {
				continue
			}
			t.Errorf("%s imports %s", p.ImportPath, imported)
		}
	}
	if doors < 4 {
		t.Errorf("%d packages below server/: is this the right list?", doors)
	}
}

// The engine is pure: at any depth it depends on itself, the standard library, and the table of prefixes.
func TestEngineIsPure(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t, "-deps", "./engine") {
		own := p.ImportPath == module+"engine" || strings.HasPrefix(p.ImportPath, module+"engine/")
		if !p.Standard && !own && !strings.HasPrefix(p.ImportPath, "github.com/gaissmai/bart") {
			t.Errorf("engine depends on %s", p.ImportPath)
		}
		for _, banned := range []string{"net/http", "log", "log/slog", "os/exec"} {
			if own && slices.Contains(p.Imports, banned) {
				t.Errorf("%s imports %s", p.ImportPath, banned)
			}
		}
	}
}

// Of Cilium's repository, only the messages of Hubble are linked, and they bring nothing of Kubernetes.
func TestHubbleLinksMessagesAlone(t *testing.T) {
	t.Parallel()
	const cilium = "github.com/cilium/cilium/"
	var linked []string
	for _, p := range goList(t, "-deps", "./clients/hubble") {
		switch {
		case strings.HasPrefix(p.ImportPath, cilium):
			linked = append(linked, strings.TrimPrefix(p.ImportPath, cilium))
		case strings.HasPrefix(p.ImportPath, "k8s.io/"), strings.HasPrefix(p.ImportPath, "sigs.k8s.io/"):
			t.Errorf("clients/hubble depends on %s", p.ImportPath)
		}
	}
	slices.Sort(linked)
	if want := []string{"api/v1/flow", "api/v1/observer", "api/v1/relay"}; !slices.Equal(linked, want) {
		t.Errorf("clients/hubble links %q of Cilium, not %q", linked, want)
	}
}
