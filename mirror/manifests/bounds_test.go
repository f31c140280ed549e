//go:build unix

package manifests

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestAFileThatIsNoFileAnyMore proves that a pipe, a device, a link to one or a directory in the place of a file is a
// problem at once, that nothing waits for it, and that the last good state stays.
func TestAFileThatIsNoFileAnyMore(t *testing.T) {
	become := map[string]func(t *testing.T, path string){
		"a named pipe":       func(t *testing.T, path string) { must(t, syscall.Mkfifo(path, 0o600)) },
		"a device":           func(t *testing.T, path string) { must(t, os.Symlink("/dev/zero", path)) },
		"a directory":        func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) },
		"link to a pipe":     func(t *testing.T, path string) { linkToPipe(t, path) },
		"link to nothing":    func(t *testing.T, path string) { must(t, os.Symlink("nowhere", path)) },
		"link to itself":     func(t *testing.T, path string) { must(t, os.Symlink(filepath.Base(path), path)) },
		"larger than allows": func(t *testing.T, path string) { sparse(t, path, 1<<31) },
	}
	for name, edit := range become {
		for _, named := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, named %v", name, named), func(t *testing.T) {
				dir := write(t, map[string]string{"pods.yaml": podNamed("a"), "policies.yaml": denying("a")})
				path := filepath.Join(dir, "policies.yaml")
				paths := []string{dir}
				if named {
					paths = []string{filepath.Join(dir, "pods.yaml"), path}
				}
				synctest.Test(t, func(t *testing.T) {
					s := loaded(t, SourceOptions{Options: Options{Paths: paths}, Quiet: time.Second, Check: time.Hour})
					touch, stop := s.looping(t, dir)
					defer stop()
					must(t, os.Remove(path))
					edit(t, path)
					touch()
					<-time.After(2 * time.Second)
					synctest.Wait()
					problems := s.Status().Problems
					if len(problems) != 1 || !strings.Contains(problems[0].String(), path) || s.policies(t) != 1 {
						t.Errorf("%d policies, problems %v; want 1 and one problem", s.policies(t), problems)
					}
					t.Log(problems)

					must(t, os.RemoveAll(path))
					put(t, path, denying("b"))
					touch()
					<-time.After(2 * time.Second)
					synctest.Wait()
					if problems := s.Status().Problems; len(problems) != 0 || s.policies(t) != 1 {
						t.Errorf("%d policies, problems %v after it is mended", s.policies(t), problems)
					}
				})
			})
		}
	}
}

func linkToPipe(t *testing.T, path string) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	must(t, os.Symlink(pipe, path))
}

// sparse makes a file of a size that takes no room.
func sparse(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	must(t, f.Truncate(size))
	must(t, f.Close())
}

// TestTooManyBytes proves that one file, all files together, and what is unpacked from them are bounded, and that the
// error says by which setting.
func TestTooManyBytes(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := fmt.Fprint(w, denying("a")+"#"+strings.Repeat(" ", 10_000))
	must(t, errors.Join(err, w.Close()))
	tests := map[string]map[string]string{
		"one file":          {"a.yaml": denying("a") + "#" + strings.Repeat(" ", 5_000)},
		"all together":      {"a.yaml": denying("a") + "#" + strings.Repeat(" ", 2_500), "b.yaml": denying("b") + "#" + strings.Repeat(" ", 2_500)},
		"packed":            {"a.yaml.gz": packed.String()},
		"packed, among all": {"a.yaml": denying("b") + "#" + strings.Repeat(" ", 3_000), "b.yaml.gz": packed.String()},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			dir := write(t, files)
			for _, most := range []int64{4_000, 20_000} {
				_, err := Read(context.Background(), Options{Paths: []string{dir}, MaxBytes: most})
				if most == 20_000 && err != nil {
					t.Errorf("most %d: %v", most, err)
				}
				if most == 4_000 && (err == nil || !strings.Contains(err.Error(), "--max-manifest-bytes")) {
					t.Errorf("most %d: error %v, want one that names --max-manifest-bytes", most, err)
				}
			}
			_, err := ReadOverlayFiles(context.Background(), Options{Paths: []string{dir}, MaxBytes: 4_000}, false)
			if err == nil || !strings.Contains(err.Error(), "--max-manifest-bytes") {
				t.Errorf("as an overlay: error %v, want one that names --max-manifest-bytes", err)
			}
		})
	}
	input := strings.NewReader(denying("a") + "#" + strings.Repeat(" ", 5_000))
	_, err = Read(context.Background(), Options{Paths: []string{"-"}, Stdin: input, MaxBytes: 4_000})
	if err == nil || !strings.Contains(err.Error(), "--max-manifest-bytes") {
		t.Errorf("standard input: error %v, want one that names --max-manifest-bytes", err)
	}
}

// TestVeryManyProblems proves that an edit with very many problems is logged in a few lines, with how many there are.
func TestVeryManyProblems(t *testing.T) {
	var log bytes.Buffer
	dir := write(t, map[string]string{"a.yaml": podNamed("a")})
	s := loaded(t, SourceOptions{Options: Options{Paths: []string{dir}}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	log.Reset()
	var edit strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&edit, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p%d}\nstatus: {podIP: wrong%d}\n", i, i)
	}
	put(t, filepath.Join(dir, "b.yaml"), edit.String())
	if err := s.Load(context.Background()); err == nil {
		t.Fatal("an edit with problems is taken")
	}
	if n := len(s.Status().Problems); n < 5_000 {
		t.Errorf("%d problems in the status, want 5000 at least", n)
	}
	if n := strings.Count(log.String(), "\n"); n != maxLogged+1 || !strings.Contains(log.String(), " more=") {
		t.Errorf("%d lines of log, want %d:\n%.2000s", n, maxLogged+1, log.String())
	}
}

// TestVeryManyUnknownKinds proves that kinds that play no part are told by name up to a number, so that a metric has
// as many series at most.
func TestVeryManyUnknownKinds(t *testing.T) {
	var text strings.Builder
	text.WriteString(podNamed("a"))
	for i := range 20_000 {
		fmt.Fprintf(&text, "---\n{apiVersion: example.org/v1, kind: Kind%d, metadata: {name: x}}\n", i)
	}
	fmt.Fprintf(&text, "---\n{apiVersion: example.org/v1, kind: %s, metadata: {name: x}}\n", strings.Repeat("K", 1_000))
	result, err := Read(context.Background(), Options{Paths: []string{"-"}, Stdin: strings.NewReader(text.String())})
	must(t, err)
	if got := result.Report.Ignored; len(got) != maxIgnored+1 || got[otherKinds] != 20_001-maxIgnored || got["Kind0"] != 1 {
		t.Errorf("%d kinds, %d others; want %d and %d", len(got), got[otherKinds], maxIgnored+1, 20_001-maxIgnored)
	}
}
