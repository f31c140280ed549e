package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/netpold/netpold/cmd/config"
)

// schemaFile is the schema of the chart's values.
const schemaFile = "values.schema.json"

// chartsOwn returns the flags that the chart sets by itself, so that they are no settings: where the cluster is, where to
// listen, who may ask, and the certificates. Probes could not ask an admin port over TLS that requires certificates.
func chartsOwn() []string {
	return []string{
		"manifests", "kubeconfig", "context", "namespace", "listen", "insecure", "admin-listen", "admin-tls", "tls-cert",
		"tls-key", "tls-client-ca", "authz-policy", "kube-authz", "kube-authz-kubeconfig", "forward-auth-listen",
	}
}

// wholeSeconds returns the durations from which the chart computes others: it cannot parse more than whole seconds.
func wholeSeconds() []string { return []string{"drain-delay", "drain-timeout"} }

// withSettings replaces the settings in the schema of the chart's values by those that the flags of serve take.
func withSettings(schema []byte) ([]byte, error) {
	properties := map[string]any{}
	c := config.New()
	add := func(flag *pflag.Flag) {
		switch {
		case slices.Contains(chartsOwn(), flag.Name):
		case slices.Contains(wholeSeconds(), flag.Name):
			properties[flag.Name] = map[string]any{"type": "string", "pattern": "^[0-9]+s$"}
		default:
			properties[flag.Name] = config.JSONSchema(flag)
		}
	}
	c.StateFlags().VisitAll(add)
	c.ServerFlags().VisitAll(add)
	settings, err := json.MarshalIndent(map[string]any{
		"type": "object", "additionalProperties": false, "required": wholeSeconds(), "properties": properties,
	}, "    ", "  ")
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	// The rest of the file is written by hand, so its order and its lines stay.
	open, end := []byte("\n    \"settings\": {"), []byte("\n    }")
	start := bytes.Index(schema, open)
	length := bytes.Index(schema[max(start, 0):], end)
	if start < 0 || length < 0 {
		return nil, errors.New(schemaFile + ": no properties.settings, indented by 4 spaces, to replace")
	}
	out := slices.Concat(schema[:start], []byte("\n    \"settings\": "), settings, schema[start+length+len(end):])
	if !json.Valid(out) {
		return nil, errors.New(schemaFile + ": no longer JSON after the settings were replaced")
	}
	return out, nil
}
