package convert_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/netpold/netpold/proto/names"
)

var operators = map[selection.Operator]names.Operator{
	selection.Equals: names.In, selection.DoubleEquals: names.In, selection.In: names.In,
	selection.NotEquals: names.NotIn, selection.NotIn: names.NotIn,
	selection.Exists: names.Exists, selection.DoesNotExist: names.DoesNotExist,
}

// FuzzParseSelector holds names.ParseSelector against the parser that kubectl's -l uses. They differ in three
// ways: no requirement at all, which selects everything, is an error here; so are > and <; and kubectl does
// not take every list with two commas before its bracket.
func FuzzParseSelector(f *testing.F) {
	for _, text := range []string{
		"app=web,tier!=old", "app in (web, api)", "app notin (web)", "app", "!app", "a==b", "a=", "a=,b", "in in (in)",
		"a in (,b)", "a in ()", "a in (b", "example.com/a=B.c_d-e", "a=b=c", "!a=b", "a in\t(\nb\r)", "a,,b", "a\u00a0=b",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x00") {
			t.Skip("kubectl takes a zero byte for the end")
		}
		selector, theirs := labels.Parse(text)
		ours, err := names.ParseSelector(text)
		if theirs != nil {
			if err == nil && !strings.Contains(strings.Join(strings.Fields(text), ""), ",,") {
				t.Fatalf("%q is parsed to %v; kubectl says %v", text, ours, theirs)
			}
			return
		}
		requirements, _ := selector.Requirements()
		compares := slices.ContainsFunc(requirements, func(r labels.Requirement) bool {
			return r.Operator() == selection.GreaterThan || r.Operator() == selection.LessThan
		})
		switch {
		case len(requirements) == 0 || compares:
			if err == nil {
				t.Fatalf("%q is parsed to %v, want an error", text, ours)
			}
			return
		case err != nil:
			t.Fatalf("%q: %v; kubectl parses it to %v", text, err, selector)
		}
		if got, want := selectorWords(ours), selectorWords(fromKubectl(requirements)); !slices.Equal(got, want) {
			t.Fatalf("%q is parsed to %q, by kubectl to %q", text, got, want)
		}
	})
}

func fromKubectl(requirements labels.Requirements) []names.Requirement {
	all := make([]names.Requirement, len(requirements))
	for i, r := range requirements {
		all[i] = names.Requirement{
			Key: r.Key(), Operator: operators[r.Operator()], Values: slices.Sorted(slices.Values(r.ValuesUnsorted())),
		}
	}
	return all
}

// selectorWords returns the requirements as text, sorted: kubectl sorts them by key.
func selectorWords(requirements []names.Requirement) []string {
	var words []string
	for _, r := range requirements {
		words = append(words, r.Key+" "+string('0'+rune(r.Operator))+" "+strings.Join(r.Values, "|"))
	}
	slices.Sort(words)
	return words
}
