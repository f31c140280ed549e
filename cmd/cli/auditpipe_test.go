package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// answersPipe runs the program on a named pipe, which is opened once: what has come is answered before the pipe
// ends. If it is interrupted meanwhile, there is no summary and the exit code is 2 (F1, F7).
func answersPipe(t *testing.T, binary string, interrupted bool) {
	t.Helper()
	file, pipe := writeFile(t, "cluster.yaml", cluster), filepath.Join(t.TempDir(), "flows")
	if output, err := exec.CommandContext(t.Context(), "mkfifo", pipe).CombinedOutput(); err != nil {
		t.Skipf("no named pipes here: %v %s", err, output)
	}
	p := start(t, binary, "audit", pipe, "--manifests", file, "-ojson", "--fail-on=disagree")
	writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if _, err := writer.WriteString(flowLines); err != nil {
		t.Fatal(err)
	}
	p.stdout.awaitText(t, func(text string) bool { return strings.Contains(text, `"line":9,`) })
	code, last := 1, `{"summary":{"records":"9","asked":"8",`
	if interrupted {
		code, last = 2, `{"error":{"code":2,"message":"stopped after 9 records, without a summary: interrupt`
		p.signal(t, syscall.SIGINT)
	} else if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	got := p.exit(t)
	lines := strings.Split(strings.TrimSpace(p.stdout.String()), "\n")
	if got != code || len(lines) != 11 || !strings.HasPrefix(lines[10], last) {
		t.Errorf("exits with %d, want %d, after %d lines, the last of which is\n%s\n%s", got, code, len(lines),
			lines[len(lines)-1], p.stderr)
	}
}

// A8, F6: records whose words or questions are long are few at once, however many there are, and are answered.
func TestA8LongWords(t *testing.T) {
	state := writeFile(t, "cluster.yaml", cluster)
	labels := make([]string, 2000)
	for i := range labels {
		labels[i] = fmt.Sprintf("key-%04d=%s", i, strings.Repeat("v", 60))
	}
	var words, wrong strings.Builder
	for i := range 20 {
		fmt.Fprintf(&words, `{"src":"shop?a=%d,%s","dst":"192.0.2.1","port":80}`+"\n", i, strings.Join(labels, ","))
		fmt.Fprintf(&wrong, `{"src":"shop?n=%d%s","dst":"192.0.2.1","port":80}`+"\n", i, strings.Repeat("v", 140_000))
	}
	got := netpoldWith(t, nil, words.String(), "audit", "--manifests", state, "--summary-only", "-o", "json")
	_, items := auditLines(t, got.stdout)
	summary := items[len(items)-1]
	pairs, _ := summary["pairs"].([]any)
	if got.code != 0 || summary["records"] != "20" || summary["allowed"] != "20" || len(pairs) != 20 ||
		len(got.stdout) > 50_000 {
		t.Errorf("exit %d, %d bytes, %v pairs\n%s", got.code, len(got.stdout), summary["pairsTotal"], got.stderr)
	}
	got = netpoldWith(t, nil, wrong.String(), "audit", "--manifests", state, "-o", "json")
	if got.code != 2 || !strings.Contains(got.stderr, "20 of 20 records are malformed; the first is -: line 1: src: ") ||
		!strings.Contains(got.stderr, "give words of 'netpold check'") || len(got.stderr) > 2000 {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
}

// F1: a log that grows because it is audited ends: what was appended since it was opened is not read.
func TestF1LogOfTheServerThatIsAsked(t *testing.T) {
	state, log := writeFile(t, "cluster.yaml", cluster), writeFile(t, "decisions.log", "")
	server := serve(t, "--manifests", state, "--decision-log", log).addr
	text, count := manyFlows()
	records := writeFile(t, "flows.jsonl", text)
	netpold(t, "audit", records, "--server", server, "--summary-only")
	var before int
	for before < count { // The log is written beside the answers.
		written, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		before = strings.Count(string(written), "\n")
	}
	got := netpold(t, "audit", log, "--server", server, "-o", "json", "--summary-only")
	_, items := auditLines(t, got.stdout)
	summary := items[len(items)-1]
	read, err := strconv.Atoi(fmt.Sprint(summary["records"]))
	if err != nil || got.code != 0 || summary["disagrees"] != "0" || read < before || read > 2*count {
		t.Errorf("exit %d, of %d to %d records: %v\n%s", got.code, before, 2*count, summary["records"], got.stderr)
	}
}
