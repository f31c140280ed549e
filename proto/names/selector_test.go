package names_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/netpold/netpold/proto/names"
)

func TestParseSelector(t *testing.T) {
	t.Parallel()
	one := func(key string, operator names.Operator, values ...string) []names.Requirement {
		return []names.Requirement{{Key: key, Operator: operator, Values: values}}
	}
	for text, want := range map[string][]names.Requirement{
		"app=web":                  one("app", names.In, "web"),
		" app == web ":             one("app", names.In, "web"),
		"app=":                     one("app", names.In, ""),
		"app!=web":                 one("app", names.NotIn, "web"),
		"app":                      one("app", names.Exists),
		"!app":                     one("app", names.DoesNotExist),
		"app in (web, api,web)":    one("app", names.In, "api", "web"),
		"app in(web)":              one("app", names.In, "web"),
		"app notin (,web)":         one("app", names.NotIn, "", "web"),
		"app in ()":                one("app", names.In, ""),
		"in in (in)":               one("in", names.In, "in"),
		"example.com/a=B.c_d-e":    one("example.com/a", names.In, "B.c_d-e"),
		"app=web,tier in (a),!x":   append(append(one("app", names.In, "web"), one("tier", names.In, "a")...), one("x", names.DoesNotExist)...),
		"app=,x":                   append(one("app", names.In, ""), one("x", names.Exists)...),
		"notin\tnotin\n(notin,in)": one("notin", names.NotIn, "in", "notin"),
	} {
		got, err := names.ParseSelector(text)
		if err != nil || !slices.EqualFunc(got, want, func(a, b names.Requirement) bool {
			return a.Key == b.Key && a.Operator == b.Operator && slices.Equal(a.Values, b.Values)
		}) {
			t.Errorf("%q is parsed to %v (%v), want %v", text, got, err, want)
		}
	}
}

func TestParseSelectorErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":              "a condition is missing at the end",
		"app=web,":      "a condition is missing at the end",
		"!":             "a condition is missing at the end",
		",app":          `there is "," where the key of a label belongs`,
		"=web":          `there is "=" where the key of a label belongs`,
		"app=web=x":     `after the condition on "app" stands "="`,
		"app web":       `after "app" stands "web", where =, !=, in or notin belongs`,
		"app=(web)":     `there is "(" where the value of "app" belongs`,
		"app in web":    `the values of "app" belong in brackets`,
		"app in (web":   `the brackets after "app" are not closed`,
		"app in (a b)":  `among the values of "app" is "b"`,
		"app in (a=b)":  `among the values of "app" is "="`,
		"app>3":         `">" compares numbers`,
		"a b":           `after "a" stands "b"`,
		"a/b/c=d":       `"a/b/c" is not the key of a label`,
		"app=<script>":  `there is "<" where the value of "app" belongs`,
		"app=\x1b[31m":  `"\x1b[31m" is not the value of a label`,
		"app=\u202eweb": `is not the value of a label`,
		"!app=x":        `after the condition on "app" stands "="`,
	} {
		got, err := names.ParseSelector(text)
		if err == nil {
			t.Errorf("%q is parsed to %v", text, got)
			continue
		}
		if !strings.Contains(err.Error(), want) || !strings.HasSuffix(err.Error(), `"!app" (has it not)`) {
			t.Errorf("%q gives\n%v\nwant in it\n%s", text, err, want)
		}
	}
}
