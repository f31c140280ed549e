package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The values of the label kind.
const (
	firstAnswer   = "first"
	changedAnswer = "change"
)

// watchMetrics are what watches count.
type watchMetrics struct {
	first, changed prometheus.Counter
	lag            prometheus.Histogram
}

// newWatchMetrics registers the metrics of watches, but for those that [Metrics.RegisterWatches] does.
func newWatchMetrics(r prometheus.Registerer) watchMetrics {
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "watch_answers_total",
		Help: "Answers sent to watches: first, or change for those that differ from the one before.",
	}, []string{"kind"})
	m := watchMetrics{
		first: answers.WithLabelValues(firstAnswer), changed: answers.WithLabelValues(changedAnswer),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "watch_lag_seconds",
			Help: "Time from the snapshot that changed an answer until the response with the change was handed to " +
				"the transport. It grows when a reader is slow.",
			Buckets: []float64{1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1, 5, 30},
		}),
	}
	r.MustRegister(answers, m.lag)
	return m
}

// RegisterWatches adds the number of open watches and of the questions that they watch, which counts returns.
func (m *Metrics) RegisterWatches(counts func() (open, questions int)) {
	if m == nil {
		return
	}
	m.Registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "watches", Help: "Open streams of WatchAllowed.",
		}, func() float64 { open, _ := counts(); return float64(open) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "watched_questions", Help: "Questions that they watch.",
		}, func() float64 { _, questions := counts(); return float64(questions) }),
	)
}

// WatchAnswers counts answers that were sent to a watch.
func (m *Metrics) WatchAnswers(first, changed int) {
	if m != nil {
		m.watches.first.Add(float64(first))
		m.watches.changed.Add(float64(changed))
	}
}

// WatchLag records how long a change took to be sent.
func (m *Metrics) WatchLag(d time.Duration) {
	if m != nil {
		m.watches.lag.Observe(d.Seconds())
	}
}
