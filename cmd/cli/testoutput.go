package cli

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
)

// A summary counts outcomes.
type summary struct {
	Passed int `json:"passed"`
	Failed int `json:"failed"`
	Errors int `json:"errors"`
	// unread counts the errors without an assertion.
	unread int
}

func summarise(results []result) summary {
	var s summary
	for _, r := range results {
		if r.assertion == "" {
			s.unread++
		}
		switch r.outcome {
		case holds:
			s.Passed++
		case fails:
			s.Failed++
		case noReply:
			s.Errors++
		}
	}
	return s
}

// String returns the counts in words.
func (s summary) String() string {
	if s.unread == 1 {
		return "nothing was asked: 1 error in the files of assertions"
	} else if s.unread > 1 {
		return fmt.Sprintf("nothing was asked: %d errors in the files of assertions", s.unread)
	}
	total := s.Passed + s.Failed + s.Errors
	if s.Passed == total {
		if total == 1 {
			return "1 assertion holds"
		}
		return fmt.Sprintf("all %d assertions hold", total)
	}
	text := fmt.Sprintf("%d of %d assertions hold", s.Passed, total)
	if s.Failed == 1 {
		text += ", 1 does not"
	} else if s.Failed > 1 {
		text += fmt.Sprintf(", %d do not", s.Failed)
	}
	if s.Errors == 1 {
		text += ", 1 has no answer"
	} else if s.Errors > 1 {
		text += fmt.Sprintf(", %d have no answer", s.Errors)
	}
	return text
}

// printError prints an error of the whole run as a result, unless results were printed. output is the form,
// because the error may come before the flags are read.
func (v *testVerb) printError(output string, failure error) {
	if v.printed {
		return
	}
	v.output = output
	// A failed print needs no error of its own: the error is on standard error in any case.
	_ = v.printForMachines([]result{{outcome: noReply,
		message: strings.ReplaceAll(failure.Error(), "\n", "; ")}})
}

// printForMachines prints results, unless they are for people.
func (v *testVerb) printForMachines(results []result) error {
	if v.output != jsonOutput && v.output != junitOutput && v.output != githubOutput {
		return nil
	}
	return v.print(results)
}

// print prints results in the form of -o.
func (v *testVerb) print(results []result) error {
	v.printed = true
	var text string
	var err error
	switch v.output {
	case jsonOutput:
		text, err = resultsJSON(results)
	case junitOutput:
		text, err = resultsJUnit(results)
	case githubOutput:
		text = resultsGitHub(results)
	default:
		text = v.inv.painted(resultsText(results, v.verbose))
	}
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return printText(v.inv.stdout, text)
}

// resultsText returns results for people:
//
//	FAIL   policies.txt:3: deploy/shop/frontend -> shop/redis-0 6379/TCP = allowed
//	  6379/TCP is denied
//	    denied   deploy/shop/frontend -> shop/redis-0 6379/TCP
//	      egress:   ...
//	24 of 25 assertions hold, 1 does not
func resultsText(results []result, verbose bool) string {
	var b strings.Builder
	words := map[outcome]string{holds: "ok   ", fails: "FAIL ", noReply: "ERROR"}
	for _, r := range results {
		if r.outcome == holds && !verbose {
			continue
		}
		fmt.Fprintf(&b, "%s  %s:%d: %s\n", words[r.outcome], r.file, r.line, r.assertion)
		if r.message != "" {
			fmt.Fprintf(&b, "  %s\n", r.message)
		}
		for line := range strings.Lines(r.explanation) {
			b.WriteString("    " + line)
		}
	}
	b.WriteString(summarise(results).String() + "\n")
	return b.String()
}

// A jsonResult is a result for machines.
type jsonResult struct {
	File        string  `json:"file"`
	Line        int     `json:"line,omitempty"`
	Assertion   string  `json:"assertion,omitempty"`
	Outcome     outcome `json:"outcome"`
	Message     string  `json:"message,omitempty"`
	Explanation string  `json:"explanation,omitempty"`
}

func resultsJSON(results []result) (string, error) {
	document := struct {
		Results []jsonResult `json:"results"`
		summary
	}{Results: []jsonResult{}, summary: summarise(results)}
	for _, r := range results {
		document.Results = append(document.Results, jsonResult{
			r.file, r.line, r.assertion, r.outcome, r.message, r.explanation,
		})
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(document)
	return b.String(), err
}

// The elements of JUnit's XML that CI systems read.
type (
	junitSuites struct {
		XMLName xml.Name      `xml:"testsuites"`
		Suites  []*junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string       `xml:"name,attr"`
		Class   string       `xml:"classname,attr"`
		File    string       `xml:"file,attr"`
		Line    int          `xml:"line,attr,omitempty"`
		Failure *junitDetail `xml:"failure"`
		Error   *junitDetail `xml:"error"`
	}
	junitDetail struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func resultsJUnit(results []result) (string, error) {
	var suites junitSuites
	byFile := map[string]*junitSuite{}
	for i := range results {
		r := &results[i]
		suite := byFile[r.file]
		if suite == nil {
			suite = &junitSuite{Name: r.file}
			byFile[r.file] = suite
			suites.Suites = append(suites.Suites, suite)
		}
		one := junitCase{Name: r.assertion, Class: r.file, File: r.file, Line: r.line}
		if one.Name == "" {
			one.Name = r.title()
		}
		detail := &junitDetail{Message: r.message, Text: r.message + "\n" + r.explanation}
		suite.Tests++
		switch r.outcome {
		case fails:
			suite.Failures++
			one.Failure = detail
		case noReply:
			suite.Errors++
			one.Error = detail
		case holds:
		}
		suite.Cases = append(suite.Cases, one)
	}
	text, err := xml.MarshalIndent(suites, "", "  ")
	return xml.Header + string(text) + "\n", err
}

// title returns in a few words what is wrong.
func (r *result) title() string {
	switch {
	case r.assertion == "" && r.file == "":
		return "nothing can be tested"
	case r.assertion == "" && r.line == 0:
		return "file cannot be read"
	case r.assertion == "":
		return fmt.Sprintf("line %d is no assertion", r.line)
	case r.outcome == noReply:
		return "assertion has no answer"
	}
	return "assertion does not hold"
}

// resultsGitHub returns results as workflow commands, which GitHub shows beside the lines of the files.
func resultsGitHub(results []result) string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b strings.Builder
	for i := range results {
		r := &results[i]
		if r.outcome == holds {
			continue
		}
		place := ""
		if r.file != "" {
			place = "file=" + property.Replace(r.file) + ","
		}
		if r.line > 0 {
			place += fmt.Sprintf("line=%d,", r.line)
		}
		text := strings.TrimSpace(r.assertion + "\n" + r.message + "\n" + r.explanation)
		fmt.Fprintf(&b, "::error %stitle=%s::%s\n", place, property.Replace(r.title()), data.Replace(text))
	}
	b.WriteString(summarise(results).String() + "\n")
	return b.String()
}
