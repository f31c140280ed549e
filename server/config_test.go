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

// Each invalid value is rejected with its field's name, all of them at once.
func TestValidateNamesEveryWrongValue(t *testing.T) {
	t.Parallel()
	config := server.Config{DrainDelay: -1, DrainTimeout: -time.Second, WhenStale: "guess",
		TLS: server.TLSFiles{Cert: "x"}, MaxMessageBytes: 1 << 40, CacheSize: -1, DecisionLogSample: 2,
		MaxInFlight: -1, MaxInFlightPerCaller: -1, MaxMemoryInFlight: -1}
	err := config.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		"Config.Source: give the source of the cluster's state", `Config.Listen "": `, `Config.WhenStale "guess": `,
		"Config.DecisionLogSample 2: ", "Config.DecisionLogQueue 0: ",
		"Config.MaxBatch 0: ", "Config.MaxWatched 0: ", "Config.MaxWatchedTotal 0: ", "Config.MaxWatches 0: ",
		"Config.WatchHeartbeat 0s: ",
		"Config.CacheSize -1: ", "Config.MaxMessageBytes 1099511627776: ", "Config.MaxStreams 0: ",
		"Config.MaxInFlight -1: ", "Config.MaxInFlightPerCaller -1: ", "Config.MaxMemoryInFlight -1: ", "Config.MaxClientConnections 0: ",
		"Config.MaxDeadline 0s: ", "Config.MaxAudits 0: ", "Config.MaxAuditDeadline 0s: ", "Config.MaxConnections 0: ",
		"Config.MaxConnectionAge 0s: ", "Config.MaxConnectionAgeGrace 0s: ", "Config.DrainDelay -1ns: ",
		"Config.DrainTimeout -1s: ",
		"Config.TLS.Cert, Config.TLS.Key: ",
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
