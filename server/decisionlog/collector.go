package decisionlog

import "github.com/prometheus/client_golang/prometheus"

// The metrics of a log.
var (
	writtenDesc = describe("records_total", "Records of the decision log that were written.")
	droppedDesc = describe("dropped_total",
		"Records of the decision log that were dropped: queue-full (the writer did not keep up), write-failed "+
			"(the target did not take them), too-large, rejected (the endpoint does not want them).", "why")
	queuedDesc  = describe("queue_records", "How much of --decision-log-queue is in use.")
	failingDesc = describe("failing", "1 while the target of the decision log takes no records.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("netpold", "decision_log", name), help, labels, nil)
}

// Describe implements [prometheus.Collector].
func (l *Log) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{writtenDesc, droppedDesc, queuedDesc, failingDesc} {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (l *Log) Collect(metrics chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	send(writtenDesc, prometheus.CounterValue, float64(l.counts.written.Load()))
	for why, text := range whys {
		send(droppedDesc, prometheus.CounterValue, float64(l.counts.dropped[why].Load()), text)
	}
	send(queuedDesc, prometheus.GaugeValue, float64(l.queue.length()))
	failing := 0.0
	if l.failure.Load() != nil {
		failing = 1
	}
	send(failingDesc, prometheus.GaugeValue, failing)
}
