package manifests

import (
	"context"
	"log/slog"
	"slices"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// attributes returns the attributes of a log record about a problem, without unknown ones.
func attributes(p *mirror.FoldedProblem) []any {
	list := []any{"file", p.File}
	if p.Document > 0 {
		list = append(list, "document", p.Document)
	}
	if object := p.Object(); object != "" {
		list = append(list, "object", object)
	}
	if p.Field != "" {
		list = append(list, "field", p.Field)
	}
	list = append(list, "problem", p.Message)
	if p.Count > 1 {
		list = append(list, "count", p.Count, "also", p.Also)
	}
	return list
}

// maxLogged is how many problems of one edit are logged. The others are counted.
const maxLogged = 20

// logProblems logs the first problems of an edit, and how many more there are.
func (s *Source) logProblems(level slog.Level, message string, problems []mirror.Problem) {
	first, more := mirror.FirstProblems(problems, maxLogged)
	for i := range first {
		s.log.Log(context.Background(), level, message, attributes(&first[i])...) //nolint:sloglint // its callers have constants
	}
	if more > 0 {
		s.log.Log(context.Background(), level, message, "more", more, //nolint:sloglint // as above
			"problem", "mend those that are logged first")
	}
}

// maxNamed is how many removed policies a record names.
const maxNamed = 5

// logRemovedPolicies logs the policies that an edit removed: what they denied may be allowed now. A file left
// out by mistake looks the same.
func (s *Source) logRemovedPolicies(changes []engine.Change, remaining int) {
	var removed []string
	for _, c := range changes {
		if name := mirror.PolicyName(c.Object); c.Delete && name != "" {
			removed = append(removed, name)
		}
	}
	if len(removed) == 0 {
		return
	}
	slices.Sort(removed)
	s.log.Warn("the edit removes policies: what they denied may be allowed now", "path", s.options.paths(),
		"removed", len(removed), "remaining", remaining, "policies", removed[:min(len(removed), maxNamed)])
}
