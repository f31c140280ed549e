package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/mirror/convert/converttest"
)

// writeManifests writes a cluster as a file of manifests.
func writeManifests(dir string, c *synthetic.Cluster) (path string, err error) {
	path = filepath.Join(dir, "cluster.yaml")
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := bufio.NewWriter(file)
	encoder := json.NewEncoder(w) // JSON is YAML, and read faster
	for _, change := range c.Changes() {
		if _, err := io.WriteString(w, "---\n"); err != nil {
			return "", err
		}
		if err := encoder.Encode(converttest.Object(change.Object)); err != nil {
			return "", err
		}
	}
	return path, w.Flush()
}
