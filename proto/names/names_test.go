package names_test

import (
	"strings"
	"testing"

	"github.com/netpold/netpold/proto/names"
)

// TestNames proves the limits. mirror/convert, which may import Kubernetes, compares them with it.
func TestNames(t *testing.T) {
	of := func(n int) string { return strings.Repeat("a", n) }
	for name, test := range map[string]struct {
		wrong      func(string) string
		good, bad  []string
		wantInText string
	}{
		"namespace": {names.Namespace, []string{"a", "0", "a-0", of(63)},
			[]string{"A", "a.b", "-a", "a-", "a_b", "é"}, "is not the name of a namespace; "},
		"long": {names.Namespace, nil, []string{of(64)},
			"is 64 bytes long; a namespace's name has at most 63"},
		"none": {names.Namespace, nil, []string{""}, "is required"},
		"label key": {names.LabelKey, []string{"app", "A.b_c-d", "x.y/app", of(253) + "/" + of(63)},
			[]string{"", "-a", "x.y/", "a b"}, "is not the key of a label; it has "},
		"prefix": {names.LabelKey, nil, []string{"/a", "X/a", "x..y/a", of(254) + "/a"},
			"is not the key of a label; before its "},
		"long key": {names.LabelKey, nil, []string{of(64), "x/" + of(64)},
			"is 64 bytes long; the name in a label's key has at most 63"},
		"label value": {names.LabelValue, []string{"", "a", "A.b_c-d", of(63)}, []string{"-", "a b", "a/b", "é"},
			"is not the value of a label; it has "},
		"long value": {names.LabelValue, nil, []string{of(64)}, "is 64 bytes long; a label's value has at most 63"},
		"port": {names.Port, []string{"http", "h-2", "8a", of(15)},
			[]string{"80", "-a", "a-", "a--b", "HTTP", "a_b"}, "is not the name of a port; it has "},
		"long port": {names.Port, nil, []string{of(16)}, "is 16 bytes long; a port's name has at most 15"},
		"no port":   {names.Port, nil, []string{""}, "is required: the port's name, for example "},
	} {
		for _, s := range test.good {
			if got := test.wrong(s); got != "" {
				t.Errorf("%s: %q %s", name, s, got)
			}
		}
		for _, s := range test.bad {
			if got := test.wrong(s); !strings.HasPrefix(got, test.wantInText) {
				t.Errorf("%s: %q %q, want %q", name, s, got, test.wantInText)
			}
		}
	}
}
