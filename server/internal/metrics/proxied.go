package metrics

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// The values of the label filter.
const (
	httpFilter    = "http"
	networkFilter = "network"
)

// proxied counts what proxies ask.
type proxied struct {
	checks *prometheus.CounterVec
	// decisions has the decisions of all doors.
	decisions *prometheus.CounterVec
}

func newProxied(decisions *prometheus.CounterVec) proxied {
	p := proxied{decisions: decisions, checks: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "ext_authz_checks_total",
		Help: "Answers to Envoy, by filter (network: UDP sessions too), verdict, and whether the client passes " +
			"whatever the verdict is.",
	}, []string{"filter", "verdict", "shadow"})}
	for _, filter := range []string{httpFilter, networkFilter} {
		for _, verdict := range []string{"allowed", "denied", "error"} {
			p.checks.WithLabelValues(filter, verdict, "false")
		}
	}
	return p
}

// Checked counts an answer to Envoy.
func (m *Metrics) Checked(http bool, verdict string, shadow bool) {
	if m == nil {
		return
	}
	filter := networkFilter
	if http {
		filter = httpFilter
	}
	m.proxied.checks.WithLabelValues(filter, verdict, strconv.FormatBool(shadow)).Inc()
}

// Denied counts a question that is denied for a reason that is not the engine's, such as "BAD_SOURCE".
func (m *Metrics) Denied(reason string) {
	if m != nil {
		m.proxied.decisions.WithLabelValues("false", strings.ToLower(reason)).Inc()
	}
}
