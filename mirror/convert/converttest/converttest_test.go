package converttest_test

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/mirror/convert/converttest"
)

// TestRoundTrip proves that objects written for Kubernetes are read back unchanged. It skips random policies
// that the API server would reject.
func TestRoundTrip(t *testing.T) {
	same := gocmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}
	read := make(map[string]int, convert.KindCount)
	for seed := range uint64(400) {
		for _, o := range enginetest.NewRandom(seed).WithTiers().Cluster() {
			if p, ok := o.(*engine.ClusterPolicy); ok {
				o = converttest.ValidClusterPolicy(p)
			}
			kind := convert.KindOf(o)
			got, problems, err := kind.Convert(converttest.Object(o))
			if err != nil {
				t.Fatal(err)
			}
			want := canonical(o)
			if p, ok := o.(*engine.Pod); ok { // host ports are written without names, on the host network too
				for _, h := range p.HostPorts {
					to := want.(*engine.Pod)
					to.UnnamedPorts = append(to.UnnamedPorts,
						engine.UnnamedPort{Port: h.ContainerPort, Protocol: h.Protocol})
				}
			}
			if p, ok := o.(*engine.Policy); ok && (len(problems) > 0 || !p.IsolatesIngress && !p.IsolatesEgress) {
				continue
			}
			if kind.Optional && len(problems) > 0 { // selectors that the API server would refuse
				continue
			}
			if d := gocmp.Diff(want, canonical(got), same); d != "" || len(problems) > 0 {
				t.Fatalf("seed %d: -written +read:\n%s\nproblems %v", seed, d, problems)
			}
			read[kind.Name]++
		}
	}
	for _, k := range convert.Kinds() {
		if read[k.Name] < 100 {
			t.Errorf("%d objects were a %s", read[k.Name], k.Name)
		}
	}
}

// canonical returns a copy of o with sorted lists where order means nothing, and without what Kubernetes has
// no field for.
func canonical(o engine.Object) engine.Object {
	o = enginetest.Clone(o)
	switch o := o.(type) {
	case *engine.Pod:
		o.IPs, o.HostIPs, o.SecondaryIPs = distinct(o.IPs), distinct(o.HostIPs), distinct(o.SecondaryIPs)
		if o.HostNetwork {
			o.HostPorts = nil
		}
		for i, h := range o.HostPorts {
			if h.IP.IsValid() && h.IP.IsUnspecified() { // every address of the Node
				o.HostPorts[i].IP = netip.Addr{}
			}
		}
		if len(o.Workloads) > 0 { // a Pod names its controller, which is never one of these kinds
			o.Workloads = o.Workloads[:1]
			if kind := o.Workloads[0].Kind; kind == "Deployment" || kind == "CronJob" {
				o.Workloads = nil
			}
		}
	case *engine.Namespace:
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		o.Labels["kubernetes.io/metadata.name"] = o.Name
	case *engine.Node:
		o.IPs = distinct(o.IPs)
	case *engine.ClusterPolicy:
		o.Subject.Namespaces, o.Subject.Pods = sorted(o.Subject.Namespaces), sorted(o.Subject.Pods)
		for _, rules := range [][]engine.ClusterRule{o.Ingress, o.Egress} {
			for i := range rules {
				canonicalRule(&rules[i].Rule)
			}
		}
	case *engine.Service:
		o.IPs = distinct(o.IPs)
		o.Headless = o.Headless && !o.ExternalName
		if o.Headless || o.ExternalName {
			o.IPs = nil
		}
		if o.ExternalName {
			o.Selector, o.PublishNotReady, o.Families = nil, false, 0
		}
	case *engine.EndpointSlice:
		o.Endpoints = slices.DeleteFunc(o.Endpoints, func(e engine.SliceEndpoint) bool { return !e.Addr.IsValid() })
	case *engine.Policy:
		o.TypesOmitted = o.TypesOmitted && o.IsolatesIngress && o.IsolatesEgress == (len(o.Egress) > 0)
		o.Subject = sorted(o.Subject)
		canonicalRules(o.Ingress)
		canonicalRules(o.Egress)
	}
	return o
}

func canonicalRules(rules []engine.Rule) {
	for i := range rules {
		canonicalRule(&rules[i])
	}
}

func canonicalRule(r *engine.Rule) {
	for i := range r.Peers {
		p := &r.Peers[i]
		for _, s := range []*engine.Selector{p.Namespaces, p.Pods, p.Nodes} {
			if s != nil {
				*s = sorted(*s)
			}
		}
		if p.Block != nil {
			p.Block.CIDR = p.Block.CIDR.Masked()
			for i, e := range p.Block.Except {
				p.Block.Except[i] = e.Masked()
			}
		}
	}
	for i := range r.Ports {
		if r.Ports[i].Name != "" {
			r.Ports[i].First, r.Ports[i].Last = 0, 0
		}
	}
}

// sorted returns the requirements in order, with their values sorted and without duplicates.
func sorted(s engine.Selector) engine.Selector {
	for i := range s {
		slices.Sort(s[i].Values)
		s[i].Values = slices.Compact(s[i].Values)
	}
	slices.SortFunc(s, func(a, b engine.Requirement) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Operator, b.Operator),
			slices.Compare(a.Values, b.Values))
	})
	return s
}

// distinct returns each address once, at its first position.
func distinct(list []netip.Addr) []netip.Addr {
	var to []netip.Addr
	for _, a := range list {
		if !slices.Contains(to, a) {
			to = append(to, a)
		}
	}
	return to
}
