package scenario_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/scenario"
)

const whole = `S2, S24. A Pod may always reach itself.
Really.
-- a.yaml --
kind: Pod
-- b.json --
{}
-- flags --
--ipblock-matches-pods=false
--namespace x
-- questions --
# Words.
shop/web-0 -> deploy/shop/web 53/UDP = denied DENIED_AT_INGRESS isolated_by=shop/a,shop/b families=- backends=0/2

 ::1 -> svc/shop/cart 80 = error NOT_FOUND POD_FINISHED dst
{"dst": {}, "port": 80} = error INVALID_ARGUMENT INVALID_QUESTION field=src
`

func TestParse(t *testing.T) {
	got, err := scenario.Parse("scenarios/s02-self.txtar", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := &scenario.Scenario{
		Name:    "s02-self",
		Comment: "S2, S24. A Pod may always reach itself.\nReally.",
		Rules:   []string{"S2", "S24"},
		Manifests: []scenario.Manifest{{Name: "a.yaml", Data: []byte("kind: Pod\n")},
			{Name: "b.json", Data: []byte("{}\n")}},
		Flags: scenario.Flags{
			Namespace: "x", Options: engine.Options{IPBlockIgnoresPods: true},
			Switches: []string{"--ipblock-matches-pods=false"},
		},
		Questions: []scenario.Question{{
			Text: "shop/web-0 -> deploy/shop/web 53/UDP = denied DENIED_AT_INGRESS isolated_by=shop/a,shop/b families=- backends=0/2",
			Src:  "shop/web-0", Dst: "deploy/shop/web",
			Request: &netpoldv1.AllowedRequest{
				Src: pod("shop", "web-0"), Dst: workload("shop", "Deployment", "web"), Port: 53,
				Protocol: netpoldv1.Protocol_PROTOCOL_UDP,
			},
			Want: scenario.Want{
				Reason:     netpoldv1.Reason_REASON_DENIED_AT_INGRESS,
				IsolatedBy: []string{"shop/a", "shop/b"},
				Families:   []netpoldv1.IpFamily{},
				Backends:   &scenario.Backends{Allowed: 0, Total: 2},
			},
		}, {
			Text: "::1 -> svc/shop/cart 80 = error NOT_FOUND POD_FINISHED dst", Src: "::1", Dst: "svc/shop/cart",
			Request: &netpoldv1.AllowedRequest{Src: ip("::1"), Dst: service("shop", "cart"), Port: 80},
			Want: scenario.Want{Error: &scenario.WantError{Code: codes.NotFound, Reason: "POD_FINISHED",
				End: "dst"}},
		}, {
			Text:    `{"dst": {}, "port": 80} = error INVALID_ARGUMENT INVALID_QUESTION field=src`,
			Request: &netpoldv1.AllowedRequest{Dst: &netpoldv1.Endpoint{}, Port: 80},
			Want: scenario.Want{Error: &scenario.WantError{Code: codes.InvalidArgument, Reason: "INVALID_QUESTION",
				Field: "src"}},
		}},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

func TestParseProblems(t *testing.T) {
	got, err := scenario.Parse("x.txtar", []byte("S23. Bad.\n-- c.yaml --\n-- problems --\n"+
		"NetworkPolicy shop/bad spec.ingress[0].from[0]: must: say\nNetworkPolicy shop/bad spec.policyTypes:\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []scenario.Problem{
		{Kind: "NetworkPolicy", Namespace: "shop", Name: "bad", Field: "spec.ingress[0].from[0]",
			Message: "must: say"},
		{Kind: "NetworkPolicy", Namespace: "shop", Name: "bad", Field: "spec.policyTypes"},
	}
	if diff := cmp.Diff(want, got.Problems); diff != "" {
		t.Errorf("Problems (-want +got):\n%s", diff)
	}
}

// TestParseRefuses proves that a mistake in a file is told, instead of leaving a question unasked.
func TestParseRefuses(t *testing.T) {
	const questions = "S1. X.\n-- c.yaml --\n-- questions --\n"
	const decided = questions + "10.0.0.1 -> 10.0.0.2 80 = "
	for _, test := range []struct{ name, text, want string }{
		{"no rule", "A Pod.\n-- c.yaml --\n-- questions --\n", "does not begin with the rules"},
		{"no manifest", "S1. X.\n-- questions --\n10.0.0.1 -> 10.0.0.2 80 = allowed SELF\n", "no manifest"},
		{"nothing asked", questions, "either questions or problems"},
		{"questions and problems", decided + "allowed SELF\n-- problems --\nPod a/b c: d\n",
			"either questions or problems"},
		{"a section twice", "S1. X.\n-- c.yaml --\n-- c.yaml --\n", "comes twice"},
		{"an unknown section", "S1. X.\n-- c.yml --\n", "none of *.yaml"},
		{"a manifest in a folder", "S1. X.\n-- ../c.yaml --\n", "in no folder"},
		{"an unknown flag", "S1. X.\n-- c.yaml --\n-- flags --\n--verbose\n", "line 1"},
		{"a bad problem", "S1. X.\n-- c.yaml --\n-- problems --\nbad\n", "KIND NAMESPACE/NAME"},
		{"no expectation", questions + "10.0.0.1 -> 10.0.0.2 80\n", `has no " = "`},
		{"no arrow", questions + "10.0.0.1 10.0.0.2 80 = allowed SELF\n", "SRC -> DST PORT"},
		{"no port", questions + "10.0.0.1 -> 10.0.0.2 = allowed SELF\n", "SRC -> DST PORT"},
		{"a bad address", questions + "10.0.0.256 -> 10.0.0.2 80 = allowed SELF\n", `"10.0.0.256" is none of`},
		{"a bad kind", questions + "pod/shop/web -> 10.0.0.2 80 = allowed SELF\n", "is none of"},
		{"an empty name", questions + "shop/ -> 10.0.0.2 80 = allowed SELF\n", "empty part"},
		{"a bad label", questions + "shop?app -> 10.0.0.2 80 = allowed SELF\n", "KEY=VALUE"},
		{"a bad port of labels", questions + "shop?a=b;port=80 -> 10.0.0.2 80 = allowed SELF\n", "NAME:PORT"},
		{"a bad port", questions + "10.0.0.1 -> 10.0.0.2 http = allowed SELF\n", "not a number"},
		{"a bad protocol", questions + "10.0.0.1 -> 10.0.0.2 80/ICMP = allowed SELF\n", "none of TCP"},
		{"an unspecified protocol", questions + "10.0.0.1 -> 10.0.0.2 80/UNSPECIFIED = allowed SELF\n",
			"none of TCP"},
		{"a bad request", questions + `{"source": {}} = allowed SELF`, "source"},
		{"a bad verdict", decided + "maybe SELF\n", "none of allowed"},
		{"a bad reason", decided + "allowed LUCK\n", "unknown"},
		{"no reason", decided + "allowed\n", "expects neither"},
		{"an unspecified reason", decided + "allowed UNSPECIFIED\n", "unknown"},
		{"a bad check", decided + "allowed SELF families=5\n", "families"},
		{"a check twice", decided + "allowed SELF egress=- egress=-\n", "twice"},
		{"an unknown check", decided + "allowed SELF port=80\n", "none of egress"},
		{"a rule without index", decided + "allowed SELF egress=shop/a\n", "POLICY#RULE"},
		{"isolated_by of an allowed one", decided + "allowed SELF isolated_by=a/b\n", "isolated_by is for"},
		{"more backends than all", decided + "allowed SELF backends=3/2\n", "ALLOWED/TOTAL"},
		{"a bad code", decided + "error LOST NOT_FOUND\n", "LOST"},
		{"a bad end", decided + "error NOT_FOUND NOT_FOUND middle\n", "none of src"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := scenario.Parse("x.txtar", []byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("../scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatal("no scenarios to start from", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(whole))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := scenario.Parse("fuzz.txtar", data)
		if err != nil {
			if s != nil {
				t.Errorf("a scenario beside the error %v", err)
			}
			return
		}
		if (len(s.Questions) == 0) == (len(s.Problems) == 0) {
			t.Errorf("%d questions and %d problems", len(s.Questions), len(s.Problems))
		}
		for _, q := range s.Questions {
			again, err := scenario.ParseQuestions(q.Text)
			if err != nil || len(again) != 1 {
				t.Fatalf("%q, parsed before, gives %d questions and %v", q.Text, len(again), err)
			}
			if diff := cmp.Diff(q, again[0], protocmp.Transform()); diff != "" {
				t.Errorf("%q, parsed again:\n%s", q.Text, diff)
			}
			if engineQuestion, ok := q.Engine(); ok && engineQuestion.Port == 0 {
				t.Errorf("%q reaches the engine with port 0", q.Text)
			}
		}
	})
}
