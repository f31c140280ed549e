package manifests

import (
	"maps"
	"slices"

	"github.com/netpold/netpold/mirror"
)

// maxExamples is how many files are named of those left out for one reason.
const maxExamples = 3

// leaveOut notes a file that was not read, and why.
func (r *reading) leaveOut(file, reason string) { r.leftOut[reason] = append(r.leftOut[reason], file) }

// leftOutFiles returns the files that were not read, in order of reason.
func (r *reading) leftOutFiles() []mirror.LeftOutFiles {
	var list []mirror.LeftOutFiles
	for _, reason := range slices.Sorted(maps.Keys(r.leftOut)) {
		files := r.leftOut[reason]
		slices.Sort(files)
		list = append(list, mirror.LeftOutFiles{Reason: reason, Count: len(files), Examples: files[:min(len(files), maxExamples)]})
	}
	return list
}
