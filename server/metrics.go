package server

import (
	"runtime"
	"strconv"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

const namespace = "netpold"

// The values of the label method.
const (
	methodAllowed       = "Allowed"
	methodBatchAllowed  = "BatchAllowed"
	methodStreamAllowed = "StreamAllowed"
)

// The values of the label result.
const (
	reloadTaken   = "taken"
	reloadRefused = "refused"
)

// metrics are a server's Prometheus metrics. Its methods do nothing on nil.
//
// A clock reading costs as much as a decision, so time is taken once a call: of a batch as a whole, not of its questions; so are counts.
type metrics struct {
	registry *prometheus.Registry
	grpc     *grpcprom.ServerMetrics

	// decisions has a counter for each engine.Reason, by its number.
	decisions  [engine.DeniedAtIngress + 1]prometheus.Counter
	errors     *prometheus.CounterVec
	duration   map[string]prometheus.Observer
	batchSize  map[string]prometheus.Observer
	panics     prometheus.Counter
	tlsReloads *prometheus.CounterVec
}

// decisionCounts counts decisions by engine.Reason.
type decisionCounts [engine.DeniedAtIngress + 1]int

func (c *decisionCounts) add(reason engine.Reason) {
	if int(reason) < len(c) {
		c[reason]++
	}
}

// newMetrics registers everything that is counted, beside what is read from source at each scrape.
func newMetrics(source mirror.Source, version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		grpc:     grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram()),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "decision_errors_total",
			Help: "Questions that got an error in place of an answer, by gRPC code and ErrorInfo reason.",
		}, []string{"code", "reason"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "panics_total",
			Help: "Calls that ended in a panic, answered INTERNAL. Each is a defect, and logged with its stack.",
		}),
		tlsReloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "tls_reloads_total",
			Help: "Changes of the TLS files, by result: taken, or refused (the last good ones stay in use).",
		}, []string{"result"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the version is in the labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	for _, result := range []string{reloadTaken, reloadRefused} { // from 0 on, or the first could not be seen as a rise
		m.tlsReloads.WithLabelValues(result)
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.grpc,
		build, m.errors, m.panics, m.tlsReloads, newStateCollector(source),
	)
	m.registerDecisions()
	return m
}

// registerDecisions makes one counter for each reason and observer for each method, so that a call looks none up.
func (m *metrics) registerDecisions() {
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "decisions_total", Help: "Decisions, by verdict and by the rule that decided.",
	}, []string{"allowed", "reason"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "decision_duration_seconds",
		Help: "Time to answer a call from its decoded request to its response, waiting for at_least not included; " +
			"for BatchAllowed, and each batch of StreamAllowed, of the whole batch.",
		Buckets: []float64{1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 1},
	}, []string{"method"})
	batchSize := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "batch_size",
		Help:    "Questions in each BatchAllowed call, and in each batch of StreamAllowed.",
		Buckets: []float64{1, 10, 100, 250, 500, 1000, 2500, 5000, 10000, 100000},
	}, []string{"method"})
	m.registry.MustRegister(decisions, duration, batchSize)
	for i := range m.decisions {
		name, allowed := reasonLabel(engine.Reason(i))
		m.decisions[i] = decisions.WithLabelValues(strconv.FormatBool(allowed), name)
	}
	m.duration = map[string]prometheus.Observer{
		methodAllowed:       duration.WithLabelValues(methodAllowed),
		methodBatchAllowed:  duration.WithLabelValues(methodBatchAllowed),
		methodStreamAllowed: duration.WithLabelValues(methodStreamAllowed),
	}
	m.batchSize = map[string]prometheus.Observer{
		methodBatchAllowed:  batchSize.WithLabelValues(methodBatchAllowed),
		methodStreamAllowed: batchSize.WithLabelValues(methodStreamAllowed),
	}
}

// reasonLabel is the value of the label reason, and whether that reason allows.
func reasonLabel(reason engine.Reason) (name string, allowed bool) {
	switch reason {
	case engine.Self:
		return "self", true
	case engine.LocalNode:
		return "local_node", true
	case engine.NotIsolated:
		return "not_isolated", true
	case engine.AllowedByRule:
		return "allowed_by_rule", true
	case engine.DeniedAtEgress:
		return "denied_at_egress", false
	case engine.DeniedAtIngress:
		return "denied_at_ingress", false
	case engine.Unknown:
		return "unknown", false
	default:
		return "unknown", false
	}
}

func (m *metrics) decided(reason engine.Reason, n int) {
	if m != nil && int(reason) < len(m.decisions) {
		m.decisions[reason].Add(float64(n))
	}
}

func (m *metrics) decidedMany(counts *decisionCounts) {
	for reason, n := range counts {
		if n > 0 {
			m.decided(engine.Reason(reason), n)
		}
	}
}

func (m *metrics) failed(f *failure) {
	if m != nil {
		m.errors.WithLabelValues(f.code.String(), f.reason).Inc()
	}
}

func (m *metrics) took(method string, d time.Duration) {
	if m != nil {
		m.duration[method].Observe(d.Seconds())
	}
}

func (m *metrics) batch(method string, questions int) {
	if m != nil {
		m.batchSize[method].Observe(float64(questions))
	}
}

// tlsReload counts a change of the TLS files; err is why it was refused.
func (m *metrics) tlsReload(err error) {
	result := reloadTaken
	if err != nil {
		result = reloadRefused
	}
	m.tlsReloads.WithLabelValues(result).Inc()
}
