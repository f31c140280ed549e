package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// answersPipe runs the program on a named pipe, which is opened once: what has come is answered before the pipe
// ends. If it is interrupted meanwhile, there is no summary and the exit code is 2 (F1, F7).
func answersPipe(t *testing.T, binary string, interrupted bool) {
	t.Helper()
	file, pipe := writeFile(t, "cluster.yaml", cluster), filepath.Join(t.TempDir(), "flows")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, binary, "audit", pipe, "--manifests", file, "-ojson", "--fail-on=disagree")
	writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close() //nolint:errcheck // closed before, in one case
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
