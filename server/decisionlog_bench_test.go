package server_test

import (
	"path/filepath"
	"slices"
	"testing"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/server"
)

// BenchmarkDecisionLog measures what the decision log costs, with client, server and writer on the same cores.
// Compare neighbouring lines of one run: those with the log and without it take turns. Denials are always
// written, so the share of them counts: mesh has one in a thousand, half has 500 (and more than any writer
// writes).
func BenchmarkDecisionLog(b *testing.B) {
	without := wire(b)
	logged := func(sample float64) *wired {
		return wire(b, func(c *server.Config) {
			c.DecisionLog, c.DecisionLogSample = filepath.Join(b.TempDir(), "decisions"), sample
		})
	}
	all, few := logged(1), logged(0.001)
	denied, allowed := without.verdicts(b)
	for range 5 {
		b.Run("Allowed/off", func(b *testing.B) { callers(b, 1, without.allowed) })
		b.Run("Allowed/all", func(b *testing.B) { callers(b, 1, all.allowed) })
		for _, traffic := range []struct {
			name    string
			denials int
		}{{"mesh", 1}, {"half", 500}} {
			without.questions = mixed(allowed, denied, traffic.denials)
			few.questions = without.questions
			b.Run("StreamAllowed/"+traffic.name+"/off", func(b *testing.B) { without.streams(b, batchSize) })
			b.Run("StreamAllowed/"+traffic.name+"/0.001", func(b *testing.B) { few.streams(b, batchSize) })
		}
	}
}

// verdicts returns the questions of w that are denied, and those that are allowed.
func (w *wired) verdicts(b *testing.B) (denied, allowed []netpold.Question) {
	b.Helper()
	i := 0
	for verdict, err := range w.client.AllowedMany(b.Context(), slices.Values(w.questions)) {
		if err != nil || verdict.Err != nil {
			b.Fatal(err, verdict.Err)
		}
		if verdict.Allowed {
			allowed = append(allowed, w.questions[i])
		} else {
			denied = append(denied, w.questions[i])
		}
		i++
	}
	return denied, allowed
}

// mixed returns as many questions as a benchmark asks, of which so many in a thousand are denied.
func mixed(allowed, denied []netpold.Question, denials int) []netpold.Question {
	out := make([]netpold.Question, asked)
	for i := range out {
		from := allowed
		// A prime spreads the denials.
		if i*389%1000 < denials {
			from = denied
		}
		out[i] = from[i%len(from)]
	}
	return out
}
