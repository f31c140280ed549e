package extauthz_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netpold/netpold/server"
)

// TestDecisionLogG1 proves that each answer has a record with the id that the metadata have.
func TestDecisionLogG1(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	ids := map[string]bool{}
	t.Run("serve", func(t *testing.T) {
		d := open(t, func(c *server.Config) { c.DecisionLog = path })
		for _, req := range []string{"10.0.0.1", "10.0.0.3"} {
			_, got := d.answer(t, tcp(req, "10.0.0.2", 8080))
			ids[got["decision_id"].(string)] = true
		}
		_, got := d.answer(t, tcp("10.0.0.1", "10.0.0.2", 8080, with("require_principal", "present")))
		ids[got["decision_id"].(string)] = true
		ids[d.failed(t, tcp("127.0.0.1", "10.0.0.2", 8080)).id] = true
	})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		var record struct {
			ID     string `json:"decision_id"`
			Method string
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil || !ids[record.ID] || record.Method != "ext_authz" {
			t.Errorf("%s: %v", line, err)
		}
		delete(ids, record.ID)
	}
	if len(ids) > 0 {
		t.Errorf("no record of %v in:\n%s", ids, text)
	}
}
