package engine_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/netpold/netpold/engine"
)

// accounts returns a snapshot of Pods that run as several ServiceAccounts.
func accounts() *engine.Snapshot {
	at := func(ip string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(ip)} }
	deployment := []engine.Workload{{Kind: "Deployment", Name: "web"}}
	mixed := []engine.Workload{{Kind: "Deployment", Name: "mixed"}}
	var changes []engine.Change
	for _, o := range []engine.Object{
		&engine.Pod{Namespace: "shop", Name: "web-0", ServiceAccount: "web", IPs: at("10.0.0.1"), Workloads: deployment},
		&engine.Pod{Namespace: "shop", Name: "web-1", ServiceAccount: "web", Workloads: deployment},
		&engine.Pod{Namespace: "shop", Name: "a", ServiceAccount: "web", Workloads: mixed},
		&engine.Pod{Namespace: "shop", Name: "b", ServiceAccount: "db", Workloads: mixed},
		&engine.Pod{Namespace: "shop", Name: "none", IPs: at("10.0.0.2")},
		&engine.Pod{Namespace: "shop", Name: "told", ServiceAccount: "default", IPs: at("10.0.0.3")},
		&engine.Pod{Namespace: "shop", Name: "host", ServiceAccount: "web", HostNetwork: true, Node: "n1",
			IPs: at("192.168.0.1")},
		&engine.Pod{Namespace: "shop", Name: "done", ServiceAccount: "web", Finished: true, IPs: at("10.0.0.9")},
		&engine.Service{Namespace: "shop", Name: "web", IPs: at("10.96.0.1")},
	} {
		changes = append(changes, engine.Change{Object: o})
	}
	return engine.NewCluster(engine.Options{}).Apply(changes...)
}

// TestRunsAsP10 proves which endpoints run as a ServiceAccount.
func TestRunsAsP10(t *testing.T) {
	t.Parallel()
	s := accounts()
	ip := func(text string) engine.Endpoint { return engine.ByIP(netip.MustParseAddr(text)) }
	workload := func(name string) engine.Endpoint {
		return engine.ByWorkload("shop", engine.Workload{Kind: "Deployment", Name: name})
	}
	for _, c := range []struct {
		what               string
		endpoint           engine.Endpoint
		namespace, account string
		want               bool
	}{
		{"an address", ip("10.0.0.1"), "shop", "web", true},
		{"another namespace", ip("10.0.0.1"), "web", "web", false},
		{"another account", ip("10.0.0.1"), "shop", "db", false},
		{"a Pod by name", engine.ByPod("shop", "web-1"), "shop", "web", true},
		{"all Pods of a workload", workload("web"), "shop", "web", true},
		{"one Pod of a workload", workload("mixed"), "shop", "web", false},
		{"a Pod that names no account", ip("10.0.0.2"), "shop", "default", true},
		{"a Pod that names the default", ip("10.0.0.3"), "shop", "default", true},
		{"no account", ip("10.0.0.2"), "shop", "", false},
		{"a Node's address", ip("192.168.0.1"), "shop", "web", false},
		{"a host-network Pod", engine.ByPod("shop", "host"), "shop", "web", false},
		{"a finished Pod's address", ip("10.0.0.9"), "shop", "web", false},
		{"a Service's address", ip("10.96.0.1"), "shop", "web", false},
		{"an external address", ip("8.8.8.8"), "shop", "default", false},
		{"labels", engine.ByLabels(&engine.LabelledPod{Namespace: "shop"}), "shop", "default", false},
	} {
		if got, err := s.RunsAs(c.endpoint, c.namespace, c.account); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.what, got, err)
		}
	}
	for code, e := range map[engine.ErrorCode]engine.Endpoint{
		engine.NotFound: engine.ByPod("shop", "nobody"), engine.PodFinished: engine.ByPod("shop", "done"),
		engine.InvalidQuestion: engine.ByService("shop", "web"),
	} {
		got, err := s.RunsAs(e, "shop", "web")
		if q, ok := errors.AsType[*engine.QueryError](err); got || !ok || q.Code != code || q.Dst {
			t.Errorf("%v, %v", got, err)
		}
	}
	o, ok := s.Object(engine.ObjectKey{Kind: engine.KindPod, Namespace: "shop", Name: "web-0"})
	if p, is := o.(*engine.Pod); !ok || !is || p.ServiceAccount != "web" {
		t.Errorf("%v", o)
	}
}

// TestHasAddressP7 proves which addresses are known.
func TestHasAddressP7(t *testing.T) {
	t.Parallel()
	s := accounts()
	for text, want := range map[string]bool{
		"10.0.0.1": true, "::ffff:10.0.0.1": true, "192.168.0.1": true, "10.96.0.1": true, "10.0.0.9": false,
		"8.8.8.8": false, "fd00::1": false,
	} {
		if got := s.HasAddress(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
