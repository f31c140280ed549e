package manifests

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/netpold/netpold/mirror"
)

// sum is the hash of all files, and of what can not be read among them: equal sums are equal states.
type sum [sha256.Size]byte

// A file is a manifest: its path, and the same below the path that was asked for.
type file struct {
	path, relative string
	// once says that it can be read only once; see [streams].
	once bool
}

// A listing is what lies below the paths.
type listing struct {
	files []file
	// dirs are the directories that hold them, for a watch.
	dirs []string
	// problems are entries that can not be read.
	problems []mirror.Problem
	// leftOut are files that are no manifests by their names, by reason.
	leftOut map[string][]string
	visited map[string]bool
}

// list finds the manifests below all paths. A file that several paths lead to is listed once.
func list(paths []string) (*listing, error) {
	l := &listing{visited: map[string]bool{}, leftOut: map[string][]string{}}
	for _, path := range paths {
		if err := l.add(path); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// add finds the manifests below one path. A path that is no directory is a manifest whatever its name.
func (l *listing) add(path string) error {
	if path == stdinPath {
		if l.first(path) {
			l.files = append(l.files, file{path: path, once: true})
		}
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return unreadable(path, err)
	}
	if !info.IsDir() {
		if l.first(path) {
			l.files = append(l.files, file{path: path, once: !info.Mode().IsRegular()})
		}
		return nil
	}
	if _, err := os.ReadDir(path); err != nil {
		return unreadable(path, err)
	}
	l.dir(path, "")
	return nil
}

func unreadable(path string, err error) error {
	remedy := "make it readable"
	if errors.Is(err, os.ErrNotExist) {
		remedy = `name a file or directory that exists, or "-" for standard input`
	}
	return &PathError{path, fmt.Errorf("%w: %s", reasonOf(err), remedy)}
}

// reasonOf returns an error of the file system without the path, which the caller names.
func reasonOf(err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return pathError.Err
	}
	return err
}

func (l *listing) dir(path, relative string) {
	if !l.first(path) {
		return
	}
	l.dirs = append(l.dirs, path)
	entries, err := os.ReadDir(path)
	if err != nil {
		l.refuse(path, err)
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			// What a ConfigMap mounts has ..data, which is met by its links.
			if isManifest(e.Name()) && e.Type().IsRegular() && !strings.HasPrefix(e.Name(), "..") {
				l.leftOut[hiddenFile] = append(l.leftOut[hiddenFile], filepath.Join(path, e.Name()))
			}
			continue
		}
		l.entry(filepath.Join(path, e.Name()), filepath.Join(relative, e.Name()))
	}
}

// hiddenFile is why a manifest with a hidden name is left out.
const hiddenFile = "the name begins with a dot"

// entry follows links: what a ConfigMap mounts are links into a hidden directory.
func (l *listing) entry(path, relative string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		// A link to nothing may have been one to a directory; a file that was removed since it was listed is no longer there.
		if _, gone := os.Lstat(path); gone == nil || !errors.Is(gone, os.ErrNotExist) {
			l.refuse(path, err)
		}
	case info.IsDir():
		l.dir(path, relative)
	case info.Mode().IsRegular() && isManifest(path):
		if l.first(path) {
			l.files = append(l.files, file{path: path, relative: relative})
		}
	case info.Mode().IsRegular() && !isProse(path):
		reason := "the name has no ending"
		if ending := endingOf(path); ending != "" {
			reason = "the name ends in " + ending
		}
		l.leftOut[reason] = append(l.leftOut[reason], path)
	}
}

// isManifest reports whether a file in a directory is read, by its name.
func isManifest(path string) bool {
	switch strings.ToLower(filepath.Ext(strings.TrimSuffix(strings.ToLower(path), ".gz"))) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return isKustomization(path)
}

// isProse reports whether a file is for people by its name. Nobody expects it to be read.
func isProse(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	return strings.HasSuffix(name, ".md") || strings.HasPrefix(name, "license") || strings.HasPrefix(name, "readme") || name == "owners"
}

// endingOf returns the ending of a file's name, with that of a manifest before it: .yaml.tmpl.
func endingOf(path string) string {
	ending := filepath.Ext(path)
	if before := filepath.Ext(strings.TrimSuffix(path, ending)); isManifest(before) {
		ending = before + ending
	}
	return ending
}

// first reports whether a file or directory is met for the first time. Links may lead to it again, or in a circle.
func (l *listing) first(path string) bool {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		resolved = path
	}
	if l.visited[resolved] {
		return false
	}
	l.visited[resolved] = true
	return true
}

func (l *listing) refuse(path string, err error) {
	l.problems = append(l.problems, unread(path, err))
}

func unread(path string, err error) mirror.Problem {
	return mirror.Problem{File: path, Message: "can not be read: " + reasonOf(err).Error() + "; make it readable, or remove it"}
}

// mark makes entries that can not be read a part of the sum, so that they are noticed when they come, change and go.
func (l *listing) mark(h hash.Hash) {
	for _, p := range l.problems {
		markUnread(h, p)
	}
}

// markUnread keeps what can not be read apart from every file: no name begins with a zero.
func markUnread(h hash.Hash, p mirror.Problem) { mark(h, "\x00"+p.File+"\x00"+p.Message, 0) }

// all reads every file of the options into r. It returns the sum of their bytes, and how many there are.
func (r *reading) all(ctx context.Context, o Options, streams *streams) (sum, int, error) {
	h := sha256.New()
	l, err := list(o.Paths)
	if err != nil {
		return sum{}, 0, err
	}
	r.problems = append(r.problems, l.problems...)
	maps.Copy(r.leftOut, l.leftOut)
	l.mark(h)
	for _, f := range l.files {
		if err := ctx.Err(); err != nil {
			return sum{}, 0, &PathError{f.path, err}
		}
		data, err := streams.content(ctx, f)
		if err != nil {
			if f.relative == "" {
				return sum{}, 0, err
			}
			problem := unread(f.path, err)
			r.problems = append(r.problems, problem)
			markUnread(h, problem)
			continue
		}
		mark(h, f.relative, int64(len(data)))
		h.Write(data)
		name := f.path
		if name == stdinPath {
			name = "stdin"
		}
		r.file(name, data, f.relative != "")
	}
	read := map[string]bool{}
	for _, f := range l.files {
		read[filepath.Clean(f.path)] = true
	}
	r.checkKustomizations(read)
	return sum(h.Sum(nil)), len(l.files), nil
}

// fingerprint returns the sum that reading the paths would give, without holding the files in memory.
func fingerprint(paths []string, streams *streams) (sum, error) {
	l, err := list(paths)
	if err != nil {
		return sum{}, err
	}
	h := sha256.New()
	l.mark(h)
	for _, f := range l.files {
		if f.once {
			data, ok := streams.kept[f.path]
			if !ok {
				return sum{}, &PathError{f.path, errGone}
			}
			mark(h, f.relative, int64(len(data)))
			h.Write(data)
		} else if err := hashFile(h, f); err != nil {
			return sum{}, err
		}
	}
	return sum(h.Sum(nil)), nil
}

func hashFile(h hash.Hash, f file) error {
	opened, err := os.Open(f.path)
	if err != nil {
		if f.relative == "" {
			return unreadable(f.path, err)
		}
		markUnread(h, unread(f.path, err))
		return nil
	}
	defer func() { _ = opened.Close() }() // nothing was written
	info, err := opened.Stat()
	if err != nil {
		return unreadable(f.path, err)
	}
	mark(h, f.relative, info.Size())
	if _, err := io.Copy(h, opened); err != nil {
		return unreadable(f.path, err)
	}
	return nil
}

// mark keeps the names and the bytes of files apart.
func mark(h hash.Hash, name string, size int64) {
	b := binary.AppendUvarint(nil, uint64(len(name)))
	b = append(b, name...)
	h.Write(binary.AppendUvarint(b, uint64(size)))
}
