package metrics

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// A call has the metrics of one unary method. The library looks them up by their labels five times for each call, which
// costs more than a decision.
type call struct {
	started, received, sent prometheus.Counter
	// handled has a counter for each code, by its number.
	handled [codes.Unauthenticated + 1]prometheus.Counter
	took    prometheus.Observer
}

// calls has the metrics of unary methods, which are those of the library.
type calls struct {
	library *grpcprom.ServerMetrics
	// byMethod is replaced as a whole. A method's name is "/package.Service/Method".
	byMethod atomic.Pointer[map[string]*call]
	mu       sync.Mutex // held while byMethod is replaced
}

// Unary is the interceptor of unary calls that counts them, as that of the library does.
func (m *Metrics) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	started := time.Now()
	c := m.calls.of(info.FullMethod)
	c.started.Inc()
	c.received.Inc()
	response, err := handler(ctx, req)
	if err == nil {
		c.sent.Inc()
	}
	// It converts errors of contexts too, as gRPC does.
	if code := grpcprom.FromError(err).Code(); int(code) < len(c.handled) {
		c.handled[code].Inc()
	}
	c.took.Observe(time.Since(started).Seconds())
	return response, err
}

// of returns the metrics of a method.
func (c *calls) of(method string) *call {
	if known := c.byMethod.Load(); known != nil {
		if found := (*known)[method]; found != nil {
			return found
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	c.library.InitializeMetrics(oneMethod{service, name})
	all := c.collect()
	c.byMethod.Store(&all)
	return all[method]
}

// oneMethod is what the library asks about a server's methods, with a single unary one.
type oneMethod struct{ service, name string }

// GetServiceInfo implements the library's interface.
func (o oneMethod) GetServiceInfo() map[string]grpc.ServiceInfo {
	return map[string]grpc.ServiceInfo{o.service: {Methods: []grpc.MethodInfo{{Name: o.name}}}}
}

// collect returns the metrics of all unary methods that the library knows.
func (c *calls) collect() map[string]*call {
	collected := make(chan prometheus.Metric)
	go func() {
		defer close(collected)
		c.library.Collect(collected)
	}()
	codeOf := map[string]codes.Code{}
	for _, code := range interceptors.AllCodes {
		codeOf[code.String()] = code
	}
	all := map[string]*call{}
	for metric := range collected {
		labels := labelsOf(metric)
		if labels["grpc_type"] != string(interceptors.Unary) {
			continue
		}
		method := "/" + labels["grpc_service"] + "/" + labels["grpc_method"]
		of := all[method]
		if of == nil {
			of = &call{}
			all[method] = of
		}
		of.set(metric, codeOf, labels)
	}
	return all
}

// set puts a metric in its place.
func (c *call) set(metric prometheus.Metric, codeOf map[string]codes.Code, labels map[string]string) {
	counter, _ := metric.(prometheus.Counter)
	switch name := metric.Desc().String(); {
	case strings.Contains(name, `"grpc_server_started_total"`):
		c.started = counter
	case strings.Contains(name, `"grpc_server_msg_received_total"`):
		c.received = counter
	case strings.Contains(name, `"grpc_server_msg_sent_total"`):
		c.sent = counter
	case strings.Contains(name, `"grpc_server_handled_total"`):
		c.handled[codeOf[labels["grpc_code"]]] = counter
	case strings.Contains(name, `"grpc_server_handling_seconds"`):
		c.took, _ = metric.(prometheus.Observer)
	}
}

func labelsOf(metric prometheus.Metric) map[string]string {
	var written dto.Metric
	labels := map[string]string{}
	if metric.Write(&written) != nil {
		return labels
	}
	for _, pair := range written.GetLabel() {
		labels[pair.GetName()] = pair.GetValue()
	}
	return labels
}
