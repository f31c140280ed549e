package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/netpold/netpold/cache"
)

// cacheCollector reads the statistics of the cache at each scrape.
type cacheCollector struct {
	cache *cache.Cache

	hits, misses, evictions, entries *prometheus.Desc
}

// RegisterCache adds the metrics of a cache.
func (m *Metrics) RegisterCache(c *cache.Cache) { m.Registry.MustRegister(newCacheCollector(c)) }

func newCacheCollector(c *cache.Cache) *cacheCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "cache", name), help, nil, nil)
	}
	return &cacheCollector{
		cache: c,
		hits: desc("hits_total", "Questions about workloads and Services answered by a decision that was "+
			"remembered."),
		misses: desc("misses_total",
			"Questions about workloads and Services that were decided, for no decision that still holds was "+
				"remembered."),
		evictions: desc("evictions_total", "Decisions forgotten for lack of room."),
		entries:   desc("entries", "Decisions remembered."),
	}
}

// Describe implements [prometheus.Collector].
func (c *cacheCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.hits, c.misses, c.evictions, c.entries} {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *cacheCollector) Collect(metrics chan<- prometheus.Metric) {
	stats := c.cache.Stats()
	metrics <- prometheus.MustNewConstMetric(c.hits, prometheus.CounterValue, float64(stats.Hits))
	metrics <- prometheus.MustNewConstMetric(c.misses, prometheus.CounterValue, float64(stats.Misses))
	metrics <- prometheus.MustNewConstMetric(c.evictions, prometheus.CounterValue, float64(stats.Evictions))
	metrics <- prometheus.MustNewConstMetric(c.entries, prometheus.GaugeValue, float64(stats.Entries))
}
