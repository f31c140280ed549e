package cli_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/netpold/netpold/cmd/cli"
)

// flowLines are records of [cluster], one of each outcome.
const flowLines = `{"src":"10.0.0.1","dst":"10.0.0.2","port":8080,"verdict":"allow","direction":"ingress","time":"2026-05-01T10:00:00Z"}
{"src":"10.0.0.3","dst":"10.0.0.2","port":8080,"verdict":"allow","direction":"egress"}
{"src":"10.0.0.3","dst":"10.0.0.2","port":8080,"verdict":"allow","direction":"ingress"}
{"src":"10.0.0.3","dst":"10.0.0.2","port":8080,"verdict":"denied","direction":"ingress"}
{"src":"shop/web-0","dst":"svc/shop/cart","port":80,"verdict":"deny"}
{"src":"10.0.0.3","dst":"shop/nobody","port":1}
{"src":"10.0.0.3","dst":"10.0.0.1","port":1}
{"src":"10.0.0.3","dst":"10.0.0.1","port":1,"reply":true}
{"src":"10.0.0.3","dst":"10.96.0.2","port":81,"verdict":"allow"}
`

// auditLines returns the messages of an audit as JSON: by kind, in order.
func auditLines(t *testing.T, stdout string) (kinds []string, items []map[string]any) {
	t.Helper()
	for line := range strings.Lines(stdout) {
		var m map[string]map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil || len(m) != 1 {
			t.Fatalf("%v: %s", err, line)
		}
		for kind, item := range m {
			kinds, items = append(kinds, kind), append(items, item)
		}
	}
	return kinds, items
}

// F1, F3, F4: each record has its answer, in order, between header and summary.
func TestF1EachRecordHasItsAnswer(t *testing.T) {
	state, records := writeFile(t, "cluster.yaml", cluster), writeFile(t, "flows.jsonl", flowLines)
	got := netpold(t, "audit", records, "--manifests", state, "-o", "json")
	kinds, items := auditLines(t, got.stdout)
	if want := "header" + strings.Repeat(" flow", 9) + " summary"; strings.Join(kinds, " ") != want || got.code != 1 {
		t.Fatalf("exit %d: %v\n%s", got.code, kinds, got.stderr)
	}
	for i, want := range []struct {
		reason, compared, why string
		sides                 bool
	}{
		{"REASON_ALLOWED_BY_RULE", "AGREES", "", false},
		{"REASON_DENIED_AT_INGRESS", "AGREES", "", true},
		{"REASON_DENIED_AT_INGRESS", "DISAGREES", "", true},
		{"REASON_DENIED_AT_INGRESS", "AGREES", "", true},
		{"REASON_ALLOWED_BY_RULE", "DISAGREES", "", true},
		{"REASON_UNSPECIFIED", "", "unresolved", false},
		{"REASON_NOT_ISOLATED", "", "no-verdict", false},
		{"REASON_UNSPECIFIED", "", "reply", false},
		{"REASON_UNSPECIFIED", "", "unresolved", false},
	} {
		flow := items[i+1]
		_, egress := flow["egress"]
		_, ingress := flow["ingress"]
		if flow["line"] != float64(i+1) || flow["file"] != records || flow["reason"] != want.reason ||
			flow["compared"] != want.compared || flow["why"] != want.why || egress != want.sides || ingress != want.sides {
			t.Errorf("line %d: %v, want %+v", i+1, flow, want)
		}
	}
	summary := items[len(items)-1]
	for field, want := range map[string]string{
		"records": "9", "asked": "8", "allowed": "3", "denied": "3", "agrees": "3", "disagrees": "2", "notCompared": "3",
	} {
		if summary[field] != want {
			t.Errorf("%s is %v, want %s", field, summary[field], want)
		}
	}
}

// A6: with a server and without, an audit prints the same bytes in every form, but for what differs between runs.
func TestA6AuditWithServerAndWithout(t *testing.T) {
	state, records := writeFile(t, "cluster.yaml", cluster), writeFile(t, "flows.jsonl", flowLines)
	server := serve(t, "--manifests", state).addr
	runs := regexp.MustCompile(`"(revision|token|snapshotTime|took)":"[^"]*"|snapshot of [^,]*`)
	for _, args := range [][]string{
		{"-o", "json"}, {"-o", "table"}, {"-o", "csv"}, {"-o", "csv", "--summary-only"}, {"--only", "disagree"},
		{"-o", "json", "--only", "unresolved"}, {"--only", "denied"}, {"--only", "allowed"}, {"--summary-only"},
	} {
		near := netpold(t, append([]string{"audit", records, "--manifests", state}, args...)...)
		far := netpold(t, append([]string{"audit", records, "--server", server}, args...)...)
		if near.code != 1 || far.code != 1 {
			t.Errorf("%v: exit codes %d and %d\n%s%s", args, near.code, far.code, near.stderr, far.stderr)
		}
		a, b := runs.ReplaceAllString(near.stdout, ""), runs.ReplaceAllString(far.stdout, "")
		if a != b || a == "" {
			t.Errorf("%v prints\n%s\nand with a server\n%s", args, near.stdout, far.stdout)
		}
	}
}

// F7: the exit code says what --fail-on names, and 2 outranks 1.
func TestF7ExitCodes(t *testing.T) {
	state := writeFile(t, "cluster.yaml", cluster)
	agrees, _, _ := strings.Cut(flowLines, "\n")
	lines := strings.SplitAfter(flowLines, "\n")
	zipped := filepath.Join(t.TempDir(), "flows.gz")
	file, err := os.Create(zipped)
	if err != nil {
		t.Fatal(err)
	}
	w := gzip.NewWriter(file)
	if _, err := w.Write([]byte(strings.Repeat(flowLines, 50))); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil { // and no end
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		stdin  string
		args   []string
		code   int
		stderr string
	}{
		"agrees":             {agrees, nil, 0, ""},
		"disagrees":          {flowLines, nil, 1, ""},
		"disagrees, none":    {flowLines, []string{"--fail-on", "none"}, 0, ""},
		"denied":             {lines[3], []string{"--fail-on", "denied"}, 1, ""},
		"denied and agrees":  {lines[3], nil, 0, ""},
		"malformed":          {flowLines + "{\"src\":1}\n", nil, 2, "1 of 10 records are malformed; the first is -: line 10: "},
		"malformed, skipped": {agrees + "\n{\"src\":1}\n", []string{"--skip-malformed"}, 0, ""},
		"no words":           {`{"src":"nonsense","dst":"10.0.0.1","port":1}`, []string{"--format", "jsonl"}, 2, "src: endpoint \"nonsense\""},
		"cut gzip":           {agrees, []string{zipped, "-"}, 2, "ends inside a gzip stream"},
		"no file":            {"", []string{"missing.json"}, 2, "missing.json"},
		"directory":          {"", []string{t.TempDir()}, 2, "is a directory"},
		"stdin twice":        {"", []string{"-", "-"}, 2, "standard input can be read once"},
		"no time":            {"", []string{"--since", "yesterday"}, 2, "--since: \"yesterday\" is not a time"},
		"milliseconds":       {"", []string{"--since", "1777629600000"}, 2, "--since: \"1777629600000\" is after the year 9999"},
		"no time zone":       {"", []string{"--until", "2026-05-01T10:00:00"}, 2, "--until: \"2026-05-01T10:00:00\" has no time zone; write"},
		"no window":          {"", []string{"--since", "5", "--until", "5"}, 2, "there is no time between them"},
		"columns of hubble":  {"", []string{"--format", "hubble", "--columns", "src=a"}, 2, "--columns"},
		"nothing":            {"", nil, 0, ""},
		"out of time":        {lines[2], []string{"--since", "2026-01-01T00:00:00Z", "--until", "2026-01-02T00:00:00Z"}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"audit", "--manifests", state, "-o", "json"}, test.args...)
			got := netpoldWith(t, nil, test.stdin, args...)
			if got.code != test.code || !strings.Contains(got.stderr, test.stderr) ||
				test.stderr == "" && withoutNotes(got.stderr) != "" {
				t.Errorf("exit %d, want %d\n%s%s", got.code, test.code, got.stdout, got.stderr)
			}
			kinds, items := auditLines(t, got.stdout)
			last := kinds[len(kinds)-1]
			if whole := name != "no file" && name != "directory" && !strings.HasPrefix(test.stderr, "-") &&
				name != "stdin twice" && name != "no window" && name != "columns of hubble"; whole != (last == "summary") {
				t.Errorf("the last line is %s", last)
			}
			if name == "cut gzip" && len(items[len(items)-1]["inputErrors"].([]any)) != 1 {
				t.Errorf("the summary is %v", items[len(items)-1])
			}
		})
	}
}

// F7: output that cannot be written is exit code 2.
func TestF7AuditWithoutOutput(t *testing.T) {
	state := writeFile(t, "cluster.yaml", cluster)
	records := writeFile(t, "flows.jsonl", flowLines)
	for _, output := range []string{"table", "json", "csv"} {
		var stderr bytes.Buffer
		args := []string{"audit", records, "--manifests", state, "-o", output}
		if code := cli.Run(t.Context(), args, strings.NewReader(""), failingWriter{}, &stderr, nil); code != 2 {
			t.Errorf("-o %s ends with %d\n%s", output, code, stderr.String())
		}
	}
}

// F2: a window of time.
func TestF2Window(t *testing.T) {
	state := writeFile(t, "cluster.yaml", cluster)
	line := func(time string) string {
		return `{"src":"10.0.0.3","dst":"10.0.0.1","port":1,"time":"` + time + "\"}\n"
	}
	stdin := line("2026-05-01T09:59:59.999Z") + line("2026-05-01T10:00:00Z") + line("2026-05-01T10:59:59Z") +
		line("2026-05-01T13:00:00+02:00") + line("1777629600")
	got := netpoldWith(t, nil, stdin, "audit", "--manifests", state, "-o", "json", "--since", "2026-05-01T10:00:00Z",
		"--until", "1777633200")
	_, items := auditLines(t, got.stdout)
	var why []string
	for _, flow := range items[1 : len(items)-1] {
		why = append(why, flow["why"].(string))
	}
	if text := strings.Join(why, " "); text != "out-of-time no-verdict no-verdict out-of-time no-verdict" {
		t.Errorf("%s\n%s", text, got.stdout)
	}
}
