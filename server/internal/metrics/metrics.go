package metrics

import (
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/server/internal/wire"
)

const namespace = "netpold"

// The values of the label method.
const (
	Allowed       = "Allowed"
	BatchAllowed  = "BatchAllowed"
	StreamAllowed = "StreamAllowed"
	Check         = "Check"
	ForwardAuth   = "ForwardAuth"
)

// The values of the label result.
const (
	reloadTaken   = "taken"
	reloadRefused = "refused"
)

// Metrics are the Prometheus metrics of a server. Counting on a nil *Metrics does nothing.
//
// Reading the clock costs as much as a decision. So a batch is measured and counted once, not once a
// question.
type Metrics struct {
	// Registry has all metrics.
	Registry *prometheus.Registry
	// GRPC counts calls. Its interceptor for unary ones is not used: [Metrics.Unary] costs less.
	GRPC *grpcprom.ServerMetrics
	// Panics counts calls that panicked.
	Panics prometheus.Counter
	calls  calls

	// decisions has a counter for each engine.Reason, by its number.
	decisions [engine.DeniedAtIngress + 1]prometheus.Counter
	errors    *prometheus.CounterVec
	duration  map[string]prometheus.Observer
	// answered has what Answered returns.
	answered   struct{ calls, took atomic.Int64 }
	batchSize  map[string]prometheus.Observer
	tlsReloads *prometheus.CounterVec
	shed       *prometheus.CounterVec
	audits     audits
	watches    watchMetrics
	access     access
	proxied    proxied
}

// DecisionCounts counts decisions by engine.Reason.
type DecisionCounts [engine.DeniedAtIngress + 1]int

// Add counts one decision.
func (c *DecisionCounts) Add(reason engine.Reason) {
	if int(reason) < len(c) {
		c[reason]++
	}
}

// New registers everything that is counted, and a collector that reads the status of source at each scrape.
func New(source mirror.Source, version string) *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		audits:   newAudits(),
		GRPC:     grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram()),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "decision_errors_total",
			Help: "Questions that got an error in place of an answer, by gRPC code and ErrorInfo reason.",
		}, []string{"code", "reason"}),
		Panics: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "panics_total",
			Help: "Calls that ended in a panic, answered INTERNAL. Each is a defect, and logged with its stack.",
		}),
		tlsReloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "tls_reloads_total",
			Help: "Changes of the TLS files, by result: taken, or refused (the last good ones stay in use).",
		}, []string{"result"}),
	}
	m.calls.library = m.GRPC
	m.shed = newShed(m.Registry)
	m.watches = newWatchMetrics(m.Registry)
	m.access = newAccess(m.Registry)
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the version is in the labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	// start at 0: otherwise the first one is not seen as an increase
	for _, result := range []string{reloadTaken, reloadRefused} {
		m.tlsReloads.WithLabelValues(result)
	}
	m.Registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.GRPC,
		build, m.errors, m.Panics, m.tlsReloads, m.audits.inFlight, m.audits.errors,
		newStateCollector(source),
	)
	m.registerDecisions()
	return m
}

// registerDecisions makes a counter for each reason and an observer for each method, so that calls need no
// look-ups.
func (m *Metrics) registerDecisions() {
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "decisions_total", Help: "Decisions, by verdict and by the rule that decided.",
	}, []string{"allowed", "reason"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "decision_duration_seconds",
		Help: "Time to answer a call from its decoded request to its response, waiting for at_least not " +
			"included; for BatchAllowed, and each batch of StreamAllowed, of the whole batch.",
		Buckets: []float64{1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2,
			0.1, 1},
	}, []string{"method"})
	batchSize := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "batch_size",
		Help:    "Questions in each BatchAllowed call, and in each batch of StreamAllowed.",
		Buckets: []float64{1, 10, 100, 250, 500, 1000, 2500, 5000, 10000, 100000},
	}, []string{"method"})
	m.Registry.MustRegister(decisions, duration, batchSize)
	for i := range m.decisions {
		reason := engine.Reason(i)
		m.decisions[i] = decisions.WithLabelValues(strconv.FormatBool(reason.Allowed()), reason.String())
	}
	m.proxied = newProxied(decisions)
	m.Registry.MustRegister(m.proxied.checks, m.proxied.requests, m.proxied.refused)
	m.duration = map[string]prometheus.Observer{
		Allowed:       duration.WithLabelValues(Allowed),
		BatchAllowed:  duration.WithLabelValues(BatchAllowed),
		StreamAllowed: duration.WithLabelValues(StreamAllowed),
		Check:         duration.WithLabelValues(Check),
		ForwardAuth:   duration.WithLabelValues(ForwardAuth),
	}
	m.batchSize = map[string]prometheus.Observer{
		BatchAllowed:  batchSize.WithLabelValues(BatchAllowed),
		StreamAllowed: batchSize.WithLabelValues(StreamAllowed),
	}
}

// Decided counts n decisions of one reason.
func (m *Metrics) Decided(reason engine.Reason, n int) {
	if m != nil && int(reason) < len(m.decisions) {
		m.decisions[reason].Add(float64(n))
	}
}

// DecidedMany counts the decisions of a batch.
func (m *Metrics) DecidedMany(counts *DecisionCounts) {
	for reason, n := range counts {
		if n > 0 {
			m.Decided(engine.Reason(reason), n)
		}
	}
}

// Failed counts a question or a call that got an error.
func (m *Metrics) Failed(f *wire.Failure) {
	if m != nil {
		m.errors.WithLabelValues(f.Code.String(), f.Reason).Inc()
	}
}

// Took records how long a call of method took to answer.
func (m *Metrics) Took(method string, d time.Duration) {
	if m != nil {
		m.duration[method].Observe(d.Seconds())
		m.answered.calls.Add(1)
		m.answered.took.Add(int64(d))
	}
}

// Answered returns how many times Took was called, and the sum of their durations.
func (m *Metrics) Answered() (calls int64, took time.Duration) {
	if m == nil {
		return 0, 0
	}
	return m.answered.calls.Load(), time.Duration(m.answered.took.Load())
}

// Batch records the size of a batch.
func (m *Metrics) Batch(method string, questions int) {
	if m != nil {
		m.batchSize[method].Observe(float64(questions))
	}
}

// TLSReload counts a change of the TLS files. err is why it was refused; nil if it was taken.
func (m *Metrics) TLSReload(err error) {
	m.tlsReloads.WithLabelValues(reloadResult(err)).Inc()
}
