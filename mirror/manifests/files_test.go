package manifests

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const podText = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\n"

func podNamed(name string) string { return strings.ReplaceAll(podText, "NAME", name) }

func readPath(t *testing.T, path string) (Result, error) {
	t.Helper()
	return Read(context.Background(), Options{Paths: []string{path}})
}

func TestDirectory(t *testing.T) {
	dir := write(t, map[string]string{
		"a.yaml": podNamed("a"), "b.yml": podNamed("b"),
		"sub/deep/c.json": `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}}`,
		"D.YAML":          podNamed("d"), "notes.txt": "x: [", ".hidden.yaml": "x: [", ".git/config.yaml": "x: [",
		"kustomization.yaml": "resources: [a.yaml]\n",
	})
	got, err := readPath(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"pods default/a", "pods default/b", "pods default/c", "pods default/d"},
		names(got.Objects)); diff != "" {
		t.Error(diff)
	}
	if got.Report.Files != 5 || got.Report.Ignored["Kustomization"] != 1 {
		t.Errorf("report %+v", got.Report)
	}
	if one, err := readPath(t, filepath.Join(dir, "a.yaml")); err != nil || len(one.Objects) != 1 {
		t.Errorf("a file: %v %v", names(one.Objects), err)
	}
}

// mount lays files out as the kubelet mounts a ConfigMap, and replaces them as the kubelet does.
func mount(t *testing.T, dir, version string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		put(t, filepath.Join(dir, version, name), text)
		link := filepath.Join(dir, name)
		if _, err := os.Lstat(link); errors.Is(err, fs.ErrNotExist) {
			if err := os.Symlink(filepath.Join("..data", name), link); err != nil {
				t.Fatal(err)
			}
		}
	}
	swap := filepath.Join(dir, "..data_tmp")
	if err := os.Symlink(version, swap); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(swap, filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

func TestConfigMapMount(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, "..2026_11_22", map[string]string{"a.yaml": podNamed("a"), "b.yaml": podNamed("b")})
	got, err := readPath(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"pods default/a", "pods default/b"}, names(got.Objects)); diff != "" {
		t.Error(diff)
	}
}

func TestLinksAreReadOnce(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": podNamed("a"), "sub/b.yaml": podNamed("b")})
	for link, to := range map[string]string{"current.yaml": "a.yaml", "sub/loop": "..", "again": "sub"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readPath(t, dir)
	if err != nil || len(got.Objects) != 2 {
		t.Errorf("%v %v", names(got.Objects), err)
	}
}

func TestPathsThatCanNotBeRead(t *testing.T) {
	dir := write(t, map[string]string{"empty/notes.txt": "x", "comments/a.yaml": "# nothing\n---\n",
		"other/a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}"})
	tests := map[string]struct {
		path, want string
		is         error
	}{
		"no such path": {filepath.Join(dir, "none"), "name a file or directory that exists",
			fs.ErrNotExist},
		"no manifest": {filepath.Join(dir, "empty"), "there is no *.yaml, *.yml or *.json file",
			ErrNoObjects},
		"empty documents":      {filepath.Join(dir, "comments"), "nothing but empty documents", ErrNoObjects},
		"kinds without a part": {filepath.Join(dir, "other"), "only these kinds were read: Secret", ErrNoObjects},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := readPath(t, test.path)
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) ||
				!strings.Contains(err.Error(), test.path) || got.Objects != nil {
				t.Errorf("error %v", err)
			}
		})
	}
	if _, err := Read(context.Background(),
		Options{Paths: []string{"-"}, Stdin: strings.NewReader("")}); !errors.Is(err, ErrNoObjects) {
		t.Errorf("empty standard input: %v", err)
	}
	if _, err := Read(context.Background(), Options{Paths: []string{"-"}}); err == nil {
		t.Error("no standard input: no error")
	}
}

func TestADanglingLinkIsAProblem(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": podNamed("a")})
	if err := os.Symlink("gone", filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	_, err := readPath(t, dir)
	invalid, ok := errors.AsType[*ProblemsError](err)
	if !ok || len(invalid.Problems) != 1 || invalid.Problems[0].File != filepath.Join(dir, "b.yaml") {
		t.Errorf("error %v", err)
	}
}

// TestUnreadableEntriesAreSeen proves that unreadable entries change the fingerprint when they come and go,
// so that the next comparison reports them.
func TestUnreadableEntriesAreSeen(t *testing.T) {
	for name, target := range map[string]string{
		// may have been a directory of policies
		"b.yaml": "gone", "loop.json": "loop.json", "team-a": "gone/team-a",
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"a.yaml": podNamed("a")})
			was, err := fingerprint([]string{dir}, newStreams(Options{}))
			if err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(dir, name)
			if err := os.Symlink(target, link); err != nil {
				t.Fatal(err)
			}
			now, err := fingerprint([]string{dir}, newStreams(Options{}))
			if err != nil || now == was {
				t.Errorf("the link is not seen: %v", err)
			}
			_, c, err := read(context.Background(), Options{Paths: []string{dir}}, newStreams(Options{}))
			if invalid, ok := errors.AsType[*ProblemsError](err); !ok || len(invalid.Problems) != 1 ||
				invalid.Problems[0].File != link {
				t.Errorf("error %v", err)
			}
			if c.sum != now {
				t.Error("what is read and what is compared differ: it would be read at every look")
			}
			must(t, os.Remove(link))
			if now, err := fingerprint([]string{dir}, newStreams(Options{})); err != nil || now != was {
				t.Errorf("the link is seen after it has gone: %v", err)
			}
		})
	}
}

func TestProblemsOfEveryFileAreTold(t *testing.T) {
	dir := write(t, map[string]string{
		"a.yaml": "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: -1}}\n---\nx: [",
		"b.yaml": podNamed("B"), "c.json": "{", "d.yaml": podNamed("d"), "e/f.yaml": podNamed("d"),
	})
	_, err := readPath(t, dir)
	invalid, ok := errors.AsType[*ProblemsError](err)
	if !ok {
		t.Fatalf("error %v", err)
	}
	var files []string
	for _, p := range invalid.Problems {
		files = append(files, strings.TrimPrefix(p.File, dir+"/"))
	}
	if diff := cmp.Diff([]string{"a.yaml", "a.yaml", "b.yaml", "c.json", "e/f.yaml"}, files); diff != "" {
		t.Error(diff, err)
	}
	if !strings.HasPrefix(err.Error(), "5 problems in the manifests:\n") ||
		!strings.Contains(err.Error(), "also in "+filepath.Join(dir, "d.yaml")+", document 1") {
		t.Error(err)
	}
}

// TestFingerprint proves that reading and comparing use the same bytes.
func TestFingerprint(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": podNamed("a"), "sub/b.yaml": podNamed("b")})
	_, c, err := read(context.Background(), Options{Paths: []string{dir}}, newStreams(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	was, err := fingerprint([]string{dir}, newStreams(Options{}))
	if err != nil || was != c.sum {
		t.Fatalf("%x, read %x: %v", was, c.sum, err)
	}
	for _, edit := range []func(){
		func() { put(t, filepath.Join(dir, "a.yaml"), podNamed("c")) },
		func() { put(t, filepath.Join(dir, "c.yaml"), "") },
		func() {
			if err := os.Rename(filepath.Join(dir, "c.yaml"), filepath.Join(dir, "d.yaml")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		edit()
		now, err := fingerprint([]string{dir}, newStreams(Options{}))
		if err != nil || now == was {
			t.Errorf("an edit is not seen: %v", err)
		}
		was = now
	}
	put(t, filepath.Join(dir, "notes.txt"), "x")
	if now, err := fingerprint([]string{dir}, newStreams(Options{})); err != nil || now != was {
		t.Errorf("another file is seen: %v", err)
	}
}

// TestPathsAreReadAsOne proves that an object under two paths is a duplicate, and that a file under two paths
// is read once.
func TestPathsAreReadAsOne(t *testing.T) {
	dir := write(t, map[string]string{
		"one/a.yaml": podNamed("a"), "two/b.yaml": podNamed("b"), "three.txt": podNamed("c"),
		"again.yaml": podNamed("a"),
	})
	paths := func(names ...string) []string {
		for i, name := range names {
			if name != stdinPath {
				names[i] = filepath.Join(dir, name)
			}
		}
		return names
	}
	for name, test := range map[string]struct {
		paths []string
		pods  []string
		files int
	}{
		"one":                      {paths("one"), []string{"pods default/a"}, 1},
		"directories":              {paths("one", "two"), []string{"pods default/a", "pods default/b"}, 2},
		"a directory and its file": {paths("one", "one/a.yaml", "one"), []string{"pods default/a"}, 1},
		"a file of any name":       {paths("three.txt", "two"), []string{"pods default/b", "pods default/c"}, 2},
		"standard input":           {paths("two", "-", "-"), []string{"pods default/b", "pods default/in"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(context.Background(),
				Options{Paths: test.paths, Stdin: strings.NewReader(podNamed("in"))})
			if diff := cmp.Diff(test.pods, names(got.Objects)); err != nil || diff != "" ||
				got.Report.Files != test.files {
				t.Errorf("%v, %d files, objects (-want +got):\n%s", err, got.Report.Files, diff)
			}
		})
	}
	_, err := Read(context.Background(), Options{Paths: paths("one", "again.yaml")})
	if err == nil || !strings.Contains(err.Error(),
		"again.yaml, document 1: Pod \"default/a\": metadata.name: Duplicate value") {
		t.Errorf("a Pod in two paths: %v", err)
	}
	_, err = Read(context.Background(), Options{Paths: paths("one", "none")})
	if wrong, ok := errors.AsType[*PathError](err); !ok || wrong.Path != filepath.Join(dir, "none") {
		t.Errorf("a path that is missing: %v", err)
	}
}
