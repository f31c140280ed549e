package metrics

import (
	"net/http"
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
	// requests counts those of forward-auth, and refused the callers that may not ask.
	requests, refused *prometheus.CounterVec
	// byCode has the counters of requests for the usual codes, and byVerdict those of checks by whether the HTTP filter
	// asks and the verdict, without shadow: so that usual answers need no look-up of labels.
	byCode    map[int]prometheus.Counter
	byVerdict [2]map[string]prometheus.Counter
	// decisions has the decisions of all doors.
	decisions *prometheus.CounterVec
}

func newProxied(decisions *prometheus.CounterVec) proxied {
	p := proxied{decisions: decisions, checks: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "ext_authz_checks_total",
		Help: "Answers to Envoy, by filter (network: UDP sessions too), verdict, and whether the client passes " +
			"whatever the verdict is.",
	}, []string{"filter", "verdict", "shadow"})}
	p.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "forward_auth_requests_total",
		Help: "Requests of forward-auth, other than of its health, by the HTTP status of the answer.",
	}, []string{"code"})
	p.byCode = map[int]prometheus.Counter{}
	for _, code := range []int{http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusServiceUnavailable} {
		p.byCode[code] = p.requests.WithLabelValues(strconv.Itoa(code))
	}
	p.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "callers_refused_total",
		Help: "Calls of those who may not ask, by service and reason.",
	}, []string{"service", "reason"})
	for i, filter := range []string{networkFilter, httpFilter} {
		p.byVerdict[i] = map[string]prometheus.Counter{}
		for _, verdict := range []string{"allowed", "denied", "error"} {
			p.byVerdict[i][verdict] = p.checks.WithLabelValues(filter, verdict, "false")
		}
	}
	return p
}

// Checked counts an answer to Envoy.
func (m *Metrics) Checked(byHTTP bool, verdict string, shadow bool) {
	if m == nil {
		return
	}
	filter, i := networkFilter, 0
	if byHTTP {
		filter, i = httpFilter, 1
	}
	if usual := m.proxied.byVerdict[i][verdict]; usual != nil && !shadow {
		usual.Inc()
		return
	}
	m.proxied.checks.WithLabelValues(filter, verdict, strconv.FormatBool(shadow)).Inc()
}

// ForwardAuth counts a request of forward-auth, by the status of its answer.
func (m *Metrics) ForwardAuth(status int) {
	if m == nil {
		return
	}
	if usual := m.proxied.byCode[status]; usual != nil {
		usual.Inc()
		return
	}
	m.proxied.requests.WithLabelValues(strconv.Itoa(status)).Inc()
}

// CallerRefused counts a call of one who may not ask service.
func (m *Metrics) CallerRefused(service, reason string) {
	if m != nil {
		m.proxied.refused.WithLabelValues(service, reason).Inc()
	}
}

// Panicked counts a call that panicked.
func (m *Metrics) Panicked() {
	if m != nil {
		m.Panics.Inc()
	}
}

// Denied counts a question that is denied for a reason that is not the engine's, such as "BAD_SOURCE".
func (m *Metrics) Denied(reason string) {
	if m != nil {
		m.proxied.decisions.WithLabelValues("false", strings.ToLower(reason)).Inc()
	}
}
