//go:build linux

package reality

import (
	"os"
	"strconv"
	"testing"

	"github.com/netpold/netpold/test/kube/random"
)

// clusters returns how many random clusters to make: $REALITY_CLUSTERS, or enough for CI.
func clusters(t *testing.T) int {
	text := os.Getenv("REALITY_CLUSTERS")
	if text == "" {
		return 4
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("REALITY_CLUSTERS=%s: %v", text, err)
	}
	return n
}

// randomClusters makes random clusters, asks netpold about every pair of ends, on several ports and in both families,
// and opens every connection: S1 to S6, S9 to S20 and S22, as far as a network plugin has a part in them. Netpold
// answers as the plugin does, and nothing may be left that disagrees.
func randomClusters(t *testing.T, c *cluster) {
	opened, refused, differ := 0, 0, 0
	for seed := range clusters(t) {
		r := random.New(uint64(seed))
		c.populate(r)
		c.settle()
		list := c.between(askedPorts(r, 4)...)
		answered, meant := c.ask(c.like, list), c.ask(c.api, list)
		for i := range list {
			if answered[i] != meant[i] {
				differ++
			}
			if answered[i] {
				opened++
			} else {
				refused++
			}
		}
		if wrong := c.judge(c.like, list, manyRounds); len(wrong) > 0 {
			t.Errorf("seed %d: %d of %d connections disagree", seed, len(wrong), len(list))
			for _, d := range wrong[:min(len(wrong), 12)] {
				t.Error(d)
			}
			t.Fatal(c.describe(t.Context()))
		}
	}
	t.Logf("%d real connections: netpold allowed %d and denied %d, and packets agreed; %d of them the API means otherwise",
		opened+refused, opened, refused, differ)
	if opened+refused < 20_000 && os.Getenv("REALITY_CLUSTERS") == "" {
		t.Errorf("only %d connections were tried, want at least 20000", opened+refused)
	}
}
