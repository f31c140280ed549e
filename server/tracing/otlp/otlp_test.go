package otlp_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/prototext"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/words"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/internal/logtest"
	"github.com/netpold/netpold/server/servertest"
	"github.com/netpold/netpold/server/tracing/otlp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A sunk is a collector that keeps what it gets, as text.
type sunk struct {
	collector.UnimplementedTraceServiceServer

	mu    sync.Mutex
	spans int
	text  string
}

func (s *sunk) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (
	*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range req.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			s.spans += len(scope.GetSpans())
		}
	}
	s.text += prototext.Format(req)
	return &collector.ExportTraceServiceResponse{}, nil
}

// listen returns a listener that the environment names.
func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
	return listener
}

// asked serves an empty cluster with traces, asks n questions, with a token in the metadata, and ends both.
func asked(t *testing.T, n int) (log string) {
	t.Helper()
	l := new(logtest.Text)
	logger := slog.New(slog.NewTextHandler(l, nil))
	provider, err := otlp.Open(t.Context(), "test", logger)
	if err != nil {
		t.Fatal(err)
	}
	source := servertest.NewSource()
	source.Apply()
	config := server.Defaults()
	config.Source, config.Listen, config.AdminListen, config.DrainDelay = source, "127.0.0.1:0", "", 0
	config.TracerProvider = provider
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	call := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer s3cret",
		"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	for range n {
		if _, err := netpoldv1.NewDecisionServiceClient(conn).Allowed(call, &netpoldv1.AllowedRequest{
			Src: words.IP("10.0.0.1"), Dst: words.IP("10.0.0.2"), Port: 80,
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := provider.Close(); err != nil {
		logger.Warn("closing", "error", err)
	}
	return l.String()
}

// P46: spans arrive at the collector that the variables name, in the caller's trace, of a service that they can name,
// and without the caller's token.
func TestP46SpansArrive(t *testing.T) {
	s := new(sunk)
	listener := listen(t)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "zone=a")
	collecting := grpc.NewServer()
	collector.RegisterTraceServiceServer(collecting, s)
	go collecting.Serve(listener) //nolint:errcheck // it ends with Stop
	t.Cleanup(collecting.Stop)
	if log := asked(t, 3); log != "" {
		t.Error(log)
	}
	if s.spans != 3 || strings.Contains(s.text, "s3cret") {
		t.Errorf("%d spans: %s", s.spans, s.text)
	}
	for _, want := range []string{`"netpold.verdict"`, `"netpold.v1.DecisionService/Allowed"`, `"netpold"`, `"zone"`,
		`\x00\xf0g\xaa\x0b\xa9\x02\xb7`} {
		if !strings.Contains(s.text, want) {
			t.Errorf("no %s in %s", want, s.text)
		}
	}
}

// P46: an exporter that takes connections and says nothing delays no call: more spans than the queue has room for do
// not wait for it, and neither does the end.
func TestP46ExporterIsDown(t *testing.T) {
	listener := listen(t)
	defer listener.Close()
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
	if log := asked(t, 100); !strings.Contains(log, "the last traces are not exported to OTLP http://127.0.0.1:") {
		t.Errorf("the log does not say that spans are lost: %s", log)
	}
}

// P46: a variable that is wrong is an error which names it, its value and a remedy. Headers, which may be secret, are
// not repeated.
func TestP46WrongVariables(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318", `_TRACES_ENDPOINT "collector:4318": give a URL such as http`},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL "http/json": give grpc or http/protobuf`},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", `OTEL_EXPORTER_OTLP_PROTOCOL "http/json": give grpc`},
		{"OTEL_EXPORTER_OTLP_HEADERS", "secret", "OTEL_EXPORTER_OTLP_HEADERS: give NAME=VALUE pairs"},
		{"OTEL_TRACES_SAMPLER", "jaeger_remote", `OTEL_TRACES_SAMPLER "jaeger_remote": give always_on, always_off, `},
		{"OTEL_TRACES_SAMPLER_ARG", "10%", `OTEL_TRACES_SAMPLER_ARG "10%": give a share from 0 to 1`},
		{"OTEL_TRACES_SAMPLER_ARG", "NaN", `OTEL_TRACES_SAMPLER_ARG "NaN": give a share from 0 to 1`},
		{"OTEL_TRACES_EXPORTER", "console", `OTEL_TRACES_EXPORTER "console": give otlp; for no traces leave out --tracing`},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "0", `OTEL_BSP_MAX_QUEUE_SIZE "0": give a number of spans`},
		{"OTEL_BSP_SCHEDULE_DELAY", "5s", `OTEL_BSP_SCHEDULE_DELAY "5s": give milliseconds`},
		{"OTEL_RESOURCE_ATTRIBUTES", "zone", "OTEL_RESOURCE_ATTRIBUTES: "},
	} {
		t.Run(test.name+"="+test.value, func(t *testing.T) {
			t.Setenv(test.name, test.value)
			if _, err := otlp.Open(t.Context(), "test", slog.New(slog.DiscardHandler)); err == nil ||
				!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}
