package mirror

import (
	"fmt"
	"regexp"
	"strings"
)

// FoldedProblem is a problem that several objects have, told once.
type FoldedProblem struct {
	// Problem is the first.
	Problem
	// Count is how many there are, itself included.
	Count int
	// Also are the places of the next two.
	Also []string
}

// alsoNamed is how many places are named beside the first.
const alsoNamed = 2

// itemIndex matches the index of an item in a path.
var itemIndex = regexp.MustCompile(`\[\d+\]`)

// FoldProblems joins problems that differ in nothing but their place: the file, the object, or the item of a list. They keep
// the order of their first ones.
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
			list[i].Also = append(list[i].Also, p.Place())
		}
	}
	return list
}

// Place returns where a problem is, without what it is: shop.yaml, document 2: NetworkPolicy "shop/web": spec.egress[0].
func (p Problem) Place() string {
	p.Message, p.Warning = "", false
	return strings.TrimSuffix(strings.TrimSpace(p.String()), ":")
}

// String returns the problem in one line, with how many more there are and where.
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
