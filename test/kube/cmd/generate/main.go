// Command generate writes what deploy/ derives: the kustomize bases from the Helm chart, and the settings that the chart's
// schema takes from the flags of "netpold serve". "make generate" runs it.
//
//	go -C test/kube run ./cmd/generate REPOSITORY OUTPUT
//
// It reads the chart in REPOSITORY and writes below OUTPUT, which may be the same folder.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generate REPOSITORY OUTPUT")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "generate: %v\n", err)
		os.Exit(1)
	}
}

// generate reads the chart below repository and writes the derived files below output.
func generate(repository, output string) error {
	chart := filepath.Join(repository, "deploy", "helm", "netpold")
	// The schema comes first: the chart is only rendered with values that it takes.
	schema, err := os.ReadFile(filepath.Join(chart, schemaFile))
	if err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	schema, err = withSettings(schema)
	if err != nil {
		return err
	}
	files, err := kustomize(chart)
	if err != nil {
		return err
	}
	files[filepath.Join("deploy", "helm", "netpold", schemaFile)] = string(schema)
	for name, text := range files {
		path := filepath.Join(output, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // read by everybody, as all of the repository
			return fmt.Errorf("writing: %w", err)
		}
	}
	return nil
}
