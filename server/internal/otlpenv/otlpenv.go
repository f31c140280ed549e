// Package otlpenv reads the standard OTEL_* variables of the environment for everything that is exported by
// OpenTelemetry: records of the decision log, and traces. The exporters read them too, and go on without one that is
// wrong; here a wrong one is an error.
package otlpenv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

// A Signal is what is exported, as the variables for it alone name it.
type Signal string

// The signals.
const (
	Logs   Signal = "LOGS"
	Traces Signal = "TRACES"
)

// The protocols of OTEL_EXPORTER_OTLP_PROTOCOL.
const (
	OverGRPC = "grpc"
	OverHTTP = "http/protobuf"
)

// The ports that the exporters take when no endpoint is named.
var defaults = map[string]string{OverGRPC: "https://localhost:4317", OverHTTP: "https://localhost:4318"}

// allSignals begins the names of the variables for all signals.
const allSignals = "OTEL_EXPORTER_OTLP_"

// prefix begins the names of the variables for one signal, which win.
func (s Signal) prefix() string { return allSignals + string(s) + "_" }

// lookup returns the value of a variable, and by which name it is set; "" without one.
func (s Signal) lookup(name string) (value, set string) {
	set = s.prefix() + name
	if os.Getenv(set) == "" {
		set = allSignals + name
	}
	return os.Getenv(set), set
}

// Exporter returns the protocol to export s by, and where to, in words. Its error names each variable that is wrong.
func Exporter(s Signal) (protocol, target string, err error) {
	protocol, set := s.lookup("PROTOCOL")
	protocol = cmp.Or(protocol, OverHTTP)
	if err := wrongVariables(s); err != nil {
		return "", "", err
	}
	if defaults[protocol] == "" {
		return "", "", fmt.Errorf("%s %q: give %s or %s", set, protocol, OverGRPC, OverHTTP)
	}
	endpoint, _ := s.lookup("ENDPOINT")
	return protocol, "OTLP " + cmp.Or(endpoint, defaults[protocol]) + " (" + protocol + ")", nil
}

// Resource returns what is said of this program with all that is exported. The variables win.
func Resource(ctx context.Context, version string) (*resource.Resource, error) {
	described, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	named, err := resource.Merge(resource.NewSchemaless(
		attribute.String("service.name", "netpold"), attribute.String("service.version", version)), described)
	if err != nil {
		return nil, errors.Join(errors.New("OTEL_RESOURCE_ATTRIBUTES"), err)
	}
	return named, nil
}
