package manifests

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"

	"github.com/netpold/netpold/mirror"
)

// maxExamples is how many files are named for each reason.
const maxExamples = 3

// notKubernetes is the reason for leaving out a file in a directory that has the ending of a manifest.
const notKubernetes = "it holds no Kubernetes object"

// leaveOut records a file that was not read, and why. It records a file once for each reason.
func (r *fileReader) leaveOut(file, reason string) {
	if files := r.leftOut[reason]; !slices.Contains(files[max(0, len(files)-1):], file) {
		r.leftOut[reason] = append(files, file)
	}
}

// isForeignList reports whether raw is a list without any Kubernetes object. Other tools have such files.
func isForeignList(raw []byte) bool {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return false
	}
	for _, item := range items {
		if h := headOf(item); beginsJSON(item) && !h.isForeign(item) {
			return false
		}
	}
	return true
}

// isChart reports whether a file describes a Helm chart, judging by its name.
func isChart(file string) bool { return filepath.Base(file) == "Chart.yaml" }

// leftOutFiles returns the files that were not read, in order of reason.
func (r *fileReader) leftOutFiles() []mirror.LeftOutFiles {
	var list []mirror.LeftOutFiles
	for _, reason := range slices.Sorted(maps.Keys(r.leftOut)) {
		files := r.leftOut[reason]
		slices.Sort(files)
		list = append(list, mirror.LeftOutFiles{Reason: reason, Count: len(files),
			Examples: files[:min(len(files), maxExamples)]})
	}
	return list
}
