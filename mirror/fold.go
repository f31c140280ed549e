package mirror

import (
	"fmt"
	"regexp"
	"strings"
)

// A FoldedProblem is a problem that one or more objects have, reported once.
type FoldedProblem struct {
	// Problem is the first one.
	Problem
	// Count is the number of all, including the first.
	Count int
	// Also holds the locations of the next two.
	Also []string
}

// alsoNamed is how many locations are named besides the first.
const alsoNamed = 2

// itemIndex matches the index of an item in a path.
var itemIndex = regexp.MustCompile(`\[\d+\]`)

// FoldProblems joins problems that differ only in their location: the file, the object, or the item of a
// list. It keeps the order of the first ones.
func FoldProblems(problems []Problem) []FoldedProblem {
	type same struct {
		kind, field, message string
		warning              bool
	}
	var list []FoldedProblem
	at := map[same]int{}
	for _, p := range problems {
		key := same{p.Kind, itemIndex.ReplaceAllString(p.Field, "[]"), p.Message, p.Warning}
		i, seen := at[key]
		if !seen {
			at[key] = len(list)
			list = append(list, FoldedProblem{Problem: p, Count: 1})
			continue
		}
		list[i].Count++
		if len(list[i].Also) < alsoNamed {
			list[i].Also = append(list[i].Also, p.Location())
		}
	}
	return list
}

// FirstProblems returns the first most of the joined problems, and how many problems are not among them: an edit may
// make more than anybody reads.
func FirstProblems(problems []Problem, most int) (first []FoldedProblem, more int) {
	first = FoldProblems(problems)
	if len(first) <= most {
		return first, 0
	}
	for _, f := range first[most:] {
		more += f.Count
	}
	return first[:most], more
}

// Location returns where the problem is. Example: shop.yaml, document 2: NetworkPolicy "shop/web":
// spec.egress[0].
func (p Problem) Location() string {
	p.Message, p.Warning = "", false
	return strings.TrimSuffix(strings.TrimSpace(p.String()), ":")
}

// String returns the first problem in one line, with the number of the others and two of their locations.
func (f *FoldedProblem) String() string {
	text := f.Problem.String()
	if f.Count == 1 {
		return text
	}
	text += fmt.Sprintf(" (and %d more: %s", f.Count-1, strings.Join(f.Also, "; "))
	if more := f.Count - 1 - len(f.Also); more > 0 {
		text += "; ..."
	}
	return text + ")"
}
