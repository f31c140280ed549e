// Package otlp exports spans by OTLP. The standard OTEL_* variables of the environment say where to and how, which
// calls are traced, and how many spans may wait. It is loaded by cmd alone.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/netpold/netpold/server/internal/occasions"
	"github.com/netpold/netpold/server/internal/otlpenv"
)

// A Provider makes tracers whose spans are exported in batches. No call waits for that: spans that find no room in the
// queue are dropped. It is safe for concurrent use.
type Provider struct {
	*sdktrace.TracerProvider
	// Target says where spans go, for people.
	Target   string
	exporter sdktrace.SpanExporter
}

// Open returns a provider as the environment says. Its error names the variables that are wrong. It connects with the
// first spans. What goes wrong later is logged to log, at most once in 10 s; that is a setting of the whole process.
func Open(ctx context.Context, version string, log *slog.Logger) (*Provider, error) {
	protocol, target, err := otlpenv.Exporter(otlpenv.Traces)
	if err != nil {
		return nil, err
	}
	described, err := otlpenv.Resource(ctx, version)
	if err != nil {
		return nil, err
	}
	var exporter sdktrace.SpanExporter
	if protocol == otlpenv.OverGRPC {
		exporter, err = otlptracegrpc.New(ctx)
	} else {
		exporter, err = otlptracehttp.New(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: see the OTEL_EXPORTER_OTLP_* variables", err)
	}
	failed := new(occasions.Occasions[struct{}])
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		if failed.Due(time.Now(), struct{}{}) {
			log.Warn("traces are not exported", "target", target, "error", err)
		}
	}))
	return &Provider{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described)),
		Target:         target,
		exporter:       exporter,
	}, nil
}

// closing is how long [Provider.Close] may take.
const closing = 2 * time.Second

// Close exports the spans that wait, and blocks for some seconds at most.
func (p *Provider) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	err := p.Shutdown(ctx)
	if err == nil {
		return nil
	}
	// What is under way is given up: the provider would leave it to itself.
	return errors.Join(fmt.Errorf("the last traces are not exported to %s", p.Target), err, p.exporter.Shutdown(ctx))
}
