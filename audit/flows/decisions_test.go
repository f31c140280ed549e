package flows_test

import (
	"testing"

	"github.com/netpold/netpold/audit/flows"
)

func TestF2Decisions(t *testing.T) {
	const missing = `; give lines of the decision log as "netpold serve" writes them`
	for _, c := range []struct {
		line     string
		why      flows.Why
		question string
		observed flows.Observed
		problem  string
	}{
		{line: `{"question":{"port":80},"answer":{"allowed":true}}`, question: `{"port":80}`,
			observed: flows.ObservedAllowed},
		{line: `{"answer":{"reason":"x","allowed":false},"question": { "port" : 80 } }`,
			question: `{ "port" : 80 }`, observed: flows.ObservedDenied},
		// A default may be left out: that is a denial, never an allowance.
		{line: `{"question":{},"answer":{}}`, question: `{}`, observed: flows.ObservedDenied},
		{line: `{"question":{},"answer":{"allowed":null}}`, question: `{}`, observed: flows.ObservedDenied},
		{line: `{"question":{},"error":{"code":5}}`, question: `{}`},
		{line: `{"question":{},"error":{"code":5},"answer":null}`, question: `{}`},
		{line: `{"time":"2026-01-01T00:00:00Z","dropped":12}`, why: flows.NotAFlow},
		{line: `{"question":{}}`, why: flows.Malformed, problem: "answer: is missing, and error too" + missing},
		{line: `{"answer":{"allowed":true}}`, why: flows.Malformed, problem: "question: is missing" + missing},
		{line: `{"question":null,"answer":{}}`, why: flows.Malformed, problem: "question: is missing" + missing},
		{line: `{"question":"a","answer":{}}`, why: flows.Malformed,
			problem: `question: "\"a\"" is not an object; give one`},
		{line: `{"question":{},"answer":{"allowed":1}}`, why: flows.Malformed,
			problem: `answer.allowed: "1" is neither true nor false; give one of them`},
		{line: `{"question":{},"answer":true}`, why: flows.Malformed,
			problem: `answer: "true" is not an object; give an object`},
		{line: `{"question":{},"answer":{},"time":"today"}`, why: flows.Malformed, problem: `time: "today" ` +
			`is not a time; give RFC 3339 such as "2026-01-31T15:04:05Z", or Unix seconds`},
		{line: `{"question":{"port":80},"ans`, why: flows.Malformed},
	} {
		rec := readText(t, c.line, flows.Options{Format: flows.Decisions})[0]
		if rec.Why != c.why || string(rec.Question) != c.question || rec.Observed != c.observed ||
			c.problem != "" && rec.Problem != c.problem {
			t.Errorf("%s reads %+v", c.line, rec)
		}
	}
}
