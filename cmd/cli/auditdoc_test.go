package cli_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/netpold/netpold/audit"
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

// TestAuditDocumentHasEveryCode: docs/audit.md says of every code of a lint how bad it is, and what it means.
func TestAuditDocumentHasEveryCode(t *testing.T) {
	text, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	codes, info := audit.Codes()
	for _, code := range codes {
		row := fmt.Sprintf("| `%s` | %s | %s |\n", code, info[code].Severity, info[code].Help)
		if !strings.Contains(string(text), row) {
			t.Errorf("it lacks the row\n%s", row)
		}
	}
}
