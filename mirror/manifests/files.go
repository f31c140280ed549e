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

// A sum is the hash of all files and of those that cannot be read. Equal sums mean equal states.
type sum [sha256.Size]byte

// A file is a manifest. path is its path, and name is the path relative to the one that was named.
type file struct {
	path, relative string
	// once means that it can be read only once; see [streams].
	once bool
}

// A listing holds the manifests under the paths.
type listing struct {
	files []file
	// dirs are the directories of the files, for a watch.
	dirs []string
	// problems are entries that cannot be read.
	problems []mirror.Problem
	// leftOut are files that are no manifests by name, by reason.
	leftOut map[string][]string
	visited map[string]bool
	streams *streams
}

// list returns the manifests under all paths. A file under several paths is listed once.
func list(paths []string, streams *streams) (*listing, error) {
	l := &listing{visited: map[string]bool{}, leftOut: map[string][]string{}, streams: streams}
	for _, path := range paths {
		if err := l.add(path); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// add adds the manifests under one path. A path that is no directory is a manifest, whatever its name.
func (l *listing) add(path string) error {
	if path == stdinPath {
		if l.first(path) {
			l.files = append(l.files, file{path: path, once: true})
		}
		return nil
	}
	info, err := os.Stat(path)
	if err == nil {
		err = l.streams.changedType(path, info.Mode())
	}
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

// A remediedError is an error of a file that says itself what to do.
type remediedError string

func (e remediedError) Error() string { return string(e) }

func unreadable(path string, err error) error {
	if wrong, ok := errors.AsType[remediedError](err); ok {
		return &PathError{Path: path, Err: wrong}
	}
	remedy := "make it readable"
	if errors.Is(err, os.ErrNotExist) {
		remedy = `name a file or directory that exists, or "-" for standard input`
	}
	return &PathError{Path: path, Err: fmt.Errorf("%w: %s", reasonOf(err), remedy)}
}

// reasonOf returns an error of the file system without the path, which the caller adds.
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
		l.reject(path, err)
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			// A mounted ConfigMap has its files in ..data, and links to them.
			if isManifest(e.Name()) && e.Type().IsRegular() && !strings.HasPrefix(e.Name(), "..") {
				l.leftOut[hiddenFile] = append(l.leftOut[hiddenFile], filepath.Join(path, e.Name()))
			}
			continue
		}
		l.entry(filepath.Join(path, e.Name()), filepath.Join(relative, e.Name()))
	}
}

// hiddenFile is the reason for leaving out a manifest with a hidden name.
const hiddenFile = "the name begins with a dot"

// entry adds one entry of a directory. It follows links, because a mounted ConfigMap is links into a hidden
// directory.
func (l *listing) entry(path, relative string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		// A dangling link is a problem, because it may have pointed to a directory. A file removed since it
		// was listed is not.
		if _, gone := os.Lstat(path); gone == nil || !errors.Is(gone, os.ErrNotExist) {
			l.reject(path, err)
		}
	case info.IsDir():
		l.dir(path, relative)
	case !info.Mode().IsRegular() && isManifest(path):
		l.reject(path, noFile(info.Mode()))
	case info.Mode().IsRegular() && isManifest(path):
		if l.first(path) {
			l.files = append(l.files, file{path: path, relative: relative})
		}
	case info.Mode().IsRegular() && !isProse(path):
		reason := "the name has no ending"
		if ending := endingOf(path); ending != "" {
			reason = "the name ends in " + ending
		}
		if isPacked(path) {
			reason += ", so that it may be an archive or compressed: unpack it beside the others"
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

// isProse reports whether a file is meant for people, judging by its name. Nobody expects netpold to read it.
func isProse(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	return strings.HasSuffix(name, ".md") || strings.HasPrefix(name, "license") ||
		strings.HasPrefix(name, "readme") || name == "owners"
}

// endingOf returns the ending of a file's name, with the ending of a manifest before it. Example: .yaml.tmpl.
func endingOf(path string) string {
	ending := filepath.Ext(path)
	if before := filepath.Ext(strings.TrimSuffix(path, ending)); isManifest(before) || before == ".tar" {
		ending = before + ending
	}
	return ending
}

// isPacked reports whether a file is an archive or compressed, by its name. What gzip compresses is read if it is a
// manifest below.
func isPacked(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".tgz", ".gz", ".tar", ".zip", ".bz2", ".xz", ".zst":
		return true
	}
	return false
}

// first reports whether a file or directory is new. Links may lead to one again, or in a circle.
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

func (l *listing) reject(path string, err error) {
	l.problems = append(l.problems, unread(path, err))
}

func unread(path string, err error) mirror.Problem {
	if wrong, ok := errors.AsType[remediedError](err); ok {
		return mirror.Problem{File: path, Message: string(wrong)}
	}
	return mirror.Problem{File: path,
		Message: "cannot be read: " + reasonOf(err).Error() + "; make it readable, or remove it"}
}

// mark adds unreadable entries to the hash, so that the sum changes when they come, change and go.
func (l *listing) mark(h hash.Hash) {
	for _, p := range l.problems {
		markUnread(h, p)
	}
}

// markUnread adds an unreadable entry to the hash. It cannot collide with a file, because no name begins with
// a zero byte.
func markUnread(h hash.Hash, p mirror.Problem) { mark(h, "\x00"+p.File+"\x00"+p.Message, 0) }

// readAll reads every file of the options into r. It returns the sum of their bytes, and their number.
func (r *fileReader) readAll(ctx context.Context, o Options, streams *streams) (sum, int, error) {
	h := sha256.New()
	l, err := list(o.Paths, streams)
	if err != nil {
		return sum{}, 0, err
	}
	left := streams.most
	r.problems = append(r.problems, l.problems...)
	maps.Copy(r.leftOut, l.leftOut)
	l.mark(h)
	for _, f := range l.files {
		if err := ctx.Err(); err != nil {
			return sum{}, 0, &PathError{Path: f.path, Err: err}
		}
		data, info, err := streams.content(ctx, f, left)
		if err != nil {
			if f.relative == "" {
				return sum{}, 0, err
			}
			problem := unread(f.path, err)
			r.problems = append(r.problems, problem)
			markUnread(h, problem)
			continue
		}
		left -= int64(len(data))
		mark(h, f.relative, int64(len(data)))
		h.Write(data)
		name := f.path
		if name == stdinPath {
			name = "stdin"
		}
		r.held[name] = &held{info: info, size: len(data)}
		r.file(name, data, f.relative != "")
		r.held[name].remember(data)
	}
	read := map[string]bool{}
	for _, f := range l.files {
		read[filepath.Clean(f.path)] = true
	}
	r.checkKustomizations(read)
	return sum(h.Sum(nil)), len(l.files), nil
}

// fingerprint returns the sum that reading the paths would return, without keeping the files in memory.
func fingerprint(paths []string, streams *streams) (sum, error) {
	l, err := list(paths, streams)
	if err != nil {
		return sum{}, err
	}
	h, left := sha256.New(), streams.most
	l.mark(h)
	for _, f := range l.files {
		if f.once {
			data, ok := streams.kept[f.path]
			if !ok {
				return sum{}, &PathError{Path: f.path, Err: errGone}
			}
			mark(h, f.relative, int64(len(data)))
			h.Write(data)
			left -= int64(len(data))
			continue
		}
		size, err := streams.hash(h, f, left)
		if err != nil {
			return sum{}, err
		}
		left -= size
	}
	return sum(h.Sum(nil)), nil
}

// hash adds a file to the hash, and returns its size.
func (s *streams) hash(h hash.Hash, f file, left int64) (int64, error) {
	opened, info, err := s.open(f.path, left)
	if err != nil {
		if f.relative == "" {
			return 0, unreadable(f.path, err)
		}
		markUnread(h, unread(f.path, err))
		return 0, nil
	}
	defer func() { _ = opened.Close() }() // nothing was written
	mark(h, f.relative, info.Size())
	size, err := io.Copy(h, io.LimitReader(opened, left+1))
	if err != nil {
		return 0, unreadable(f.path, err)
	}
	return size, nil
}

// mark adds the head of a file to the hash. It includes the sizes, so that names and bytes cannot be mistaken
// for each other.
func mark(h hash.Hash, name string, size int64) {
	b := binary.AppendUvarint(nil, uint64(len(name)))
	b = append(b, name...)
	h.Write(binary.AppendUvarint(b, uint64(size)))
}
