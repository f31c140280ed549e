package audits_test

import (
	"net/netip"
	"strings"
	"testing"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/audits"
	"github.com/netpold/netpold/server/servertest"
)

// X3: of each fix the text says what the other side does once it is made, which is not always what it says now.
func TestX3TextSaysTheOtherSide(t *testing.T) {
	t.Parallel()
	is := func(key, value string) engine.Selector { return engine.Selector{{Key: key, Values: []string{value}}} }
	egress := func(app string) *engine.Policy {
		return &engine.Policy{Namespace: "b", Name: "eg", Subject: is("app", app), IsolatesEgress: true, Egress: []engine.Rule{{
			Peers: []engine.Peer{{Namespaces: &engine.Selector{}}}, Ports: []engine.Port{{First: 1, Last: 1}},
		}}}
	}
	ingress := func(peer engine.Peer) *engine.Policy {
		return &engine.Policy{Namespace: "a", Name: "in", Subject: is("app", "d"), IsolatesIngress: true,
			Ingress: []engine.Rule{{Peers: []engine.Peer{peer}}}}
	}
	pods := engine.Peer{Namespaces: &engine.Selector{}, Pods: new(is("app", "q"))}
	namespaces := engine.Peer{Namespaces: new(is("t", "q"))}
	for name, c := range map[string]struct {
		objects []engine.Object
		want    string
	}{
		"freed by labels": {[]engine.Object{ingress(pods), egress("s")},
			"closest: rule 0 of a/in would match b/s with app=q; egress would then allow too\n"},
		"the port beside it": {[]engine.Object{ingress(pods), egress("s")},
			"closest: rule 0 of b/eg lacks port TCP 80; ingress would still deny\n"},
		"caught by labels": {[]engine.Object{ingress(pods), egress("q")},
			"closest: rule 0 of a/in would match b/s with app=q; egress would then deny\n"},
		"untouched": {[]engine.Object{ingress(pods)}, "closest: rule 0 of a/in would match b/s with app=q\n"},
		"labels of the namespace, untouched": {[]engine.Object{ingress(namespaces), egress("s")},
			"closest: rule 0 of a/in would match namespace b with t=q; egress would still deny\n"},
		"caught by labels of the namespace": {
			[]engine.Object{ingress(namespaces), &engine.ClusterPolicy{
				Name: "adm", Tier: engine.Admin, Subject: engine.ClusterSubject{Namespaces: is("t", "q")},
				Egress: []engine.ClusterRule{{Action: engine.Deny}},
			}},
			"closest: rule 0 of a/in would match namespace b with t=q; egress would then deny\n"},
	} {
		s := servertest.NewSource()
		for i, o := range append([]engine.Object{
			&engine.Namespace{Name: "a"}, &engine.Namespace{Name: "b"},
			&engine.Pod{Namespace: "a", Name: "d", Labels: map[string]string{"app": "d"}},
			&engine.Pod{Namespace: "b", Name: "s", Labels: map[string]string{"app": "s"}},
		}, c.objects...) {
			if p, ok := o.(*engine.Pod); ok {
				p.IPs = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}
			}
			s.Apply(engine.Change{Object: o})
		}
		got, err := audits.New(s, audits.Options{}).Explain(t.Context(), &netpoldv1.ExplainRequest{
			Question: &netpoldv1.AllowedRequest{Src: netpold.Pod("b", "s"), Dst: netpold.Pod("a", "d"), Port: 80},
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !strings.Contains(got.GetText(), c.want) {
			t.Errorf("%s: the text lacks\n%s\n%s", name, c.want, got.GetText())
		}
	}
}
