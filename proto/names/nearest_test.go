package names_test

import (
	"slices"
	"testing"

	"github.com/netpold/netpold/proto/names"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	candidates := []string{"tls-key", "listen", "admin-listen", "max-batch", "tls-kez"}
	for typed, want := range map[string]string{
		"lisen": "listen", "listen ": "listen", "maxbatch": "max-batch", "tls_key": "tls-key", "": "", "zzzzzz": "",
		"adminlisten": "admin-listen",
		"tls-kex":     "tls-key", // of two equally near, the smaller
	} {
		if got := names.Nearest(typed, slices.Values(candidates)); got != want {
			t.Errorf("Nearest(%q) is %q, want %q", typed, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"cart", "cart", 0}, {"cart", "card", 1}, {"cart", "chart", 1},
		{"frontend", "fronted", 1}, {"ab", "ba", 2}} {
		if got, back := names.Distance(test.a, test.b),
			names.Distance(test.b, test.a); got != test.want || back != test.want {
			t.Errorf("Distance(%q, %q) is %d and %d, want %d", test.a, test.b, got, back, test.want)
		}
	}
}
