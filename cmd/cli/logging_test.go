package cli_test

import "testing"

// TestDurationsInLogsAreReadable: in JSON too.
func TestDurationsInLogsAreReadable(t *testing.T) {
	i := serve(t, "--manifests", writeFile(t, "cluster.yaml", cluster), "--drain-delay=20ms",
		"--drain-timeout=1m30s")
	i.end(t, 0)
	record := i.log.await(t, "draining")
	if record["delay"] != "20ms" || record["timeout"] != "1m30s" {
		t.Errorf("record %v", record)
	}
}
