package convert

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/netpold/netpold/proto/names"
)

// nameSeeds returns names on both sides of every limit.
func nameSeeds() []string {
	seeds := []string{
		"", "a", "A", "0", "-", "a-", "-a", "a-b", "a--b", "a.b", "a..b", ".a", "a.", "a_b", "_a", "a b", "a\n",
		"\xff", "é", "80", "8-0", "http", "Http",
		"/", "a/", "/a", "a/b", "a/b/c", "example.com/a", "Example.com/a", "example..com/a", "example.com/a.b_c-d",
		"example.com./a", "-x.y/a", "x/A", "x/a-",
	}
	for _, n := range []int{14, 15, 16, 62, 63, 64, 252, 253, 254} {
		long := strings.Repeat("a", n)
		seeds = append(seeds, long, long+"/a", "a/"+long, strings.Repeat("a.", n/2)+"a/b", long[:n-1]+"-")
	}
	return seeds
}

// FuzzNames compares the names that questions may have with what Kubernetes accepts.
func FuzzNames(f *testing.F) {
	for _, s := range nameSeeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for what, test := range map[string]struct {
			wrong string
			want  []string
		}{
			"namespace":   {names.Namespace(s), validation.IsDNS1123Label(s)},
			"label key":   {names.LabelKey(s), validation.IsQualifiedName(s)},
			"label value": {names.LabelValue(s), validation.IsValidLabelValue(s)},
			"port":        {names.Port(s), validation.IsValidPortName(s)},
		} {
			if (test.wrong == "") != (len(test.want) == 0) {
				t.Errorf("%s %q: %q, but Kubernetes says %q", what, s, test.wrong, test.want)
			}
		}
	})
}
