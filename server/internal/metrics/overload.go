package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/netpold/netpold/server/internal/wire"
)

// connectionsLimit is the value of the label limit for connections that were closed.
const connectionsLimit = "connections"

// newShed registers what counts refusals because of overload.
func newShed(r prometheus.Registerer) *prometheus.CounterVec {
	shed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "shed_total",
		Help: "Calls refused because of overload, by the limit; of connections, those refused or closed for others.",
	}, []string{"limit"})
	for _, limit := range []string{"in_flight", "in_flight_per_caller", "waiting", "watches", "memory",
		"memory_per_caller", "unread", "per_connection", connectionsLimit} {
		shed.WithLabelValues(limit)
	}
	r.MustRegister(shed)
	return shed
}

// Shed counts a call that was refused because of overload; f names the limit. Other failures are not counted.
func (m *Metrics) Shed(f *wire.Failure) {
	if m != nil && (f.Reason == wire.ReasonOverloaded || f.Reason == wire.ReasonCallerOverLimit) {
		m.shed.WithLabelValues(f.Metadata["limit"]).Inc()
	}
}

// ShedConnection counts a connection that was refused, or closed for another one.
func (m *Metrics) ShedConnection() {
	if m != nil {
		m.shed.WithLabelValues(connectionsLimit).Inc()
	}
}

// RegisterExpensive adds how many questions asked for a slot, and how many wait for one, which counts returns.
func (m *Metrics) RegisterExpensive(counts func() (asked, waiting int)) {
	if m == nil {
		return
	}
	m.Registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Name: "expensive_questions_total",
		Help: "Questions about many Pods, or batches of such, that had to take a slot to be decided.",
	}, func() float64 { asked, _ := counts(); return float64(asked) }))
	m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "expensive_questions_waiting",
		Help: "Questions about many Pods that wait for a slot.",
	}, func() float64 { _, waiting := counts(); return float64(waiting) }))
}

// RegisterInFlight adds the number of calls in progress, which count returns.
func (m *Metrics) RegisterInFlight(count func() int) {
	if m == nil {
		return
	}
	m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "in_flight",
		Help: "Calls in progress that count towards the limits; a batch counts 1 for each 100 questions begun.",
	}, func() float64 { return float64(count()) }))
}
