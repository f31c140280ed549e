// Package test asks one corpus of questions at every door of netpold: the oracle, the engine, gRPC, its
// stream and the command.
package test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/manifests"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/door"
	"github.com/netpold/netpold/test/scenario"
)

// evaluator answers every question of a cluster, in order. A nil answer is for a question that is wrong in
// itself and cannot be asked at that door (S28), and at the door "stream" for one that is not by IP.
type evaluator func(t *testing.T, c *cluster) []*netpoldv1.BatchAnswer

// cluster is what evaluators ask about.
type cluster struct {
	questions []scenario.Question
	// dir holds the manifests.
	dir   string
	flags scenario.Flags
	// objects are those of the manifests. Nobody changes them.
	objects []engine.Object
}

// doors are all ways to ask.
func doors() map[string]evaluator {
	return map[string]evaluator{"oracle": askOracle, "engine": askEngine, "grpc": askGRPC, "stream": askStream,
		"command": askCommand}
}

// TestScenarios asks the questions of every scenario file at every door.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios(t) {
		t.Run(s.Name, func(t *testing.T) {
			dir := write(t, s.Manifests)
			result, err := manifests.Read(t.Context(), manifests.Options{
				Paths: []string{dir}, Namespace: s.Flags.Namespace, IgnoreTiers: s.Flags.IgnoreTiers,
			})
			if len(s.Problems) > 0 {
				refused(t, s, dir, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			askEverywhere(t, &cluster{questions: s.Questions, dir: dir, flags: s.Flags, objects: result.Objects})
		})
	}
}

// TestExampleShop asks the questions that examples/shop/README.md tells its readers to try.
func TestExampleShop(t *testing.T) {
	const dir = "../examples/shop"
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(readme), "\n```questions\n")
	block, _, closed := strings.Cut(block, "\n```\n")
	if !found || !closed {
		t.Fatal("README.md has no block of questions")
	}
	questions, err := scenario.ParseQuestions(block)
	if err != nil {
		t.Fatal(err)
	}
	result, err := manifests.Read(t.Context(), manifests.Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Report.Problems) > 0 || len(result.Report.Ignored) > 0 {
		t.Errorf("problems %v and ignored kinds %v; a demonstration has none", result.Report.Problems,
			result.Report.Ignored)
	}
	askEverywhere(t, &cluster{questions: questions, dir: dir, objects: result.Objects})
}

// TestEveryRuleHasAScenario keeps the corpus whole. What files cannot show is proven elsewhere:
// test/scenarios/README.md says where.
func TestEveryRuleHasAScenario(t *testing.T) {
	elsewhere := []string{"S26", "S46", "S52"}
	var shown []string
	for _, s := range scenarios(t) {
		shown = append(shown, s.Rules...)
		if number, _, _ := strings.Cut(s.Name, "-"); !slices.ContainsFunc(s.Rules, func(rule string) bool {
			return strings.EqualFold(strings.Replace(number, "s0", "s", 1), rule)
		}) {
			t.Errorf("%s is not named after one of its rules %v", s.Name, s.Rules)
		}
	}
	semantics, err := os.ReadFile("../docs/semantics.md")
	if err != nil {
		t.Fatal(err)
	}
	for number := 1; number <= 52; number++ {
		rule := "S" + strconv.Itoa(number)
		if !slices.Contains(shown, rule) && !slices.Contains(elsewhere, rule) {
			t.Errorf("no scenario shows %s", rule)
		}
		if !strings.Contains(string(semantics), "\n### "+rule+". ") {
			t.Errorf("docs/semantics.md has no heading for %s", rule)
		}
	}
}

// TestScenarioWords proves that the command's words for endpoints mean what the scenarios mean by them.
func TestScenarioWords(t *testing.T) {
	for _, s := range scenarios(t) {
		for _, q := range s.Questions {
			for word, want := range map[string]*netpoldv1.Endpoint{q.Src: q.Request.GetSrc(),
				q.Dst: q.Request.GetDst()} {
				if word == "" || strings.ContainsAny(word, ";") || strings.HasPrefix(word, "::ffff:") {
					continue // JSON; what only scenarios can say; an address that the command unmaps
				}
				got, err := netpold.ParseEndpoint(word)
				if err != nil {
					t.Errorf("%s: %v", s.Name, err)
				}
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("%s: %q (-want +got):\n%s", s.Name, word, diff)
				}
			}
		}
	}
}

// scenarios reads the whole corpus.
func scenarios(t *testing.T) []*scenario.Scenario {
	t.Helper()
	names, err := filepath.Glob("scenarios/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no scenarios: ", err)
	}
	all := make([]*scenario.Scenario, len(names))
	for i, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if all[i], err = scenario.Parse(name, data); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// write puts manifests into a directory.
func write(t *testing.T, files []scenario.Manifest) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range files {
		if err := os.WriteFile(filepath.Join(dir, file.Name), file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func askEverywhere(t *testing.T, c *cluster) {
	t.Helper()
	for name, ask := range doors() {
		t.Run(name, func(t *testing.T) {
			answers := ask(t, c)
			if len(answers) != len(c.questions) {
				t.Fatalf("%d answers to %d questions", len(answers), len(c.questions))
			}
			for i, q := range c.questions {
				if answers[i] == nil {
					if _, ok := q.Engine(); ok && (name != "stream" || byIP(q)) {
						t.Errorf("%s\n\tnot asked", q.Text)
					}
					continue
				}
				if d := q.Want.Compare(answers[i]); len(d) > 0 {
					t.Errorf("%s\n\t%s\n\tin %s", q.Text, strings.Join(d, "\n\t"), scenario.Text(answers[i]))
				}
			}
		})
	}
}

func byIP(q scenario.Question) bool {
	return q.Request.GetSrc().GetIp() != "" && q.Request.GetDst().GetIp() != ""
}

// refused expects a start that reports the scenario's problems and no other, and that the command prints each
// of them (S23).
func refused(t *testing.T, s *scenario.Scenario, dir string, err error) {
	t.Helper()
	refusal, ok := errors.AsType[*manifests.ProblemsError](err)
	if !ok {
		t.Fatalf("reading gives %v, want problems", err)
	}
	left := slices.Clone(s.Problems)
	for _, p := range refusal.Problems {
		i := slices.IndexFunc(left, func(want scenario.Problem) bool {
			return want.Kind == p.Kind && want.Namespace == p.Namespace && want.Name == p.Name &&
				want.Field == p.Field &&
				strings.Contains(p.Message, want.Message) && p.File != ""
		})
		if i < 0 {
			t.Errorf("unexpected: %s", p)
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	for _, p := range left {
		t.Errorf("missing: %s %s/%s %s: %s", p.Kind, p.Namespace, p.Name, p.Field, p.Message)
	}
	code, _, stderr := door.Command(t.Context(), "", "check", "--manifests", dir, "192.0.2.1", "192.0.2.2",
		"-p", "80")
	if code != 2 {
		t.Errorf("the command exits with %d, want 2", code)
	}
	for _, p := range s.Problems {
		if !strings.Contains(stderr, p.Field) {
			t.Errorf("the command does not tell %s:\n%s", p.Field, stderr)
		}
	}
}
