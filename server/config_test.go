package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/netpold/netpold/server"
)

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	config := server.Defaults()
	config.Source = synced()
	if err := config.Validate(); err != nil {
		t.Error(err)
	}
}

// Each value that makes no sense is refused by its flag's name, and all of them at once.
func TestValidateNamesEveryWrongValue(t *testing.T) {
	t.Parallel()
	config := server.Config{DrainDelay: -1, DrainTimeout: -time.Second, WhenStale: "guess", TLS: server.TLSFiles{Cert: "x"}, MaxMessageBytes: 1 << 40, CacheSize: -1}
	err := config.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		"no source of the cluster's state", `--listen ""`, `--when-stale "guess"`, "--max-batch 0", "--cache-size -1", "--max-message-bytes 1099511627776", "--max-streams 0",
		"--max-deadline 0s", "--max-connection-age 0s", "--max-connection-age-grace 0s", "--drain-delay -1ns", "--drain-timeout -1s",
		"--tls-cert, --tls-key",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d does not begin with %q:\n%v", i, want, err)
		}
	}
	if _, err := server.New(config); err == nil {
		t.Error("New takes it")
	}
}

// A server without a logger and a version works.
func TestOptionalFields(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.Logger, c.Version = nil, "" })
	if _, err := r.decisions().Allowed(soon(t), ask()); err != nil {
		t.Error(err)
	}
}
