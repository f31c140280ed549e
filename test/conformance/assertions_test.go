package conformance

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestAssertions(t *testing.T) {
	for name, tc := range map[string]struct {
		body            string
		allowed, denied int
		wantErr         string
	}{
		"counted":    {"k.PokeServer(t, 80, true); ok := k.PokeServer(false); k.PokeServer(true); f(false)", 2, 1, ""},
		"loop":       {"for i := range 3 { k.PokeServer(true) }", 0, 0, "tests/a.go:3:1: a loop"},
		"no literal": {"k.PokeServer(!want)", 0, 0, "tests/a.go:3:1: the expectation"},
	} {
		t.Run(name, func(t *testing.T) {
			text := "package tests\nfunc _() {\n" + tc.body + "\n}\n"
			allowed, denied, err := Assertions(fstest.MapFS{"tests/a.go": {Data: []byte(text)}})
			switch {
			case tc.wantErr == "" && err != nil, tc.wantErr != "" && err == nil:
				t.Fatalf("error %v, want %q", err, tc.wantErr)
			case err != nil && !strings.Contains(err.Error(), tc.wantErr):
				t.Fatalf("error %v, want %q", err, tc.wantErr)
			case allowed != tc.allowed || denied != tc.denied:
				t.Errorf("%d allowed, %d denied; want %d, %d", allowed, denied, tc.allowed, tc.denied)
			}
		})
	}
}
