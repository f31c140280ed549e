package flows

import (
	"encoding/json"
	"testing"
)

// The scanner takes what encoding/json takes, and reads strings as it does.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,-0.5e+3,true,false,null,{}],"b":"\u00e4\ud83d\ude00\ud83dx\/\b\f\n\r\t\"\\"}`, `"\ud800\u0041"`,
		`01`, `-`, `1.`, `1e`, `[1,]`, `{"a":1,}`, `{,}`, `nul`, ` [ ] `, "\"\x01\"",
		"\"\xff\xc3(\"", `"\x"`, `[[[`, ``, `{"a"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s scanner
		s.reset(text)
		s.skip()
		s.end()
		if valid := json.Valid(text); valid != (s.problem == "") {
			t.Fatalf("valid %v, problem %q", valid, s.problem)
		}
		s.reset(text)
		if s.peek() != '"' {
			return
		}
		var want string
		got := s.str()
		s.end()
		if err := json.Unmarshal(text, &want); err != nil {
			if s.problem == "" {
				t.Fatalf("read %q, but %v", got, err)
			}
			return
		}
		if string(got) != want {
			t.Fatalf("read %q, want %q", got, want)
		}
	})
}
