package manifests

import (
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// A held is what one file held when it was read.
type held struct {
	// info tells a file that was written again from another that was put in its place; nil for a stream.
	info fs.FileInfo
	size int
	// objects are those that decisions depend on; policies are some of them.
	objects, policies int
	// lines are the checksums of the first line, of the first two lines and so on, if there are policies.
	lines []uint32
}

// count counts an object of a kind. Text that is of no file counts nowhere.
func (h *held) count(kind string) {
	if h == nil {
		return
	}
	h.objects++
	if k, ok := convert.KindNamed(kind); ok && k.Policy {
		h.policies++
	}
}

// castagnoli is the polynomial that processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// remember keeps what [held.isCutFrom] needs of the content.
func (h *held) remember(data []byte) {
	if h.policies == 0 {
		return
	}
	var sum uint32
	for len(data) > 0 {
		end := lineEnd(data)
		sum = crc32.Update(sum, castagnoli, data[:end])
		h.lines = append(h.lines, sum)
		data = data[end:]
	}
	h.lines = slices.Clip(h.lines)
}

// isCutFrom reports whether the content is the beginning of what the file held before. The last line may be cut too.
func (h *held) isCutFrom(was *held) bool {
	whole := len(h.lines) - 1
	return h.size < was.size && whole > 0 && whole <= len(was.lines) && h.lines[whole-1] == was.lines[whole-1]
}

// isReplaced reports whether another file was put in the place of what was read before, as by a rename. Such a file is whole.
func (h *held) isReplaced(was *held) bool {
	return h.info != nil && was.info != nil && !os.SameFile(h.info, was.info)
}

// A waiting is a file of which half an edit may have been read, and since when it is as it is.
type waiting struct {
	info  fs.FileInfo
	since time.Time
}

// settled returns an error for edits that may be half done and that remove something, unless the files have not changed for
// [SourceOptions.Settle]. Whoever empties a file and then writes it, or cuts it off because a disk is full, would open
// what its policies deny.
func (s *Source) settled(result Result, c content) error {
	var problems []mirror.Problem
	waits := map[string]waiting{}
	gone := policiesGone(s.report.Locations, result.Report.Locations)
	for _, name := range slices.Sorted(maps.Keys(s.held)) {
		now, still := c.held[name]
		if !still {
			if info, err := os.Stat(name); err == nil && info.IsDir() {
				problems = append(problems, mirror.Problem{File: name,
					Message: "is a directory now and was a file: remove it if what the file held is to go"})
			}
			continue
		}
		loss := now.loss(s.held[name], gone[name])
		if loss == "" || s.options.Settle == 0 {
			continue
		}
		since := time.Now()
		if before, ok := s.waits[name]; ok && isUnchanged(before.info, now.info) {
			since = before.since
		}
		waits[name] = waiting{now.info, since}
		if time.Since(since) < s.options.Settle {
			problems = append(problems, mirror.Problem{File: name, Message: fmt.Sprintf("%s, as if it were being written: "+
				"taken when it has stood still for %v (--manifests-settle); rename a whole file over it, or remove it, and that is "+
				"taken at once", loss, s.options.Settle)})
		}
	}
	s.waits = waits
	if problems == nil {
		return nil
	}
	return &ProblemsError{Problems: problems}
}

// loss returns in words what an edit has removed that may be half done; "" for nothing. gone are the policies that were
// in the file and are nowhere now.
func (h *held) loss(was *held, gone []string) string {
	switch {
	case h.size == 0 && was.size > 0: // perhaps made anew, and about to be written
		return "is empty and was not"
	case h.isReplaced(was):
		return ""
	case h.objects == 0 && was.objects > 0:
		return fmt.Sprintf("held %d objects and holds none", was.objects)
	case len(gone) > 0:
		return "no longer holds " + namesOf(gone)
	case was.policies > 0 && h.isCutFrom(was):
		return "ends where it went on before"
	}
	return ""
}

// namesOf returns the first names of a list, and how many more there are.
func namesOf(list []string) string {
	slices.Sort(list)
	text := strings.Join(list[:min(len(list), maxNamed)], ", ")
	if more := len(list) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// policiesGone returns the names of the policies of which there is none any more, by the file that held them.
func policiesGone(was, now map[engine.ObjectKey]mirror.Location) map[string][]string {
	gone := map[string][]string{}
	for key, at := range was {
		if _, still := now[key]; !still {
			name := key.Name
			if key.Namespace != "" {
				name = key.Namespace + "/" + name
			}
			gone[at.File] = append(gone[at.File], name)
		}
	}
	return gone
}

// isUnchanged reports whether a file is as it was, by its size and the time of its last change.
func isUnchanged(was, now fs.FileInfo) bool {
	return was != nil && now != nil && os.SameFile(was, now) && was.Size() == now.Size() && was.ModTime().Equal(now.ModTime())
}

// settles returns the time until the next file has stood still long enough; 0 if none waits for that.
func (s *Source) settles() time.Duration {
	var next time.Duration
	for _, w := range s.waits {
		if left := s.options.Settle - time.Since(w.since); left > 0 && (next == 0 || left < next) {
			next = left
		}
	}
	return next
}

// hasSettled reports whether a file that was waited for has stood still long enough.
func (s *Source) hasSettled() bool {
	for _, w := range s.waits {
		if time.Since(w.since) >= s.options.Settle {
			return true
		}
	}
	return false
}
