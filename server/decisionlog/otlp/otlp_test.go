package otlp_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisionlog"
	"github.com/netpold/netpold/server/decisionlog/otlp"
	"github.com/netpold/netpold/server/internal/decisionid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A sunk is a collector that keeps what it gets.
type sunk struct {
	collector.UnimplementedLogsServiceServer

	mu      sync.Mutex
	service string
	records []*logs.LogRecord
	// fail is what the next call gets in place of success.
	fail     error
	rejected int64
	failed   chan struct{}
}

func (s *sunk) Export(_ context.Context, req *collector.ExportLogsServiceRequest) (
	*collector.ExportLogsServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		select {
		case s.failed <- struct{}{}:
		default:
		}
		return nil, s.fail
	}
	for _, resource := range req.GetResourceLogs() {
		for _, attribute := range resource.GetResource().GetAttributes() {
			if attribute.GetKey() == "service.name" {
				s.service = attribute.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeLogs() {
			s.records = append(s.records, scope.GetLogRecords()...)
		}
	}
	response := &collector.ExportLogsServiceResponse{}
	if s.rejected > 0 {
		response.PartialSuccess = &collector.ExportLogsPartialSuccess{RejectedLogRecords: s.rejected,
			ErrorMessage: "no"}
	}
	return response, nil
}

func (s *sunk) become(fail error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// serveGRPC serves s, and lets the environment name it.
func serveGRPC(t *testing.T, s *sunk) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collector.RegisterLogsServiceServer(server, s)
	go server.Serve(listener) //nolint:errcheck // it ends with Stop
	t.Cleanup(server.Stop)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
}

// serveHTTP does the same over HTTP.
func serveHTTP(t *testing.T, s *sunk) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := new(collector.ExportLogsServiceRequest)
		if err != nil || r.URL.Path != "/v1/logs" || proto.Unmarshal(body, request) != nil {
			http.Error(w, "not understood", http.StatusBadRequest)
			return
		}
		response, err := s.Export(r.Context(), request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		raw, err := proto.Marshal(response)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		if _, err := w.Write(raw); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
}

// open opens a log that exports. end ends it.
func open(t *testing.T, queue int) (l *decisionlog.Log, end func() error) {
	t.Helper()
	exporter, err := otlp.New(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	l, err = decisionlog.Open(decisionlog.Options{Exporter: exporter, Sample: 1, Queue: queue,
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return l, func() error {
		cancel()
		return <-ended
	}
}

// record records an allowed answer and an error, of a caller with a trace.
func record(t *testing.T, l *decisionlog.Log) {
	t.Helper()
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("traceparent",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	l.Record(ctx, decisionid.New(), "Allowed", time.Now(), &netpoldv1.AllowedRequest{Port: 80},
		&netpoldv1.AllowedResponse{Allowed: true}, nil, false)
	l.Record(ctx, decisionid.New(), "Allowed", time.Now(), nil, nil, status.New(codes.Internal, "no").Proto(), false)
}

// TestG3OTLP proves that records arrive over both protocols: the line as the body, the caller's trace, the
// time, a severity, and a service that the environment can name.
func TestG3OTLP(t *testing.T) {
	for name, serve := range map[string]func(*testing.T, *sunk){"gRPC": serveGRPC, "HTTP": serveHTTP} {
		t.Run(name, func(t *testing.T) {
			s := &sunk{}
			serve(t, s)
			l, end := open(t, 100)
			record(t, l)
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if len(s.records) != 2 || s.service != "netpold" || l.Status().Written != 2 {
				t.Fatalf("%d records of %q, %+v", len(s.records), s.service, l.Status())
			}
			for i, r := range s.records {
				var line struct {
					TraceID string `json:"trace_id"`
					Time    time.Time
				}
				if err := json.Unmarshal([]byte(r.GetBody().GetStringValue()), &line); err != nil {
					t.Fatal(err)
				}
				want := []logs.SeverityNumber{logs.SeverityNumber_SEVERITY_NUMBER_INFO,
					logs.SeverityNumber_SEVERITY_NUMBER_WARN}[i]
				if r.GetSeverityNumber() != want || r.GetEventName() != otlp.EventName || len(r.GetTraceId()) != 16 ||
					line.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" ||
					!line.Time.Equal(time.Unix(0, int64(r.GetTimeUnixNano()))) {
					t.Errorf("record %d is %v", i, r)
				}
			}
		})
	}
}

// TestG3OTLPDown proves that what an endpoint does not take waits, that what has no room is counted, and that
// the failure is reported.
func TestG3OTLPDown(t *testing.T) {
	s := &sunk{failed: make(chan struct{}, 1), fail: status.Error(codes.Unavailable, "down")}
	serveGRPC(t, s)
	l, end := open(t, 2)
	record(t, l)
	<-s.failed
	<-s.failed // so the first failure is stored
	record(t, l)
	if got := l.Status(); got.Dropped != 2 || !strings.Contains(got.Failure, "down") || got.Written != 0 ||
		!strings.Contains(got.Target, "OTLP http://127.0.0.1:") {
		t.Errorf("while it is down: %+v", got)
	}
	s.become(nil)
	if err := end(); err != nil {
		t.Error(err)
	}
	if got := l.Status(); got.Written != 2 || got.Dropped != 2 || got.Failure != "" {
		t.Errorf("afterwards: %+v", got)
	}
}

// TestG3OTLPRejected proves that what an endpoint rejects for good is counted, and not sent again.
func TestG3OTLPRejected(t *testing.T) {
	for name, s := range map[string]*sunk{
		"some": {rejected: 1}, "all": {fail: status.Error(codes.InvalidArgument, "no")},
	} {
		t.Run(name, func(t *testing.T) {
			serveGRPC(t, s)
			l, end := open(t, 100)
			record(t, l)
			if err := end(); err != nil {
				t.Error(err)
			}
			if got := l.Status(); got.Written+got.Dropped != 2 || got.Dropped == 0 || len(s.records) > 3 {
				t.Errorf("%+v, %d arrived", got, len(s.records))
			}
		})
	}
}

// TestOTLPWrong proves that a variable that is wrong is an error which names it, its value and a remedy, and that
// headers, which may be secret, are not repeated.
func TestOTLPWrong(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, value, want string }{
		{"PROTOCOL", "http/json", `OTEL_EXPORTER_OTLP_PROTOCOL "http/json": give grpc or http/protobuf`},
		{"LOGS_PROTOCOL", "http/json", `OTEL_EXPORTER_OTLP_LOGS_PROTOCOL "http/json": give grpc or http/protobuf`},
		{"ENDPOINT", "http://[::1", `OTEL_EXPORTER_OTLP_ENDPOINT "http://[::1": give a URL such as http://collector:4318`},
		{"ENDPOINT", "collector:4318", `OTEL_EXPORTER_OTLP_ENDPOINT "collector:4318": give a URL`},
		{"LOGS_ENDPOINT", "collector", `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT "collector": give a URL`},
		{"ENDPOINT", "http://", `OTEL_EXPORTER_OTLP_ENDPOINT "http://": give a URL`},
		{"TIMEOUT", "10s", `OTEL_EXPORTER_OTLP_TIMEOUT "10s": give milliseconds, such as 10000`},
		{"LOGS_COMPRESSION", "zstd", `OTEL_EXPORTER_OTLP_LOGS_COMPRESSION "zstd": give gzip or none`},
		{"INSECURE", "yes", `OTEL_EXPORTER_OTLP_INSECURE "yes": give true or false`},
		{"HEADERS", "secret", "OTEL_EXPORTER_OTLP_HEADERS: give NAME=VALUE pairs"},
		{"CERTIFICATE", empty, "it has no certificate; give a file"},
		{"CERTIFICATE", "/nowhere", `OTEL_EXPORTER_OTLP_CERTIFICATE "/nowhere": open /nowhere: no such file`},
		{"CLIENT_KEY", empty, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_CLIENT_KEY: give both or none"},
	} {
		t.Run(test.name+"="+test.value, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_"+test.name, test.value)
			if _, err := otlp.New(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), test.want) ||
				strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}
