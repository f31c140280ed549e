package cli_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testDocument is what -o json prints.
type testDocument struct {
	Results []struct {
		File                 string
		Line                 int
		Assertion, Outcome   string
		Message, Explanation string
	}
	Passed, Failed, Errors int
}

// junitDocument is what readers of JUnit's XML take from -o junit.
type junitDocument struct {
	Suites []struct {
		Name   string `xml:"name,attr"`
		Errors int    `xml:"errors,attr"`
		Cases  []struct {
			Name    string    `xml:"name,attr"`
			Line    int       `xml:"line,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct {
				Message string `xml:"message,attr"`
			} `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// annotated returns a file's name as a workflow command has it.
func annotated(file string) string { return strings.NewReplacer("%", "%25", ",", "%2C").Replace(file) }

func TestTestForms(t *testing.T) {
	cluster := writeFile(t, "cluster.yaml", cluster)
	file := writeFile(t, "a,b%.txt", assertions+"shop/nobody -> svc/shop/cart 80 = allowed\n")
	run := func(form string) string {
		got := netpold(t, "test", file, "--manifests", cluster, "-o", form)
		got.want(t, 2, "\n", "not every assertion has an answer")
		return got.stdout
	}

	var document testDocument
	if err := json.Unmarshal([]byte(run("json")), &document); err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	for _, r := range document.Results {
		is := fmt.Sprint(r.Line, r.Outcome, " ", r.Message != "", " ", r.Explanation != "")
		outcomes = append(outcomes, is)
	}
	want := []string{"2pass false false", "3fail true true", "4fail true true", "5error true false"}
	if d := cmp.Diff(want, outcomes); d != "" {
		t.Errorf("JSON, -want +got:\n%s", d)
	}
	if document.Passed != 1 || document.Failed != 2 || document.Errors != 1 {
		t.Errorf("counts %+v", document)
	}

	var suites junitDocument
	junit := run("junit")
	if err := xml.Unmarshal([]byte(junit), &suites); err != nil {
		t.Fatal(err)
	}
	if len(suites.Suites) != 1 || len(suites.Suites[0].Cases) != 4 ||
		suites.Suites[0].Cases[1].Failure == nil || suites.Suites[0].Cases[3].Error == nil ||
		!strings.Contains(junit, `tests="4" failures="2" errors="1"`) {
		t.Errorf("JUnit:\n%s", junit)
	}

	github := run("github")
	first := "::error file=" + annotated(file) + ",line=3,title=assertion does not hold::" +
		"shop/other-0 -> shop/cart-0 8080/TCP = allowed%0A8080/TCP is denied%0Adenied   "
	if !strings.HasPrefix(github, first) || strings.Count(github, "\n") != 4 {
		t.Errorf("GitHub:\n%s\nwant first\n%s", github, first)
	}
	last := ",line=5,title=assertion has no answer::" +
		"shop/nobody -> svc/shop/cart 80/TCP = allowed%0A80/TCP has no answer: "
	if !strings.Contains(github, last) {
		t.Errorf("GitHub:\n%s\nwant last\n%s", github, last)
	}
}

// What is no assertion is in the forms for machines, too: CI shows it at its line.
func TestTestFormsOfFilesThatCannotBeRead(t *testing.T) {
	cluster := writeFile(t, "cluster.yaml", cluster)
	good := writeFile(t, "good.txt", assertions)
	bad := writeFile(t, "bad.txt", "shop/a -> shop/b 80 = denied\n\n"+
		"shop/web-0 -> svc/shop/cart 0 = allowed\n")
	missing := filepath.Join(t.TempDir(), "missing.txt")
	run := func(form string) string {
		got := netpold(t, "test", good, bad, missing, "--manifests", cluster, "-o", form)
		got.want(t, 2, "\n", `bad.txt:3: "shop/web-0 -> svc/shop/cart 0 = allowed": port "0": `)
		got.want(t, 2, "\n", "missing.txt: no such file or directory")
		return got.stdout
	}

	var document testDocument
	if err := json.Unmarshal([]byte(run("json")), &document); err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	for _, r := range document.Results {
		is := fmt.Sprint(filepath.Base(r.File), " ", r.Line, r.Outcome, " ", r.Message != "", r.Assertion)
		outcomes = append(outcomes, is)
	}
	want := []string{"bad.txt 3error true", "missing.txt 0error true"}
	if d := cmp.Diff(want, outcomes); d != "" || document.Errors != 2 {
		t.Errorf("JSON, %d errors, -want +got:\n%s", document.Errors, d)
	}

	var suites junitDocument
	if err := xml.Unmarshal([]byte(run("junit")), &suites); err != nil {
		t.Fatal(err)
	}
	if len(suites.Suites) != 2 || suites.Suites[0].Errors != 1 || len(suites.Suites[0].Cases) != 1 {
		t.Fatalf("JUnit: %+v", suites)
	}
	one := suites.Suites[0].Cases[0]
	if one.Name != "line 3 is no assertion" || one.Line != 3 || one.Error == nil ||
		!strings.Contains(one.Error.Message, `port "0": write a number`) {
		t.Errorf("JUnit: %+v", one)
	}

	github := run("github")
	for _, want := range []string{
		"::error file=" + annotated(bad) + ",line=3,title=line 3 is no assertion::" +
			`"shop/web-0 -> svc/shop/cart 0 = allowed": port `,
		"::error file=" + annotated(missing) + ",title=file cannot be read::open ",
		"\nnothing was asked: 2 errors in the files of assertions\n",
	} {
		if !strings.Contains(github, want) {
			t.Errorf("GitHub:\n%s\nwant in it\n%s", github, want)
		}
	}
}

// When nothing can be asked, each assertion is an error in the forms for machines.
func TestTestFormsWithoutAnyAnswer(t *testing.T) {
	got := netpold(t, "test", shopAssertions, "--server", "127.0.0.1:1", "--timeout", "1s", "-o", "json")
	got.want(t, 2, "\n", "--server 127.0.0.1:1: ")
	var document testDocument
	if err := json.Unmarshal([]byte(got.stdout), &document); err != nil {
		t.Fatal(err)
	}
	if document.Errors != 24 || len(document.Results) != 24 ||
		!strings.HasPrefix(document.Results[0].Message, "--server 127.0.0.1:1: ") {
		t.Errorf("%+v", document)
	}
	text := netpold(t, "test", shopAssertions, "--manifests", filepath.Join(t.TempDir(), "none"))
	if text.stdout != "" {
		t.Errorf("as text it prints\n%s", text.stdout)
	}
}
