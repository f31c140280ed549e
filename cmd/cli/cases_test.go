package cli_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Small inputs from public reports, each with the exit code that a cluster's answer makes. A digit of several
// is as right.
func TestCasesFromOutside(t *testing.T) {
	files, err := filepath.Glob("../../../shared/cases/*/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the cases are not beside the repository")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			question, why, _ := strings.Cut(line, "#")
			words := strings.Fields(question)
			if len(words) == 0 {
				continue
			}
			t.Run(filepath.Base(filepath.Dir(file))+" "+strings.Join(words[1:], " "), func(t *testing.T) {
				args := []string{"check", words[1], words[2], "-p", words[3], "--protocol", words[4], "--manifests",
					filepath.Dir(file)}
				if strings.Contains(why, "by NetworkPolicy alone") {
					args = append(args, "--policy-tiers=off")
				}
				got := netpold(t, args...)
				if !strings.Contains(words[0], strconv.Itoa(got.code)) {
					t.Errorf("exit code %d, want %s: %s\n%s%s", got.code, words[0], strings.TrimSpace(why), got.stdout,
						got.stderr)
				}
			})
		}
	}
}
