package cli_test

import (
	"os"
	"strings"
	"testing"
)

// TestAuditDocument: every command in docs/audit.md prints what stands there, up to a line of dots.
func TestAuditDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```console\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("there is no command in it")
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		command, want, _ := strings.Cut(block, "\n")
		indent := command[:strings.Index(command, "$")]
		args := strings.Fields(strings.TrimPrefix(command, indent+"$ netpold "))
		for i := range args {
			args[i] = strings.Trim(strings.ReplaceAll(args[i], "examples/shop", "../../examples/shop"), "'")
		}
		got := netpold(t, args...)
		lines := strings.Split(got.stdout, "\n")
		for i, line := range strings.Split(strings.TrimSuffix(want, indent), "\n") {
			line = strings.TrimPrefix(line, indent)
			if line == "..." {
				break
			}
			if i >= len(lines) || lines[i] != line {
				t.Errorf("%s\nprints\n%swant the line\n%s", command, got.stdout, line)
				break
			}
		}
	}
}
