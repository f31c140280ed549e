package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/netpold/netpold/server/internal/wire"
)

// The methods of AuditService, as values of the label method.
const (
	Explain         = "Explain"
	ListConnections = "ListConnections"
	Simulate        = "Simulate"
	Lint            = "Lint"
)

// audits counts audits. Calls, their codes and how long they take are in the metrics of gRPC.
type audits struct {
	inFlight *prometheus.GaugeVec
	errors   *prometheus.CounterVec
}

func newAudits() audits {
	a := audits{
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "audits_in_flight", Help: "Audits in progress, by method.",
		}, []string{"method"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "audit_errors_total",
			Help: "Audits that ended in an error, by method, gRPC code and ErrorInfo reason.",
		}, []string{"method", "code", "reason"}),
	}
	for _, method := range []string{Explain, ListConnections, Simulate, Lint} {
		a.inFlight.WithLabelValues(method)
	}
	return a
}

// AuditBegins counts an audit that was admitted.
func (m *Metrics) AuditBegins(method string) {
	if m != nil {
		m.audits.inFlight.WithLabelValues(method).Inc()
	}
}

// AuditEnds counts the end of an audit.
func (m *Metrics) AuditEnds(method string) {
	if m != nil {
		m.audits.inFlight.WithLabelValues(method).Dec()
	}
}

// AuditFailed counts an audit that got an error.
func (m *Metrics) AuditFailed(method string, f *wire.Failure) {
	if m != nil {
		m.audits.errors.WithLabelValues(method, f.Code.String(), f.Reason).Inc()
	}
}
