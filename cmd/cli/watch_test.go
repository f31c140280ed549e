package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/netpold/netpold/cmd/cli"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/server/servertest"
)

// watch --once prints each answer once, errors too, and ends with 0.
func TestP25WatchOnce(t *testing.T) {
	t.Parallel()
	addr := servertest.Start(t, &engine.Namespace{Name: "shop"}).Addr()
	questions := `{"src":{"pod":{"namespace":"shop","name":"gone"}},"dst":{"ip":"192.0.2.2"},"port":80}` + "\n\n" +
		`{"src":{"ip":"192.0.2.1"},"dst":{"ip":"192.0.2.2"},"port":80}` + "\n"
	r := netpoldWith(t, nil, questions, "watch", "--server", addr, "--once", "-f", "-")
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if r.code != 0 || len(lines) != 2 || !strings.HasPrefix(lines[0], `{"id":1,"error":{"code":5,`) ||
		!strings.HasPrefix(lines[1], `{"id":2,"response":{"allowed":true,`) {
		t.Errorf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

// A watch that is called wrongly, or has no server to ask, ends with 2 and says what to do.
func TestP25WatchRefuses(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"give --server HOST:PORT": {"watch", "192.0.2.1", "192.0.2.2", "-p", "80"},
		"the port is missing":     {"watch", "--server", "127.0.0.1:1", "192.0.2.1", "192.0.2.2"},
		"cannot be asked":         {"watch", "--server", "127.0.0.1:1", "192.0.2.1", "192.0.2.2", "-p", "80"},
		"no question in it":       {"watch", "--server", "127.0.0.1:1", "-f", "-"},
	} {
		if r := netpold(t, args...); r.code != 2 || !strings.Contains(r.stderr, want) || r.stdout != "" {
			t.Errorf("%v: exit %d\n%s%s", args, r.code, r.stdout, r.stderr)
		}
	}
}

// A watch prints a change, and ends with 0 when it is interrupted.
func TestP25WatchPrintsChanges(t *testing.T) {
	t.Parallel()
	server := servertest.Start(t, &engine.Namespace{Name: "shop"})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		args := []string{"watch", "--server", server.Addr(), "shop/web-0", "192.0.2.2", "-p", "80"}
		ended <- cli.Run(ctx, args, strings.NewReader(""), in, &stderr, nil)
		in.Close() //nolint:errcheck // always nil
	}()
	decoder := json.NewDecoder(out)
	next := func() map[string]json.RawMessage {
		var line map[string]json.RawMessage
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		return line
	}
	if line := next(); line["error"] == nil {
		t.Errorf("before there is such a Pod: %s", line)
	}
	server.Apply(engine.Change{Object: &engine.Pod{Namespace: "shop", Name: "web-0"}})
	if line := next(); line["response"] == nil {
		t.Errorf("after it came: %s", line)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d: %s", code, &stderr)
	}
}
