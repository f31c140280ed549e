package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Paths is the value of a flag that may be repeated: each adds one path. In the environment several paths are
// in one variable, separated as in PATH and KUBECONFIG. In the config file they are a list.
type Paths struct{ value *[]string }

// NewPaths returns a flag value that sets *value.
func NewPaths(value *[]string) *Paths { return &Paths{value} }

// listSeparator separates paths in the environment: ":" on Unix.
const listSeparator = string(os.PathListSeparator)

// String returns the paths as the environment has them.
func (p *Paths) String() string { return strings.Join(*p.value, listSeparator) }

// Type returns what help shows for the value.
func (p *Paths) Type() string { return "path" }

// Set adds a path.
func (p *Paths) Set(path string) error {
	if path == "" {
		return &limitError{"is no path: give a file, a directory, or - for standard input"}
	}
	*p.value = append(*p.value, path)
	return nil
}

// replace sets all paths.
func (p *Paths) replace(paths []string) error {
	before := *p.value
	*p.value = nil
	for _, path := range paths {
		if err := p.Set(path); err != nil {
			*p.value = before
			return err
		}
	}
	return nil
}

// list returns a copy of the paths.
func (p *Paths) list() []string { return slices.Clone(*p.value) }

// splitPaths returns the paths in the value of an environment variable; none if it is empty.
func splitPaths(value string) []string { return filepath.SplitList(value) }
