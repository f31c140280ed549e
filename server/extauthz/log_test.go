package extauthz_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/internal/logtest"
)

// TestDecisionLogG1 proves that each answer has a record with the id that the metadata have.
func TestDecisionLogG1(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	ids := map[string]bool{}
	t.Run("serve", func(t *testing.T) {
		said := new(logtest.Text)
		d := open(t, func(c *server.Config) { c.DecisionLog, c.Logger = path, slog.New(slog.NewTextHandler(said, nil)) })
		for _, req := range []string{"10.0.0.1", "10.0.0.3"} {
			_, got := d.answer(t, tcp(req, "10.0.0.2", 8080))
			ids[got["decision_id"].(string)] = true
		}
		_, got := d.answer(t, tcp("10.0.0.1", "10.0.0.2", 8080, with("require_principal", "present")))
		ids[got["decision_id"].(string)] = true
		id := d.failed(t, tcp("127.0.0.1", "10.0.0.2", 8080)).id
		ids[id] = true
		if text := said.String(); !strings.Contains(text, `level=WARN msg="a proxy's question has no decision"`) ||
			!strings.Contains(text, "decision_id="+id) {
			t.Errorf("the log has nothing of %s:\n%s", id, text)
		}
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
		if err := json.Unmarshal([]byte(line), &record); err != nil || !ids[record.ID] || record.Method != "ext_authz" ||
			strings.Contains(line, `"shadow"`) {
			t.Errorf("%s: %v", line, err)
		}
		delete(ids, record.ID)
	}
	if len(ids) > 0 {
		t.Errorf("no record of %v in:\n%s", ids, text)
	}
}

// TestDecisionLogP12 proves that in shadow the log has what the answer would have been, a denial or an error, and that the
// client passed all the same. The log of the server has errors too.
func TestDecisionLogP12(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	t.Run("serve", func(t *testing.T) {
		said := new(logtest.Text)
		d := open(t, func(c *server.Config) {
			c.DecisionLog, c.Shadow, c.Logger = path, true, slog.New(slog.NewTextHandler(said, nil))
		})
		for _, src := range []string{"10.0.0.3", "127.0.0.1"} {
			if code, got := d.answer(t, tcp(src, "10.0.0.2", 8080)); code != codes.OK || got["shadow"] != true {
				t.Errorf("%s: %v, %v", src, code, got)
			}
		}
		if text := said.String(); strings.Count(text, `level=WARN msg="a proxy's question has no decision"`) != 1 ||
			!strings.Contains(text, "code=InvalidArgument") || !strings.Contains(text, "level=WARN msg=\"shadow: every client") {
			t.Errorf("the log has not the error, or not that nothing is enforced:\n%s", text)
		}
	})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		var record struct {
			Answer *struct {
				Allowed bool
				Reason  string
			}
			Error  *struct{ Code int }
			Shadow bool
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if !record.Shadow {
			t.Errorf("the record does not say that the client passed: %s", line)
		}
		switch {
		case record.Error != nil:
			got = append(got, fmt.Sprint("error ", record.Error.Code))
		case record.Answer != nil:
			got = append(got, fmt.Sprint(record.Answer.Allowed, " ", record.Answer.Reason))
		}
	}
	if want := []string{"false REASON_DENIED_AT_INGRESS", "error 3"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q:\n%s", got, want, text)
	}
}
