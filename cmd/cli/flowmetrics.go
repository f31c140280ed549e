package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/clients/hubble"
)

// A flowMetrics counts what an audit of flows does, for --listen-metrics.
type flowMetrics struct {
	registry                  *prometheus.Registry
	records                   prometheus.Counter
	verdicts, compared, byWhy *prometheus.CounterVec
	allowed, denied           prometheus.Counter
	agrees, disagrees         prometheus.Counter
	lag                       prometheus.Gauge
}

func newFlowMetrics() *flowMetrics {
	m := &flowMetrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	make := promauto.With(m.registry)
	m.records = make.NewCounter(prometheus.CounterOpts{
		Name: "netpold_flow_records_total", Help: "Records read.",
	})
	m.verdicts = make.NewCounterVec(prometheus.CounterOpts{
		Name: "netpold_flow_verdicts_total", Help: "Records with an answer, by verdict.",
	}, []string{"verdict"})
	m.allowed, m.denied = m.verdicts.WithLabelValues("allowed"), m.verdicts.WithLabelValues("denied")
	m.compared = make.NewCounterVec(prometheus.CounterOpts{
		Name: "netpold_flow_comparisons_total",
		Help: "Records compared with what the network did, by result (F4).",
	}, []string{"compared"})
	m.agrees, m.disagrees = m.compared.WithLabelValues("agrees"), m.compared.WithLabelValues("disagrees")
	m.byWhy = make.NewCounterVec(prometheus.CounterOpts{
		Name: "netpold_flow_not_compared_total",
		Help: "Records that were not asked (F2) or not compared (F3), by reason.",
	}, []string{"why"})
	for _, why := range []flows.Why{
		flows.Malformed, flows.NotAFlow, flows.OutOfTime, flows.NotL4, flows.Reply, flows.Unresolved,
		flows.NoVerdict, flows.Moved, flows.PodYounger, flows.PolicyYounger,
	} {
		m.byWhy.WithLabelValues(string(why))
	}
	m.lag = make.NewGauge(prometheus.GaugeOpts{
		Name: "netpold_flow_lag_seconds",
		Help: "How long before it was judged the last record happened, by its own time.",
	})
	return m
}

// follow adds what a Hubble says of the way.
func (m *flowMetrics) follow(counts func() hubble.Counts) {
	for _, c := range []struct {
		name, help string
		of         func(hubble.Counts) uint64
	}{
		{
			"reconnects_total", "Connections to Hubble after the first.",
			func(c hubble.Counts) uint64 { return c.Reconnects },
		},
		{
			"lost_events_total", "Events that Hubble says it has lost.",
			func(c hubble.Counts) uint64 { return c.Lost },
		},
		{
			"repeated_total", "Events that Hubble sent again after a break, which are left out.",
			func(c hubble.Counts) uint64 { return c.Repeated },
		},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "netpold_hubble_" + c.name, Help: c.help,
		}, func() float64 { return float64(c.of(counts())) }))
	}
}

// count counts a record.
func (m *flowMetrics) count(j *judgedFlow) {
	m.records.Inc()
	if at := j.record.Time; !at.IsZero() {
		m.lag.Set(time.Since(at).Seconds())
	}
	if j.answer != nil && j.Why != flows.Unresolved {
		if j.answer.Reason.Allowed() {
			m.allowed.Inc()
		} else {
			m.denied.Inc()
		}
	}
	switch j.Compared {
	case flows.Agrees:
		m.agrees.Inc()
	case flows.Disagrees:
		m.disagrees.Inc()
	case flows.NotCompared:
		m.byWhy.WithLabelValues(string(j.Why)).Inc()
	}
}

// serve serves /metrics on address until the returned function is called.
func (m *flowMetrics) serve(ctx context.Context, inv *invocation, address string) (stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen-metrics: %w: give HOST:PORT of a free port here", err)
	}
	inv.notice("metrics on http://%s/metrics", listener.Addr())
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			inv.notice("warning: --listen-metrics %s: %v", address, err)
		}
	}()
	return func() {
		_ = server.Close() // the audit is over, whoever still reads
		<-served
	}, nil
}
