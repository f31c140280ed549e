package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// stateCollector reads the state and the status of the source once at each scrape.
type stateCollector struct {
	source mirror.Source

	ready, revision, age, objects, classes, selectors           *prometheus.Desc
	resourceSynced, resourceStale, resourceObjects, resourceAge *prometheus.Desc
	problems, ignored, unmodelled, invalid, domainNames         *prometheus.Desc
}

func newStateCollector(source mirror.Source) *stateCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &stateCollector{
		source:   source,
		ready:    desc("ready", "1 from the first full sync on."),
		revision: desc("snapshot_revision", "Revision of the present snapshot; absent before the first."),
		age: desc("snapshot_age_seconds",
			"Time since the present snapshot was published: since the last change of the cluster that counts."),
		objects:   desc("objects", "Objects in the present snapshot, by kind.", "kind"),
		classes:   desc("classes", "Groups of Pods that every live selector treats alike."),
		selectors: desc("selectors", "Distinct selectors of all policies."),
		resourceSynced: desc("resource_synced",
			"1 when the first list of the resource is complete and applied.", "resource"),
		resourceStale:   desc("resource_stale", "1 when the resource's age is past the limit.", "resource"),
		resourceObjects: desc("resource_objects", "Objects mirrored, by resource.", "resource"),
		resourceAge: desc("resource_age_seconds",
			"Time since the last proof that the mirror of the resource is current.", "resource"),
		problems: desc("problems",
			"What is wrong in the cluster's objects or with reading them, as GetStatus lists it, by severity.",
			"severity"),
		ignored: desc("ignored_objects", "Objects that were read and play no part in decisions, by kind.", "kind"),
		unmodelled: desc("unmodelled_policies",
			"Objects that decide traffic and that netpold does not model, by kind and group; NaN where they may "+
				"not be listed.", "kind"),
		invalid: desc("invalid_policies",
			"Cluster-wide policies in which something is not understood: it allows nothing, and may deny more "+
				"than was meant. By kind.", "kind"),
		domainNames: desc("tier_domain_name_rules",
			"Rules of cluster-wide policies with domain names, which match nothing, by kind.", "kind"),
	}
}

// Describe implements [prometheus.Collector].
func (c *stateCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.ready, c.revision, c.age, c.objects, c.classes, c.selectors,
		c.resourceSynced, c.resourceStale, c.resourceObjects, c.resourceAge, c.problems, c.ignored, c.unmodelled,
		c.invalid, c.domainNames,
	} {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *stateCollector) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	state, ready := c.source.State()
	gauge(c.ready, oneIf(ready))
	if ready {
		gauge(c.revision, float64(state.Snapshot.Revision()))
		gauge(c.age, time.Since(state.Published).Seconds())
		n := state.Snapshot.Counts()
		gauge(c.objects, float64(n.Pods), "Pod")
		gauge(c.objects, float64(n.Namespaces), "Namespace")
		gauge(c.objects, float64(n.Policies), "NetworkPolicy")
		gauge(c.objects, float64(n.Nodes), "Node")
		gauge(c.objects, float64(n.Services), "Service")
		gauge(c.objects, float64(n.EndpointSlices), "EndpointSlice")
		for kind, count := range n.ClusterPolicies {
			gauge(c.objects, float64(count), engine.ClusterPolicyKind(kind).String())
		}
		gauge(c.classes, float64(n.Classes))
		gauge(c.selectors, float64(n.Selectors))
	}
	status := c.source.Status()
	for _, r := range status.Resources {
		gauge(c.resourceSynced, oneIf(r.Synced), r.Name)
		gauge(c.resourceStale, oneIf(r.Stale), r.Name)
		gauge(c.resourceObjects, float64(r.Objects), r.Name)
		gauge(c.resourceAge, r.Age.Seconds(), r.Name)
	}
	errors, warnings := 0, 0
	for i := range status.Problems {
		if status.Problems[i].Warning {
			warnings++
		} else {
			errors++
		}
	}
	gauge(c.problems, float64(errors), "error")
	gauge(c.problems, float64(warnings), "warning")
	invalid, domainNames := mirror.InvalidPolicies(status.Problems), mirror.DomainNameRules(status.Problems)
	for i := range (engine.Counts{}).ClusterPolicies {
		kind := engine.ClusterPolicyKind(i).String()
		gauge(c.invalid, float64(invalid[kind]), kind)
		gauge(c.domainNames, float64(domainNames[kind]), kind)
	}
	for kind, n := range status.IgnoredKinds {
		gauge(c.ignored, float64(n), kind)
	}
	for i := range status.Unmodelled {
		n := math.NaN()
		if kind := &status.Unmodelled[i]; kind.Counted {
			n = float64(kind.Count)
		}
		gauge(c.unmodelled, n, status.Unmodelled[i].Name())
	}
}

func oneIf(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}
