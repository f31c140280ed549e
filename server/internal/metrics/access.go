package metrics

import "github.com/prometheus/client_golang/prometheus"

// The values of the label kind of reviews.
const (
	// TokenReview asks whose a token is, AccessReview whether a user has a right.
	TokenReview  = "token"
	AccessReview = "access"
)

// access counts what it is decided by whether a caller may ask.
type access struct {
	reloads *prometheus.CounterVec
	reviews *prometheus.CounterVec
}

func newAccess(r prometheus.Registerer) access {
	a := access{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "authz_reloads_total",
			Help: "Changes of the policy of callers, by result: taken, or refused (the last good one stays in use).",
		}, []string{"result"}),
		reviews: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "kube_reviews_total",
			Help: "Reviews that the API server was asked for, by kind (token, access) and result: allowed, refused, " +
				"or error.",
		}, []string{"kind", "result"}),
	}
	for _, result := range []string{reloadTaken, reloadRefused} {
		a.reloads.WithLabelValues(result)
	}
	for _, kind := range []string{TokenReview, AccessReview} {
		for _, result := range []string{"allowed", "refused", "error"} {
			a.reviews.WithLabelValues(kind, result)
		}
	}
	r.MustRegister(a.reloads, a.reviews)
	return a
}

// AuthzReload counts a change of the policy of callers. err is why it was refused; nil if it was taken.
func (m *Metrics) AuthzReload(err error) {
	if m != nil {
		m.access.reloads.WithLabelValues(reloadResult(err)).Inc()
	}
}

// Reviewed counts a review of a kind.
func (m *Metrics) Reviewed(kind string, allowed bool, err error) {
	result := "refused"
	switch {
	case m == nil:
		return
	case err != nil:
		result = "error"
	case allowed:
		result = "allowed"
	}
	m.access.reviews.WithLabelValues(kind, result).Inc()
}

func reloadResult(err error) string {
	if err != nil {
		return reloadRefused
	}
	return reloadTaken
}
