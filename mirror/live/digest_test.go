package live

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror"
)

// full returns objects in which every field is set.
func full() []engine.Object {
	ip, prefix := netip.MustParseAddr("10.0.0.1"), netip.MustParsePrefix("10.0.0.0/8")
	selector := engine.Selector{{Key: "k", Operator: engine.NotIn, Values: []string{"v"}}}
	rules := []engine.Rule{{
		Peers: []engine.Peer{{
			Namespaces: &selector, Pods: &selector, Nodes: &selector,
			Block: &engine.IPBlock{CIDR: prefix, Except: []netip.Prefix{prefix}},
		}},
		Ports: []engine.Port{{Protocol: engine.UDP, Name: "http", AnyProtocol: true, First: 1, Last: 2}},
	}}
	clusterRules := []engine.ClusterRule{{
		Name: "r", Action: engine.Allow, NotUnderstood: true, Rule: rules[0],
		Origins: []engine.PeerOrigin{{Peers: 1, Names: []string{"a.example"}}},
	}}
	ports := []engine.ServicePort{{Name: "http", Port: 80, Protocol: engine.UDP}}
	return []engine.Object{
		&engine.Pod{
			Namespace: "a", Name: "b", UID: "c", Created: 1, Labels: map[string]string{"k": "v"}, Node: "n",
			HostNetwork: true, Finished: true,
			IPs: []netip.Addr{ip}, HostIPs: []netip.Addr{ip},
			Ports:        []engine.NamedPort{{Name: "http", Port: 80, Protocol: engine.UDP}},
			Workloads:    []engine.Workload{{Kind: "Job", Name: "j"}},
			HostPorts:    []engine.HostPort{{Port: 80, ContainerPort: 8080, Protocol: engine.UDP, IP: ip}},
			SecondaryIPs: []netip.Addr{ip}, Placeholder: true, ServiceAccount: "a",
			UnnamedPorts: []engine.UnnamedPort{{Port: 80, Protocol: engine.UDP}},
		},
		&engine.Namespace{Name: "a", Labels: map[string]string{"k": "v"}, LintIgnore: "*"},
		&engine.ClusterPolicy{
			Kind: engine.AdminNetworkPolicy, Name: "a", Tier: engine.Admin, Priority: 1, Urgent: true,
			Subject: engine.ClusterSubject{Namespaces: selector, Pods: selector}, Egress: clusterRules,
			Ingress: clusterRules, Created: 1, LintIgnore: "*",
		},
		&engine.Node{Name: "a", Labels: map[string]string{"k": "v"}, IPs: []netip.Addr{ip},
			PodCIDRs: []netip.Prefix{netip.PrefixFrom(ip, 8)}},
		&engine.Policy{Namespace: "a", Name: "b", Subject: selector, IsolatesEgress: true, IsolatesIngress: true,
			Egress: rules, Ingress: rules, TypesOmitted: true, Created: 1, LintIgnore: "*"},
		&engine.Service{
			Namespace: "a", Name: "b", IPs: []netip.Addr{ip}, Headless: true, ExternalName: true, Ports: ports,
			Selector: map[string]string{"k": "v"}, PublishNotReady: true, Families: engine.IPv4,
			PortDetails: []engine.ServicePortDetail{{Port: 80, Protocol: engine.UDP, NodePort: 30080, Target: "http",
				TargetPort: 8080}},
		},
		&engine.EndpointSlice{Namespace: "a", Name: "b", Service: "s", Ports: ports,
			Endpoints: []engine.SliceEndpoint{
				{Addr: ip, Pod: "p", Ready: true, Serving: true, Terminating: true},
			}},
	}
}

// TestEveryFieldIsDigested changes each value of each kind, at any depth: a change that is not in the digest
// would never reach decisions. It also fails when a kind gets a field that full does not set.
func TestEveryFieldIsDigested(t *testing.T) {
	var e encoder
	changes := 0
	for _, o := range full() {
		before := e.digest(o, nil)
		vary(t, reflect.ValueOf(o).Elem(), reflect.TypeOf(o).Elem().Name(), func(what string) {
			changes++
			if e.digest(o, nil) == before {
				t.Errorf("%s does not count", what)
			}
		})
		if e.digest(o, nil) != before {
			t.Fatalf("%T was not restored", o)
		}
	}
	t.Logf("%d changes", changes)
}

// vary changes each value in turn, calls changed, and restores it.
func vary(t *testing.T, v reflect.Value, what string, changed func(string)) {
	try := func(to any) {
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		v.Set(reflect.ValueOf(to).Convert(v.Type()))
		changed(what)
		v.Set(old)
	}
	if v.IsZero() {
		t.Errorf("%s is not set", what)
		return
	}
	switch x := v.Interface().(type) {
	case netip.Addr:
		try(netip.MustParseAddr("10.0.0.2"))
		try(netip.MustParseAddr("::ffff:10.0.0.1"))
		try(netip.Addr{})
		return
	case netip.Prefix:
		try(netip.MustParsePrefix("10.0.0.0/9"))
		try(netip.MustParsePrefix("11.0.0.0/8"))
		try(netip.Prefix{})
		return
	case map[string]string:
		try(map[string]string{})
		try(map[string]string{"k": "w"})
		try(map[string]string{"l": "v"})
		try(map[string]string{"k": "v", "l": "v"})
		return
	case string:
		try(x + "x")
		try("")
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		try(!v.Bool())
	case reflect.Slice:
		try(reflect.MakeSlice(v.Type(), 0, 0).Interface())
		try(reflect.AppendSlice(v, v).Interface())
		for i := range v.Len() {
			vary(t, v.Index(i), fmt.Sprintf("%s[%d]", what, i), changed)
		}
	case reflect.Pointer:
		try(reflect.Zero(v.Type()).Interface())
		vary(t, v.Elem(), what, changed)
	case reflect.Struct:
		for i := range v.NumField() {
			vary(t, v.Field(i), what+"."+v.Type().Field(i).Name, changed)
		}
	default:
		if v.CanInt() {
			try(v.Int() + 1)
		} else {
			try(v.Uint() + 1)
		}
	}
}

// TestDigestsOfTheSame proves that equal objects have equal digests in one process and different ones in
// another, and that problems count.
func TestDigestsOfTheSame(t *testing.T) {
	r := enginetest.NewRandom(1)
	var e, fresh encoder
	other := encoder{secret: secret{1}}
	for range 50 {
		for _, o := range r.Cluster() {
			d := e.digest(o, nil)
			if d != fresh.digest(enginetest.Clone(o), nil) || d == other.digest(o, nil) ||
				d == e.digest(o, []mirror.Problem{{Message: "wrong"}}) {
				t.Fatalf("%+v", o)
			}
		}
	}
}
