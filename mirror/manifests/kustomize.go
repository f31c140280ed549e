package manifests

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// A kustomization is the instructions of kustomize for the files beside it.
type kustomization struct {
	at  location
	raw []byte
}

// isKustomization reports whether a file is a kustomization, judging by its name.
func isKustomization(file string) bool {
	base := strings.ToLower(filepath.Base(file))
	return base == "kustomization.yaml" || base == "kustomization.yml" || base == "kustomization"
}

// isKustomize reports whether an object is a kustomization, judging by its head.
func isKustomize(h head) bool {
	return groupOf(string(h.APIVersion)) == "kustomize.config.k8s.io" &&
		(h.Kind == "Kustomization" || h.Kind == "Component")
}

// checkKustomizations reports every kustomization that does more than list files that were all read: it
// renders another cluster than the files beside it. files are those that were read.
func (r *fileReader) checkKustomizations(files map[string]bool) {
	for _, k := range r.kustomizations {
		dir := filepath.Dir(k.at.file)
		reject := func(what string) {
			r.problem(k.at, "", fmt.Sprintf("%s: what lies beside it is not what kustomize renders: run "+
				"'kubectl kustomize %s | netpold ... --manifests -', or read the files without it", what, dir))
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(k.raw, &fields) != nil {
			reject("is no kustomization that can be read")
			continue
		}
		var does []string
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			value := string(fields[name])
			empty := value == "null" || value == "[]" || value == "{}" || value == `""`
			if !empty && !slices.Contains([]string{"apiVersion", "kind", "metadata", "resources"}, name) {
				does = append(does, name)
			}
		}
		if k.at.kind == "Component" || len(does) > 0 {
			reject("does more than list resources (" + strings.Join(does, ", ") + ")")
			continue
		}
		r.checkResources(k, fields["resources"], dir, files, reject)
	}
}

// checkResources compares the resources of a kustomization with the files that were read.
func (r *fileReader) checkResources(k kustomization, list json.RawMessage, dir string, files map[string]bool,
	reject func(string)) {
	var resources []string
	if list != nil && json.Unmarshal(list, &resources) != nil {
		reject("has resources that are no list of files")
		return
	}
	listed := map[string]bool{filepath.Clean(k.at.file): true}
	for _, resource := range resources {
		path := filepath.Join(dir, resource)
		switch inside := below(path, files); {
		case files[path]:
			listed[path] = true
		case len(inside) > 0:
			for _, file := range inside {
				listed[file] = true
			}
		default:
			reject(fmt.Sprintf("lists %q, which is not among the files that were read", resource))
			return
		}
	}
	var unlisted []string
	for _, file := range below(dir, files) {
		if !listed[file] && !isKustomization(file) {
			name, _ := filepath.Rel(dir, file) // cannot fail: file is under dir
			unlisted = append(unlisted, name)
		}
	}
	if len(unlisted) > 0 {
		r.warn(k.at, "resources", fmt.Sprintf("does not list %s: read all the same", firstOf(unlisted)))
	}
}

// firstOf joins the first few of a list, and says how many more there are.
func firstOf(list []string) string {
	text := strings.Join(list[:min(len(list), maxExamples)], ", ")
	if more := len(list) - maxExamples; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// below returns the files in a directory, at any depth, in order.
func below(dir string, files map[string]bool) []string {
	var inside []string
	for file := range files {
		if dir == "." && !filepath.IsAbs(file) && !strings.HasPrefix(file, "..") ||
			strings.HasPrefix(file, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator)) {
			inside = append(inside, file)
		}
	}
	slices.Sort(inside)
	return inside
}
