package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/cilium/api/v1/flow"
	"github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/clients/hubble/hubbletest"
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
	relay := shopRelay(t)
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		command, want, _ := strings.Cut(block, "\n")
		command, _, kept := strings.Cut(command, " > ") // into a file
		indent := command[:strings.Index(command, "$")]
		args := strings.Fields(strings.TrimPrefix(command, indent+"$ netpold "))
		for i := range args {
			args[i] = strings.Trim(strings.NewReplacer("examples/shop", "../../examples/shop", "127.0.0.1:4245",
				relay.Addr()).Replace(args[i]), "'")
		}
		got := netpold(t, args...)
		if kept {
			if got.code == 2 || !strings.HasPrefix(got.stdout, "<!DOCTYPE html>") || want != "" {
				t.Errorf("%s\nends with %d and prints %d bytes", command, got.code, len(got.stdout))
			}
			continue
		}
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

// shopRelay starts a Hubble that has the flows of the example, and names a policy for those to Redis that are
// allowed.
func shopRelay(t *testing.T) *hubbletest.Relay {
	t.Helper()
	text, err := os.ReadFile("../../examples/shop-flows.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	relay := hubbletest.Start(t)
	for line := range strings.Lines(string(text)) {
		var m observer.GetFlowsResponse
		if err := protojson.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		f := m.GetFlow()
		if f.GetL4().GetTCP().GetDestinationPort() == 6379 && f.GetVerdict() == flow.Verdict_FORWARDED {
			f.IngressAllowedBy = []*flow.Policy{{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: "redis-debug"}}
		}
		relay.SendMessages(&m)
	}
	return relay
}

// TestAuditDocumentPipeline: the commands of the pipeline in docs/audit.md do what it says of them.
func TestAuditDocumentPipeline(t *testing.T) {
	text, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, pipeline, _ := strings.Cut(string(text), "```yaml\n")
	pipeline, _, _ = strings.Cut(pipeline, "```")
	changed := t.TempDir()
	if err := os.CopyFS(changed, os.DirFS("../../examples/shop")); err != nil {
		t.Fatal(err)
	}
	// A line less of the policies: Redis is open on every port.
	policies := filepath.Join(changed, "shop/policies.yaml")
	was, err := os.ReadFile(policies)
	if err != nil {
		t.Fatal(err)
	}
	now := strings.Replace(string(was), "          app: cart\n    ports:\n    - port: redis\n", "          app: cart\n", 1)
	now = strings.Replace(now, "          app: redis\n    ports:\n    - port: redis\n", "          app: redis\n", 1)
	if err := os.WriteFile(policies, []byte(now), 0o600); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for line := range strings.Lines(pipeline) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "netpold ")
		if !ok {
			continue
		}
		ran++
		command, _, _ = strings.Cut(command, " >>")
		args := strings.Fields(strings.NewReplacer("before/deploy", "../../examples/shop", "after/deploy", changed).Replace(command))
		code, want := 0, "0 errors"
		if args[0] == "diff" {
			code, want = 1, "**opens 1 connection**\n"
		}
		if got := netpold(t, args...); got.code != code || !strings.Contains(got.stdout, want) {
			t.Errorf("%s\nends with %d, and prints\n%s%s", command, got.code, got.stdout, got.stderr)
		}
	}
	if ran != 2 {
		t.Errorf("it has %d commands", ran)
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
