package render

import (
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// A sarifBase is a directory that files are relative to.
type sarifBase struct {
	URI         string     `json:"uri,omitempty"`
	URIBaseID   string     `json:"uriBaseId,omitempty"`
	Description *sarifText `json:"description,omitempty"`
}

// workingDirectory is the base of relative paths of --manifests. Who reads the log knows where it is.
const workingDirectory = "PROJECTROOT"

// A sarifBases has the directories of --manifests, by the names that the log gives them.
type sarifBases struct {
	names map[string]string
	bases map[string]sarifBase
}

// newSarifBases returns the directories that a source names. There are none for a cluster.
func newSarifBases(source string) *sarifBases {
	b := &sarifBases{names: map[string]string{}, bases: map[string]sarifBase{}}
	paths, ok := strings.CutPrefix(source, "manifests ")
	if !ok {
		return b
	}
	for _, dir := range strings.Split(paths, ", ") {
		switch dir = filepath.ToSlash(dir); path.Ext(dir) { // a file is relative to its own directory
		case ".yaml", ".yml", ".json", ".gz":
			dir = path.Dir(dir)
		}
		if dir = path.Clean(dir); dir == "-" || b.names[dir] != "" {
			continue
		}
		name := "MANIFESTS"
		if n := len(b.names); n > 0 {
			name += strconv.Itoa(n + 1)
		}
		b.names[dir] = name
		at := sarifBase{URI: (&url.URL{Path: dir + "/"}).String(), URIBaseID: workingDirectory}
		if path.IsAbs(dir) {
			at = sarifBase{URI: (&url.URL{Scheme: "file", Path: strings.TrimSuffix(dir, "/") + "/"}).String()}
		} else {
			b.bases[workingDirectory] = sarifBase{Description: &sarifText{"Where netpold ran."}}
		}
		b.bases[name] = at
	}
	return b
}

// locate returns a file relative to the innermost directory of --manifests that has it.
func (b *sarifBases) locate(file string) sarifArtifact {
	file = path.Clean(filepath.ToSlash(file))
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if name := b.names[dir]; name != "" {
			rest := strings.TrimPrefix(strings.TrimPrefix(file, dir), "/")
			if dir == "." {
				rest = file
			}
			return sarifArtifact{(&url.URL{Path: rest}).String(), name}
		}
		if dir == "." || dir == "/" || dir == path.Dir(dir) {
			return sarifArtifact{URI: (&url.URL{Path: file}).String()}
		}
	}
}
