package audit_test

import (
	"net/netip"
	"slices"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// A filter is a random filter of one side, and what it selects by the words of the contract.
type filter struct {
	ends audit.Ends
	// all reports whether it names nothing, so that the scope counts.
	all        bool
	namespaces []string
	pods       []string // namespace/name
	workloads  []enginetest.WorkloadName
	outside    []netip.Addr
	labelled   *engine.LabelledPod
}

// randomFilter returns a filter that names nothing, or one or two things.
func (c *listCheck) randomFilter(r *enginetest.Random) *filter {
	f := &filter{}
	if c.rand.IntN(3) == 0 {
		f.all = true
		f.ends.Scope = audit.Scope(c.rand.IntN(3))
		return f
	}
	var pods []*engine.Pod
	for _, o := range c.oracle.Objects {
		if p, ok := o.(*engine.Pod); ok && !p.Finished {
			pods = append(pods, p)
		}
	}
	for range 1 + c.rand.IntN(2) {
		if len(pods) == 0 {
			break
		}
		p := pods[c.rand.IntN(len(pods))]
		switch n := c.rand.IntN(6); {
		case n == 0:
			f.namespaces = append(f.namespaces, p.Namespace)
		case n == 1 && len(p.Workloads) > 0:
			w := enginetest.WorkloadName{Namespace: p.Namespace, Workload: p.Workloads[0]}
			f.workloads = append(f.workloads, w)
			f.ends.Endpoints = append(f.ends.Endpoints, engine.ByWorkload(p.Namespace, w.Workload))
		case n == 2:
			ip := netip.MustParseAddr([]string{"203.0.113.1", "2001:db8:1::1"}[c.rand.IntN(2)])
			f.outside = append(f.outside, ip)
			f.ends.Endpoints = append(f.ends.Endpoints, engine.ByIP(ip))
		case n == 3 && c.labelled == nil:
			c.labelled = r.LabelledPod()
			f.labelled = c.labelled
			f.ends.Endpoints = append(f.ends.Endpoints, engine.ByLabels(c.labelled))
		case n == 4:
			s, t := r.Selector(), r.Selector()
			f.ends.Pods, f.ends.NamespaceLabels = &s, &t
			if c.rand.IntN(2) == 0 {
				f.ends.NamespaceLabels = nil
			}
		default:
			f.pods = append(f.pods, p.Namespace+"/"+p.Name)
			f.ends.Endpoints = append(f.ends.Endpoints, engine.ByPod(p.Namespace, p.Name))
		}
	}
	f.ends.Namespaces = f.namespaces
	f.all = len(f.ends.Endpoints)+len(f.ends.Namespaces) == 0 && f.ends.Pods == nil
	return f
}

// selects reports whether the filter selects an end of a group.
func (c *listCheck) selects(f *filter, e enginetest.ListedEnd) bool {
	p := e.Pod
	switch {
	case e.Labels != nil:
		return f.labelled == e.Labels
	case f.all:
		return f.ends.Scope != audit.ScopeExternal
	case p == nil:
		return false
	}
	if f.ends.Pods != nil && enginetest.Matches(*f.ends.Pods, p.Labels) && (f.ends.NamespaceLabels == nil ||
		enginetest.Matches(*f.ends.NamespaceLabels, c.oracle.NamespaceLabels(p.Namespace))) {
		return true
	}
	return slices.Contains(f.namespaces, p.Namespace) || slices.Contains(f.pods, p.Namespace+"/"+p.Name) ||
		slices.ContainsFunc(f.workloads, func(w enginetest.WorkloadName) bool {
			return w.Namespace == p.Namespace && slices.Contains(p.Workloads, w.Workload)
		})
}

// selectsOutside reports whether the filter selects an address outside the cluster.
func (f *filter) selectsOutside(ip netip.Addr) bool {
	if f.all {
		return f.ends.Scope != audit.ScopeCluster
	}
	return slices.Contains(f.outside, ip)
}

// listsPort reports whether the request lists a port.
func (c *listCheck) listsPort(p audit.PortRange) bool {
	return len(c.request.Ports) == 0 || slices.ContainsFunc(c.request.Ports, func(r audit.PortRange) bool {
		return r.Protocol == p.Protocol && r.First <= p.First && p.First <= r.Last
	})
}
