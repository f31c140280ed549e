package enginetest

import (
	"net/netip"

	"github.com/netpold/netpold/engine"
)

// Ages returns when the Pod that end turned out to be was created, and when the newest of the policies was that
// restrict it for a direction; 0 for none. asked is the endpoint that end was found by.
func (o *Oracle) Ages(asked Endpoint, end *engine.Resolved, egress bool) (created, newestPolicy int64) {
	p := o.explained(asked, &engine.ExplainedEnd{Resolved: *end, IPs: []netip.Addr{end.IP}})
	if p.pod != nil {
		created = p.pod.Created
	}
	if o.Options.IgnorePolicies {
		return created, 0
	}
	for _, x := range o.Objects {
		if !o.restricts(x, p, egress) {
			continue
		}
		switch x := x.(type) {
		case *engine.Policy:
			newestPolicy = max(newestPolicy, x.Created)
		case *engine.ClusterPolicy:
			newestPolicy = max(newestPolicy, x.Created)
		}
	}
	return created, newestPolicy
}
