// Package otlp exports the records of the decision log as logs of OpenTelemetry. The standard OTEL_* variables
// of the environment say where to and how.
//
// The SDK's own queue is not used: it drops records without counting them. The queue is that of the log.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/server/decisionlog"
	"github.com/netpold/netpold/server/internal/otlpenv"
)

// EventName is the event name of every record.
const EventName = "netpold.decision"

// An Exporter is a [decisionlog.Exporter]. It is not safe for concurrent use.
type Exporter struct {
	exporter sdklog.Exporter
	provider *sdklog.LoggerProvider
	logger   log.Logger
	batch    batch
	target   string
}

// New returns an exporter as the environment says. Its error names the variables that are wrong. It connects with
// the first records.
func New(ctx context.Context, version string) (*Exporter, error) {
	protocol, target, err := otlpenv.Exporter(otlpenv.Logs)
	if err != nil {
		return nil, err
	}
	e := &Exporter{target: target}
	if protocol == otlpenv.OverGRPC { // the writer of the log retries
		e.exporter, err = otlploggrpc.New(ctx, otlploggrpc.WithRetry(otlploggrpc.RetryConfig{}))
	} else {
		e.exporter, err = otlploghttp.New(ctx, otlploghttp.WithRetry(otlploghttp.RetryConfig{}))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: see the OTEL_EXPORTER_OTLP_* variables", err)
	}
	named, err := otlpenv.Resource(ctx, version)
	if err != nil {
		return nil, errors.Join(err, e.exporter.Shutdown(ctx))
	}
	e.provider = sdklog.NewLoggerProvider(sdklog.WithResource(named), sdklog.WithProcessor(&e.batch),
		sdklog.WithAttributeValueLengthLimit(-1))
	e.logger = e.provider.Logger("github.com/netpold/netpold/server/decisionlog",
		log.WithInstrumentationVersion(version))
	return e, nil
}

// Target implements [decisionlog.Exporter].
func (e *Exporter) Target() string { return e.target }

// Export implements [decisionlog.Exporter]. The body of each log is the line of the record as text.
func (e *Exporter) Export(ctx context.Context, records []decisionlog.Record) (rejected int, err error) {
	e.batch.records = e.batch.records[:0]
	now := time.Now()
	for i := range records {
		r := &records[i]
		var out log.Record
		out.SetEventName(EventName)
		out.SetTimestamp(r.Time)
		out.SetObservedTimestamp(now)
		out.SetSeverity(log.SeverityInfo)
		if r.Denied {
			out.SetSeverity(log.SeverityWarn)
		}
		out.SetSeverityText(out.Severity().String())
		out.SetBody(attribute.StringValue(string(r.JSON)))
		e.logger.Emit(traced(r.TraceParent), out)
	}
	err = e.exporter.Export(ctx, e.batch.records)
	return outcome(err, len(records))
}

// traced returns a context of the caller's trace.
func traced(parent string) context.Context {
	if parent == "" {
		return context.Background()
	}
	return propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent})
}

// partly is what the exporters say when the endpoint took only some.
var partly = regexp.MustCompile(`OTLP partial success: .*\((\d+) logs? rejected\)`)

// outcome returns what became of n records: how many the endpoint will never take, or why to try again.
func outcome(err error, n int) (rejected int, again error) {
	if err == nil {
		return 0, nil
	}
	if found := partly.FindStringSubmatch(err.Error()); found != nil {
		rejected, _ = strconv.Atoi(found[1])
		return min(rejected, n), nil
	}
	if status.Code(err) == codes.InvalidArgument {
		return n, nil
	}
	return 0, err
}

// Shutdown implements [decisionlog.Exporter].
func (e *Exporter) Shutdown(ctx context.Context) error {
	return errors.Join(e.provider.Shutdown(ctx), e.exporter.Shutdown(ctx))
}

// A batch is a processor that keeps the records of one export.
type batch struct{ records []sdklog.Record }

// Enabled implements [sdklog.Processor].
func (b *batch) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// OnEmit implements [sdklog.Processor].
func (b *batch) OnEmit(_ context.Context, r *sdklog.Record) error {
	b.records = append(b.records, r.Clone())
	return nil
}

// Shutdown implements [sdklog.Processor].
func (b *batch) Shutdown(context.Context) error { return nil }

// ForceFlush implements [sdklog.Processor].
func (b *batch) ForceFlush(context.Context) error { return nil }
