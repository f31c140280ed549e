package audits_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/audits/explaintext"
	"github.com/netpold/netpold/server/decisions"
	"github.com/netpold/netpold/server/servertest"
	"github.com/netpold/netpold/test/requests"
)

// X1: asked of random clusters, an explanation has the answer of Allowed field by field, or its error; its flags
// fit together, the rule that decided is the one that the answer names, and its text keeps to its bounds.
func TestX1ExplainIsTheAnswer(t *testing.T) {
	t.Parallel()
	seeds := uint64(150)
	if testing.Short() {
		seeds = 20
	}
	answered := 0
	for seed := range seeds {
		r := enginetest.NewRandom(seed)
		if seed%2 == 0 {
			r.WithTiers()
		}
		objects := r.Cluster()
		from := servertest.NewSource()
		var changes []engine.Change
		for _, o := range objects {
			changes = append(changes, engine.Change{Object: enginetest.Clone(o)})
		}
		from.Apply(changes...)
		s, allowed := audits.New(from, audits.Options{}), decisions.New(from, decisions.Options{})
		for i := range 40 {
			q := r.Question(objects)
			asked := requests.Of(q)
			asked.Details = i%2 == 0
			want, wantErr := allowed.Allowed(t.Context(), asked)
			got, err := s.Explain(t.Context(), &netpoldv1.ExplainRequest{Question: asked})
			if err != nil || wantErr != nil {
				text := strings.NewReplacer("question.src", "src", "question.dst", "dst").Replace(fmt.Sprint(err))
				if text != fmt.Sprint(wantErr) {
					t.Fatalf("seed %d: %s: Explain: %v; Allowed: %v", seed, q, err, wantErr)
				}
				continue
			}
			answered++
			if diff := cmp.Diff(want, got.GetAnswer(), protocmp.Transform()); diff != "" {
				t.Fatalf("seed %d: %s: -Allowed +Explain:\n%s", seed, q, diff)
			}
			broken := append(brokenSide(got.GetEgress(), want.GetEgress()), brokenSide(got.GetIngress(), want.GetIngress())...)
			broken = append(broken, brokenText(explaintext.Text(got, false), 40)...)
			broken = append(broken, brokenText(explaintext.Text(got, true), 1<<20)...)
			verdict := map[bool]string{true: "allowed ", false: "denied "}[want.GetAllowed()]
			if len(broken) > 0 || !strings.HasPrefix(got.GetText(), verdict) {
				t.Fatalf("seed %d: %s: %q\n%s", seed, q, broken, got.GetText())
			}
		}
	}
	if answered < 1000 && !testing.Short() {
		t.Errorf("%d questions had an answer", answered)
	}
}

// brokenSide returns how an explained side contradicts itself, or the side of the answer.
func brokenSide(s *netpoldv1.SideExplanation, answer *netpoldv1.Side) (broken []string) {
	note := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	if s.GetAllowed() != answer.GetAllowed() {
		note("it allows: %v", s.GetAllowed())
	}
	matches := func(anything bool, entries []*netpoldv1.Entry) bool {
		for _, e := range entries {
			if e.GetMatched() != (e.GetWhy() == netpoldv1.Miss_MISS_UNSPECIFIED) || e.GetDetail() == "" {
				note("entry %v", e)
			}
		}
		return anything || slices.ContainsFunc(entries, (*netpoldv1.Entry).GetMatched)
	}
	var decided []string
	tiers := 0
	for _, t := range s.GetTiers() {
		if t.GetDecided() {
			tiers++
		}
		if (t.GetVerdict() == netpoldv1.Action_ACTION_UNSPECIFIED) != (len(t.GetPolicies()) == 0) {
			note("tier %v says %v", t.GetTier(), t.GetVerdict())
		}
		for _, p := range t.GetPolicies() {
			for _, r := range p.GetRules() {
				if r.GetMatched() != (r.GetPeerMatched() && r.GetPortMatched()) ||
					r.GetPeerMatched() != matches(r.GetAnyPeer(), r.GetPeers()) ||
					r.GetPortMatched() != matches(r.GetAnyPort(), r.GetPorts()) {
					note("rule %d of %s does not fit together: %v", r.GetIndex(), p.GetName(), r)
				}
				if r.GetDecided() {
					name := p.GetName()
					if p.GetNamespace() != "" {
						name = p.GetNamespace() + "/" + name
					}
					decided = append(decided, fmt.Sprint(name, " ", r.GetIndex()))
				}
			}
		}
	}
	if tiers > 1 || len(decided) > 1 {
		note("%d tiers and rules %v decided", tiers, decided)
	}
	want := ""
	if answer.GetPolicy() != "" {
		want = fmt.Sprint(answer.GetPolicy(), " ", answer.GetRuleIndex())
	}
	if got := strings.Join(decided, ""); got != want {
		note("rule %q decided, and the answer names %q", got, want)
	}
	return broken
}

// brokenText returns which bounds a text breaks.
func brokenText(text string, most int) (broken []string) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > most {
		broken = append(broken, fmt.Sprint(len(lines), " lines"))
	}
	for _, line := range lines {
		outside := func(r rune) bool { return r < ' ' || r > '~' }
		if len(line) > 120 || strings.ContainsFunc(line, outside) || strings.TrimSpace(line) == "" {
			broken = append(broken, "the line "+line)
		}
	}
	return broken
}
